"""What is wrong with configs and flags in one line: the place, the value and the remedy."""

import inspect
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jsonargparse import ArgumentParser
from pytorch_lightning import Callback, Trainer
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from dropout_lab.app.config.allowlist import check_renamed
from dropout_lab.app.config.shipped import find_config
from dropout_lab.app.config.yaml_files import parse_mapping, read_yaml
from dropout_lab.app.errors import ALONE, BATCH_OF_ONE, UserError, suggest
from dropout_lab.app.files import is_opened_pipe, special
from dropout_lab.callbacks.schedules import Schedule
from dropout_lab.datamodules import ImageDataModule
from dropout_lab.models import ImageClassifier
from dropout_lab.models.dropout import TORCH_DROPOUTS, Dropout, ForeignDropout
from dropout_lab.models.networks import Network

# What the class in a place is called, and what it must be a subclass of; places by the last word of their key.
VARIANTS = (Dropout, *TORCH_DROPOUTS)
PLACES: dict[str, tuple[str, tuple[type, ...]]] = {
    "data": ("data module", (ImageDataModule,)),
    "network": ("network", (Network,)),
    "dropout": ("dropout variant", VARIANTS),
    "layers": ("dropout variant", VARIANTS),
    "optimizer": ("optimizer", (Optimizer,)),
    "scheduler": ("learning-rate scheduler", (LRScheduler,)),
    "callbacks": ("callback", (Callback,)),
    "schedule": ("schedule", (Schedule,)),
}
GROUPS: dict[str, type] = {"trainer": Trainer, "model": ImageClassifier, "data": ImageDataModule}
OPTIONS = (
    "config", "seed_everything", "runs", "name", "monitor", "run", "ckpt_path", "resume", "force", "debug"
)  # fmt: skip
CONFIG = ("-c", "--config")
# With what a config begins that stands in the command itself.
WRITTEN_OUT = "{"
SUBCOMMAND = r"\b(fit|validate|test|predict)\."

# What Path.expanduser says, of a root, a cache or a file of weights.
NO_HOME = "Could not determine home directory."

# Lines that repeat what other lines say, or name an alternative that nobody meant.
NOISE = re.compile(
    r"Expected a path but|Does not validate against|Subtypes: |Errors:|Given value|"
    r"Parser key |Problem with given class_path|Expected a <class 'NoneType'>|"
    r"Not a valid subclass of|Subclass types expect one of|a class path \(str\)|a dict with"
)
# A flag of an item in a list is tried on the list's base class too.
BASE_CLASS_TRIED = re.compile(r"- Problem with given class_path 'pytorch_lightning\.Callback':\n.*")
PREFIX = re.compile(
    r"^\s*(- )?(Parser key \"[^\"]+\": )?(Type .*? expects a function or a callable class: (Parser key \"[^\"]+\":)?)?"
)
# Lists of schedulers of one optimizer, which is not there yet when settings are read.
MADE_OF_OTHERS = re.compile(r"class_path(?: |=)'[\w.]*\b(ChainedScheduler|SequentialLR)'")
NAMESPACE = re.compile(r"\. Got value: Namespace\(.*$")


class ParserReport(NamedTuple):
    """What the lines of a report have in common: the key, the class whose argument it is, the value given."""

    place: str
    owner: str | None
    value: str | None


