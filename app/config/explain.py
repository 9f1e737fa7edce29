"""jsonargparse's reports, many lines long, as one line that names the place, the value and the remedy."""

import difflib
import inspect
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pytorch_lightning import Callback, Trainer
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from dropout_lab.app.config.yaml_files import read_yaml
from dropout_lab.app.errors import UserError
from dropout_lab.callbacks.schedules import Schedule
from dropout_lab.datamodules import ImageDataModule
from dropout_lab.models import ImageClassifier
from dropout_lab.models.dropout import TORCH_DROPOUTS, Dropout, ForeignDropout
from dropout_lab.models.networks import Network

# What the class in a place is called, and what it must be a subclass of; places by the last word of their key.
PLACES: dict[str, tuple[str, tuple[type, ...]]] = {
    "data": ("data module", (ImageDataModule,)),
    "network": ("network", (Network,)),
    "dropout": ("dropout variant", (Dropout, *TORCH_DROPOUTS)),
    "layers": ("dropout variant", (Dropout, *TORCH_DROPOUTS)),
    "optimizer": ("optimizer", (Optimizer,)),
    "scheduler": ("learning-rate scheduler", (LRScheduler,)),
    "callbacks": ("callback", (Callback,)),
    "schedule": ("schedule", (Schedule,)),
}

GROUPS: dict[str, type] = {"trainer": Trainer, "model": ImageClassifier, "data": ImageDataModule}
OPTIONS = ("config", "seed_everything", "runs", "name", "monitor", "run", "ckpt_path", "debug")

# Lines that repeat what other lines say, or name an alternative that nobody meant.
NOISE = re.compile(
    r"Expected a path but|Does not validate against|Subtypes: |Errors:|Given value|"
    r"Parser key |Problem with given class_path|Expected a <class 'NoneType'>|"
    r"Not a valid subclass of|Subclass types expect one of|a class path \(str\)|a dict with"
)

# A flag of an item in a list is tried on the list's base class too.
BASE_CLASS_TRIED = re.compile(r"- Problem with given class_path 'pytorch_lightning\.Callback':\n.*")


def explain(message: str) -> str:
    """Turn a report into one line.

    jsonargparse indents nested reports; each level names its key, and the leaves name what was wrong.
    """
    if message == "embedded null byte":
        return "a path holds a zero byte; take it out of the options or their config files"
    message = BASE_CLASS_TRIED.sub("", message)
    place = ".".join(dict.fromkeys(re.findall(r'Parser key "([^"]+)"', message)))
    classes = re.findall(r"class_path '([\w.]+)'|class_path='([\w.]+)'", message)
    owner = next((first or second for first, second in reversed(classes)), None)
    given = re.search(r"^\s*Given value: (.*)$", message, re.MULTILINE)
    given_value = "" if given is None else re.sub(r"\. Got value: Namespace\(.*$", "", given[1])
    value = re.sub(r"^NestedArg\(key=.*?, val='?(.*?)'?\)$", r"\1", given_value) if given else None
    leaves = []
    for line in message.splitlines():
        text = re.sub(r"^\s*(- )?", "", line)
        text = re.sub(r"^Parser key \"[^\"]+\": ", "", text)
        text = re.sub(
            r"^Type .*? expects a function or a callable class: (Parser key \"[^\"]+\":)?", "", text
        )
        if text.strip() and not NOISE.match(text):
            leaves.append(_leaf(text.strip(), place, owner, value))
    wanted = re.search(r"Not a valid subclass of (\w+)", message)
    reason = _join(dict.fromkeys(leaves)) or (f"must be a {wanted[1]}" if wanted else message.strip())
    return f"{place}: {reason}" if place and not reason.startswith("no ") else reason


def _leaf(text: str, place: str, owner: str | None, value: str | None) -> str:
    text = re.sub(r"\. Got value: Namespace\(.*$", "", text)
    if found := re.match(r"Expected a dot import path string: (.*)", text):
        return unknown_class(place, found[1])
    if found := re.match(r"(?:Option|Key) '(.+?)' is not accepted", text):
        return f"no option {place + '.' if place else ''}{found[1]}{meant(found[1], _arguments(owner))}"
    if found := re.match(r"Group '(.+?)' does not accept option '(.+?)'", text):
        group = GROUPS.get(found[1])
        known = _arguments(owner) if group is None else inspect.signature(group).parameters
        return f"no option {found[1]}.{found[2]}{meant(found[2], known)}"
    if found := re.match(r"Importing '(.+?)' is not allowed", text):
        return (
            f"{found[1]} may not be named in settings: it is Python's own, and nothing that they are made of"
        )
    if found := re.match(r"Key must be a string, got: (True|False)", text):
        words = "off or no" if found[1] == "False" else "on or yes"
        return f"YAML reads the key {words} as {found[1].lower()}: put it in quotes"
    if found := re.match(r"unrecognized arguments: (\S*)", text):
        return _unknown_option(found[1])
    if found := re.match(r"Subcommand '.*?' does not accept option '(.+?)'", text):
        return _unknown_option(f"--{found[1]}")
    if found := re.match(r"the following arguments are required: (.*?)(?:\. Got value: .*)?$", text):
        names = ", ".join(
            re.sub(r"^(fit|validate|test|predict)\.", "", name) for name in found[1].split(", ")
        )
        return f"missing: {names}; give each as a flag or in a --config file"
    if found := re.match(
        r"Expected a typing\.Literal\[(.+?)\](?:\. Got value: (.*?))?(?:\. Got value: Namespace.*)?$", text
    ):
        got = found[2] or value
        return f"must be one of {found[1]}" + ("" if got is None else f", got {got!r}")
    if found := re.match(
        r"Multiple subclasses with name (\w+)\. Give the full class path .*: (.*?)\.?$", text
    ):
        return f"{found[1]!r} is the name of several classes; give one's import path: {found[2]}"
    if found := re.match(r"Expected an? <class '(.+?)'>\. Got value: (.*?)\. Got value", text):
        return f"must be of type {found[1]}, got {found[2]!r}"
    if found := re.match(r"Expected an? <class '(.+?)'>", text):
        return f"must be of type {found[1]}" + ("" if value is None else f", got {value!r}")
    if value is not None and re.fullmatch(r"\w+(\.\w+)+", value) and value not in text:
        return f"cannot take {value}: {text}"
    return text


