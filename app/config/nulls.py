"""Null where there is no such value: jsonargparse takes it for any argument, as if it had been left out."""

import inspect
from collections.abc import Iterator, Mapping
from pkgutil import resolve_name
from typing import Any, NamedTuple, get_args, get_type_hints

from jsonargparse import Namespace


def check_nulls(parsed: Any, path: str = "") -> None:
    """Raise ValueError if an argument of a class that settings name is null, and may not be."""
    if isinstance(parsed, Namespace):
        parsed = vars(parsed)
    if isinstance(parsed, Mapping):
        arguments = parsed.get("init_args")
        given = vars(arguments) if isinstance(arguments, Namespace) else arguments
        if "class_path" in parsed and isinstance(given, Mapping):
            never = dict(never_null(resolve_name(parsed["class_path"])))
            for name in never.keys() & {name for name, value in given.items() if value is None}:
                raise ValueError(
                    f"{path}.{name} must not be null; leave it out for {shown(never[name])}, or give another value"
                )
        for key, value in parsed.items():
            check_nulls(value, path if key == "init_args" else f"{path}.{key}".lstrip("."))
    elif isinstance(parsed, list | tuple):
        for place, each in enumerate(parsed):
            check_nulls(each, f"{path}.{place}")


EMPTY = inspect.Parameter.empty


class Argument(NamedTuple):
    """An argument of a class: its default, ``EMPTY`` for none, and the type that its annotation allows."""

    name: str
    default: Any
    allowed: Any


def arguments(owner: Any) -> Iterator[Argument]:
    """Yield the arguments of a class, those that it hands on to its bases too."""
    seen: set[str] = set()
    for base in owner.__mro__ if isinstance(owner, type) else ():
        if "__init__" not in vars(base):
            continue
        hints = _hints(base)
        for name, parameter in inspect.signature(vars(base)["__init__"]).parameters.items():
            if name not in seen:
                yield Argument(name, parameter.default, hints.get(name, Any))
            seen.add(name)


def never_null(owner: Any) -> Iterator[tuple[str, object]]:
    """Yield the arguments of a class that have a default and may not be None, each with its default."""
    for name, default, allowed in arguments(owner):
        needed = allowed not in (Any, object) and type(None) not in get_args(allowed)
        if needed and default is not None and default is not EMPTY:
            yield name, default


def _hints(base: type) -> dict[str, Any]:
    try:
        return get_type_hints(vars(base)["__init__"])
    except NameError:
        # Names that a module imports for type checkers alone: what its arguments may be cannot be known.
        return {}


def shown(default: object) -> str:
    """Return a default as a message shows it."""
    return default.__name__ if isinstance(default, type) else repr(default)