# What a line of a report says, and the same in our words.
LINES: dict[str, Callable[[re.Match[str], ParserReport], str]] = {
    r"Expected a dot import path string: (.*)": lambda line, report: _no_class(report.place, line[1]),
    r"(?:Option|Key) '(.+?)' is not accepted": lambda line, report: _no_option(
        line[1], _arguments(report.owner), report.place and f"{report.place}."
    ),
    r"Group '(.+?)' does not accept option '(.+?)'": lambda line, report: _no_option(
        line[2], _parameters(GROUPS.get(line[1])) or _arguments(report.owner), f"{line[1]}."
    ),
    r"Importing '(.+?)' is not allowed": lambda line, _: (
        f"{line[1]} may not be named in settings: it is nothing that they are made of"
    ),
    r"Key must be a string, got: False": lambda *_: "YAML reads the key off or no as false: put it in quotes",
    r"Key must be a string, got: True": lambda *_: "YAML reads the key on or yes as true: put it in quotes",
    r"unrecognized arguments: (\S*)": lambda line, _: _unknown_option(line[1]),
    r"Subcommand '.*?' does not accept option '(.+?)'": lambda line, _: _unknown_option(f"--{line[1]}"),
    r"the following arguments are required: (.*?)(?:\. Got value: .*)?$": lambda line, _: (
        f"missing: {re.sub(SUBCOMMAND, '', line[1])}; give each as a flag or in a --config file"
    ),
    r"Expected a typing\.Literal\[(.+?)\](?:\. Got value: (.*?))?$": lambda line, report: (
        f"must be one of {line[1]}{_got(line[2] or report.value)}"
    ),
    r"Multiple subclasses with name (\w+)\. Give the full class path .*: (.*?)\.?$": lambda line, _: (
        f"{line[1]!r} is the name of several classes; give one's import path: {line[2]}"
    ),
    r"Expected an? <class '(.+?)'>(?:\. Got value: (.*))?": lambda line, report: (
        f"must be of type {line[1]}{_got(line[2] or report.value)}"
    ),
}


def explain(message: str) -> str:
    """Turn a report of jsonargparse, many lines long, into one line.

    Nested reports are indented; each level names its key, and the leaves name what was wrong.
    """
    if message == "embedded null byte":
        return "a path holds a zero byte; take it out of the options or their config files"
    if ALONE in message:
        return BATCH_OF_ONE
    if NO_HOME in message:
        return "a path begins with ~, and there is no such user, or no HOME: write the folder out"
    if made := MADE_OF_OTHERS.search(message):
        return (
            f"model.scheduler: {made[1]} is made of other schedulers, which settings cannot make; take WarmupCosine "
            "(--config schedulers/warmup_cosine), or name a function of your own that returns one"
        )
    message = BASE_CLASS_TRIED.sub("", message)
    classes = re.findall(r"class_path(?: |=)'([\w.]+)'", message)
    given = re.search(r"^\s*Given value: (.*)$", message, re.MULTILINE)
    report = ParserReport(
        place=".".join(dict.fromkeys(re.findall(r'Parser key "([^"]+)"', message))),
        owner=classes[-1] if classes else None,
        value=given and re.sub(r"^NestedArg\(key=.*?, val='?(.*?)'?\)$", r"\1", NAMESPACE.sub("", given[1])),
    )
    lines = [PREFIX.sub("", line).strip() for line in message.splitlines()]
    leaves = [_reword(NAMESPACE.sub("", line), report) for line in lines if line and not NOISE.match(line)]
    wanted = re.search(r"Not a valid subclass of (\w+)", message)
    reason = _join(dict.fromkeys(leaves)) or (f"must be a {wanted[1]}" if wanted else message.strip())
    return f"{report.place}: {reason}" if report.place and not reason.startswith("no ") else reason


def _reword(text: str, report: ParserReport) -> str:
    for pattern, words in LINES.items():
        if line := re.match(pattern, text):
            return words(line, report)
    path = report.value or ""
    return f"cannot take {path}: {text}" if re.fullmatch(r"\w+(\.\w+)+", path) and path not in text else text


def _got(value: str | None) -> str:
    return "" if value is None else f", got {value!r}"


def _join(leaves: Iterable[str]) -> str:
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
        return _no_option(tail, _parameters(GROUPS[head]), f"--{head}.")
    flags = [f"--{each}" for each in (*GROUPS, *OPTIONS)]
    return f"no option {option}; {suggest(f'--{head}', flags, '--help_all lists all options', cutoff=0.7)}"