def _join(leaves: Iterable[str]) -> str:
    """Join reasons; alternatives of one type error become one."""
    typed = re.compile(r"must be of type (.*?)(, got .*)?$")
    types = [found for leaf in leaves if (found := typed.match(leaf))]
    others = [leaf for leaf in leaves if not typed.match(leaf)]
    # A class that is not known says more than the types that were possible instead.
    if types and not others:
        return f"must be of type {' or '.join(found[1] for found in types)}{types[-1][2] or ''}"
    return "; ".join(others)


def _unknown_option(option: str) -> str:
    if not option.startswith("-"):
        return f"{option!r} is no option: options begin with --"
    head, _, tail = option.removeprefix("--").partition(".")
    if head in GROUPS and tail:
        known = inspect.signature(GROUPS[head]).parameters
        return f"no option {option}{meant(tail.partition('.')[0], known)}"
    close = difflib.get_close_matches(head, [*GROUPS, *OPTIONS], n=1)
    return f"no option {option}" + (
        f"; did you mean --{close[0]}?" if close else "; --help_all lists all options"
    )


def unknown_class(place: str, name: str) -> str:
    """Say that there is no such class in a place, and which one may be meant."""
    last = place.rsplit(".", 1)[-1]
    if last not in PLACES:
        return f"no value or class {name!r} for {place}; a class is named by its import path"
    role, bases = PLACES[last]
    known = sorted({known.__name__ for base in bases for known in _concrete(base)})
    close = difflib.get_close_matches(name.rsplit(".", 1)[-1], known, n=1, cutoff=0.5)
    if close:
        hint = f"did you mean {close[0]}?"
    else:
        hint = f"there are {', '.join(known)}" if len(known) < 30 else "give its import path"
    return f"no {role} {name!r} for {place}; {hint}"


def _concrete(base: type) -> Iterable[type]:
    if not inspect.isabstract(base) and base is not ForeignDropout and not base.__name__.startswith("_"):
        yield base
    subclasses: list[type] = base.__subclasses__()
    for each in subclasses:
        yield from _concrete(each)


def _arguments(owner: str | None) -> Iterable[str]:
    if owner is None:
        return ()
    module, _, name = owner.rpartition(".")
    if module:
        # Nothing is imported for the sake of a message.
        known: Any = getattr(sys.modules.get(module), name, None)
    else:
        every = (each for _, bases in PLACES.values() for base in bases for each in _concrete(base))
        known = next((each for each in every if each.__name__ == name), None)
    if known is None:
        return ()
    names: dict[str, None] = {}
    for base in known.__mro__ if inspect.isclass(known) else (known,):
        if base is not known and "__init__" not in vars(base):
            continue
        parameters = inspect.signature(base).parameters.values()
        kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
        names |= {each.name: None for each in parameters if each.kind not in kinds}
        # What a class takes as **common are the arguments of its base.
        if not any(each.kind is each.VAR_KEYWORD for each in parameters):
            break
    return names


def meant(name: str, known: Iterable[str]) -> str:
    """Say which of the known names may be meant, as the end of an error."""
    known = list(known)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    if close:
        return f"; did you mean {close[0]}?"
    return f"; there are {', '.join(known)}" if known else "; it takes none: is its class_path the one meant?"


FLAGS = ("-c", "--config")
CONFIG_GROUPS: dict[str, type] = {"trainer": Trainer, "model": ImageClassifier}


def check_configs(words: list[str]) -> None:
    """Check the files that a command line names as configs.

    The parser itself takes the last of two equal keys, leaves out an unknown key without a value, and names neither
    the file nor the line of what is no YAML.

    Args:
        words: the command and its options.

    Raises:
        UserError: a file is missing, no text or no YAML, or is no config: in one line with the remedy.
    """
    for place, word in enumerate(words):
        flag, equals, value = word.partition("=")
        if flag in FLAGS and (equals or place + 1 < len(words)):
            _check(Path(value if equals else words[place + 1]))


def _check(file: Path) -> None:
    content = read_yaml(file)
    options = [*CONFIG_GROUPS, "data", *OPTIONS]
    for key, value in content.items():
        if key not in options and value in (None, {}, []):
            raise UserError(f"{file}: no option {key}{meant(str(key), options)}")
    for group, owner in CONFIG_GROUPS.items():
        if group not in content:
            continue
        settings: Any = content[group]
        if not isinstance(settings, dict):
            raise UserError(f"{file}: {group}: must be keys and values, got {settings!r}; or leave it out")
        known = [name for name in inspect.signature(owner).parameters if name != "self"]
        for key in settings:
            # ``callbacks+`` adds to a list.
            if isinstance(key, str) and key.removesuffix("+").partition(".")[0] not in known:
                raise UserError(f"{file}: no option {group}.{key}{meant(key, known)}")
