"""What settings may name: classes that have a role here, and functions of one's own.

jsonargparse sees to it that a class is one of what its place expects. It asks nothing of places that take a function
or anything at all, such as the hooks of Lightning's ``LambdaCallback``: there a config could call whatever is
installed. So what was parsed is looked through before anything of it is built.
"""

import importlib.util
import inspect
import os
import pkgutil
import sys
import sysconfig
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jsonargparse import Namespace, set_parsing_settings
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

Roles = tuple[type, ...]

MODEL_ROLES: Roles = (nn.Module, Optimizer, LRScheduler)
"""What the arguments of a model are made of."""

ROOMS = ("app", "callbacks", "datamodules", "models")
"""What this package's parts were imported as before it had the import name ``dropout_lab``."""

_HOME = Path(__file__).resolve().parents[1]


def renamed(path: str) -> str | None:
    """Return today's name of a class or function of this package, named as before its import name ``dropout_lab``.

    None for every other path, and where a module of the user's own, such as ``models`` beside the data, provides it.
    """
    room = path.partition(".")[0]
    today = f"dropout_lab.{path}"
    if room not in ROOMS or not _exists(today):
        return None
    return None if _is_users(room) and _exists(path) else today


def with_todays_names(settings: Any) -> Any:
    """Return settings, plain values at any depth, with today's names for those from before (:func:`renamed`)."""
    if isinstance(settings, Mapping):
        return {key: with_todays_names(value) for key, value in settings.items()}
    if isinstance(settings, list | tuple):
        return [with_todays_names(each) for each in settings]
    return (renamed(settings) or settings) if isinstance(settings, str) else settings


def _is_users(room: str) -> bool:
    """Tell whether a module of that name is not the room itself, which is found in a checkout too."""
    spec = importlib.util.find_spec(room)
    return spec is not None and (spec.origin is None or Path(spec.origin).resolve().parent != _HOME / room)


def _exists(path: str) -> bool:
    try:
        return callable(pkgutil.resolve_name(path))
    except (ImportError, AttributeError, ValueError):
        return False


# Libraries that come with this package and have nothing that settings are made of, but for these parts of some. Looking
# a class up imports its module, and a few compile or start something then, as torch.utils.cpp_extension does.
WITHOUT_ROLES = (
    "PIL", "filelock", "jinja2", "jsonargparse", "markdown_it", "matplotlib", "numpy", "pandas", "pip", "pydantic",
    "ray", "rich", "scipy", "setuptools", "sklearn", "tensorboard", "torch", "torchgen", "torchvision", "yaml",
)  # fmt: skip
WITH_ROLES = ("torch.nn", "torch.optim", "torchvision.ops")


def restrict_parser() -> None:
    """Let jsonargparse, in all of this process, import only what may have a role, and build nothing in an ``Any``."""
    set_parsing_settings(
        import_path_denylist=[*sorted(sys.stdlib_module_names), *WITHOUT_ROLES],
        import_path_allowlist=list(WITH_ROLES),
        instantiate_subclass_spec_in_any=False,
        config_read_mode_fsspec_enabled=False,
        config_read_mode_urls_enabled=False,
    )


def check_named(parsed: Any, roles: Roles) -> None:
    """Check all that parsed settings name; nothing is imported or built.

    A class must have one of the roles, though its place may ask for more; a function must not be that of an installed
    package.
    """
    if isinstance(parsed, Namespace):
        parsed = vars(parsed)
    if isinstance(parsed, Mapping):
        owner = None
        if "class_path" in parsed:
            owner = _resolved(str(parsed["class_path"]))
            _check_one(owner, str(parsed["class_path"]), roles)
        arguments = parsed.get("init_args")
        given = vars(arguments) if isinstance(arguments, Namespace) else arguments
        for key, value in parsed.items():
            if key == "init_args" and isinstance(owner, type) and isinstance(given, Mapping):
                defaults = _defaults(owner)
                for name, argument in given.items():
                    if not (callable(argument) and argument is defaults.get(name)):
                        check_named(argument, roles)
            else:
                check_named(value, roles)
    elif isinstance(parsed, list | tuple | set):
        for each in parsed:
            check_named(each, roles)
    elif inspect.ismodule(parsed) or (callable(parsed) and not isinstance(parsed, (*roles, os.PathLike))):
        path = f"{getattr(parsed, '__module__', '')}.{getattr(parsed, '__qualname__', parsed)}"
        _check_one(parsed, path, roles)


def _check_one(found: object, path: str, roles: Roles) -> None:
    has_role = isinstance(found, roles) or (isinstance(found, type) and issubclass(found, roles))
    if has_role or (inspect.isfunction(found) and _is_own(found)):
        return
    names = ", ".join(role.__name__ for role in roles)
    raise ValueError(
        f"{path} may not be named in settings: they take classes that are one of {names}, and functions of a module of "
        "your own"
    )


def _is_own(function: Callable[..., object]) -> bool:
    """Tell whether a function is the user's own: neither Python's, nor this package's, nor of an installed package."""
    file = getattr(sys.modules.get(function.__module__), "__file__", None)
    if file is None:
        return False
    python = [Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")]
    others = [*python, *(_HOME / room for room in ROOMS), *filter(_holds_packages, map(Path, sys.path))]
    # Not resolved alone: an installer may have put links to files elsewhere.
    folders = {*Path(file).absolute().parents, *Path(file).resolve().parents}
    return not any({other.absolute(), other.resolve()} & folders for other in others)


def _holds_packages(folder: Path) -> bool:
    """Tell whether a folder of the import path holds installed packages, of this environment or of another."""
    return folder.name in ("site-packages", "dist-packages") or any(folder.glob("*.dist-info"))


def _resolved(path: str) -> object:
    """Return what a path names of the modules that are imported; None if it names nothing there."""
    parts = path.split(".")
    for end in range(len(parts) - 1, 0, -1):
        found: object = sys.modules.get(".".join(parts[:end]))
        if found is not None:
            for name in parts[end:]:
                found = getattr(found, name, None)
            return found
    return None


def _defaults(owner: type) -> dict[str, object]:
    """Return the defaults of a class's arguments, of those that it hands on to its bases too."""
    found: dict[str, object] = {}
    for base in owner.__mro__:
        if "__init__" in vars(base):
            for name, parameter in inspect.signature(base).parameters.items():
                found.setdefault(name, parameter.default)
    return found