def _no_class(place: str, name: str) -> str:
    last = place.rpartition(".")[2]
    if last not in PLACES:
        return f"no value or class {name!r} for {place}; a class is named by its import path"
    role, bases = PLACES[last]
    known = sorted({each.__name__ for base in bases for each in _concrete(base)})
    otherwise = f"there are {', '.join(known)}" if len(known) < 30 else "give its import path"
    return f"no {role} {name!r} for {place}; {suggest(name.rpartition('.')[2], known, otherwise, cutoff=0.5)}"


def _no_option(name: str, known: Sequence[str], within: str = "") -> str:
    otherwise = (
        f"there are {', '.join(known)}" if known else "it takes none: is its class_path the one meant?"
    )
    return f"no option {within}{name}; {suggest(name.partition('.')[0], known, otherwise, cutoff=0.5)}"


def _concrete(base: type) -> Iterator[type]:
    if not inspect.isabstract(base) and base is not ForeignDropout and not base.__name__.startswith("_"):
        yield base
    subclasses: list[type] = base.__subclasses__()
    for each in subclasses:
        yield from _concrete(each)


def _arguments(owner: str | None) -> list[str]:
    return _parameters(class_named(owner or ""))


def class_named(name: str) -> type | None:
    """Return the class that settings name, alone or by import path; None where it has not been imported.

    Nothing is imported for a message.
    """
    module, _, last = name.rpartition(".")
    if module:
        return getattr(sys.modules.get(module), last, None)
    return next((each for _, bases in PLACES.values() for base in bases for each in _concrete(base)
                 if each.__name__ == name), None)  # fmt: skip


def _parameters(owner: type | None) -> list[str]:
    """Return what a class takes, as ``**common`` for its base too."""
    return [] if owner is None else ArgumentParser().add_class_arguments(owner, fail_untyped=False)


def find_configs(words: list[str]) -> list[str]:
    """Put the file of each config in the place of its name; check what files and flags say.

    In the place of a pipe stands what was in it, ``{…}`` in JSON, which is taken as a config too.

    The parser itself takes the last of two equal keys, leaves out an unknown key without a value, and names neither
    the file nor the line of what is no YAML.
    """
    found: list[str] = []
    for before, word in zip(["", *words], words, strict=False):
        flag, equals, value = word.partition("=")
        if before in CONFIG:
            found.append(_check_config(word))
        elif flag in CONFIG and equals:
            found.append(f"{flag}={_check_config(value)}")
        else:
            given = value if flag.startswith("-") else word
            check_renamed(given)
            # The parser looks whether it is a file, and would wait for what it holds.
            if kind := special(Path(given)):
                raise UserError(f"{given} is {kind}, no file or folder; give another path")
            found.append(word)
    return found


def _check_config(name: str) -> str:
    """Return a config as the parser takes it: its path, or what was in a pipe, which can be read once."""
    written_out = name.startswith(WRITTEN_OUT)
    file = Path(CONFIG[-1]) if written_out else find_config(name)
    piped = is_opened_pipe(file)
    content = parse_mapping(name, str(file)) if written_out else read_yaml(file)
    if "grid" in content:
        raise UserError(f"{file} is a study, a grid of runs: dropout-lab study {file}")
    check_renamed(content, f"{file}: ")
    for key, value in content.items():
        if key not in (*GROUPS, *OPTIONS) and value in (None, {}, []):
            raise UserError(f"{file}: {_no_option(str(key), (*GROUPS, *OPTIONS))}")
    for group in [each for each in ("trainer", "model") if each in content]:
        settings: Any = content[group]
        if not isinstance(settings, dict):
            raise UserError(f"{file}: {group}: must be keys and values, got {settings!r}; or leave it out")
        known = _parameters(GROUPS[group])
        for key in settings:
            # ``callbacks+`` adds to a list.
            if isinstance(key, str) and key.removesuffix("+").partition(".")[0] not in known:
                raise UserError(f"{file}: {_no_option(key, known, f'{group}.')}")
    if written_out:
        return name
    # A date, which JSON has not, is a text for the parser too.
    return json.dumps(content, default=str) if piped else str(file)
