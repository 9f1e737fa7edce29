"""What is asked, as the content of a study's file: the shipped ``studies/compare`` over other data and another network.

Nothing here imports torch.
"""

import re
from argparse import Namespace
from bisect import bisect
from collections.abc import Sequence
from copy import deepcopy
from functools import reduce
from pathlib import Path
from typing import Any, Final

from dropout_lab.app.config.settings import (
    VALUES,
    Label,
    Settings,
    find_placeholders,
    merge,
    nest,
    network_of,
    short_name,
)
from dropout_lab.app.config.shipped import find_config, shipped_configs
from dropout_lab.app.config.yaml_files import parse_value, read_yaml
from dropout_lab.app.errors import UserError, suggest
from dropout_lab.app.study.spec import unknown

SHIPPED: Final = "studies/compare"
BASELINE: Final = "none"
# Of a user's own images: 64×64, six convolutions.
OWN_IMAGES: Final = "own_images"
# What a config of a single fit says of itself.
OF_A_FIT = ("seed_everything", "name", "runs")
GROUPS = ("data", "model", "trainer", "monitor")
LIMITS = ("max_epochs", "max_steps", "max_time")
CLASS = re.compile(r"([A-Za-z_]\w*\.)*[A-Z]\w*(\(.*\))?", re.DOTALL)
NO_NAME = re.compile(r"[^\w.-]+")

NO_DATA = (
    "--data is missing: give a folder that holds a folder of images for each class, or digits, which come with the "
    "program, or another data set of `dropout-lab configs`"
)


def ask(options: Namespace, words: Sequence[str]) -> Settings:
    """Return the content of a study's file, without a name, and without how long its runs are where nobody says so.

    Args:
        options: of the command.
        words: the options that are settings, such as ``--data.root FOLDER``; these win over all others.
    """
    shipped = read_yaml(find_config(SHIPPED))
    configs, settings = _default(options.data, shipped["base"])
    default = merge(reduce(merge, map(_without_names, configs), {}), settings)
    default["trainer"] = {key: value for key, value in default["trainer"].items() if key not in LIMITS}
    given: Settings = reduce(merge, map(_without_names, options.config), {})
    if options.data is not None:
        given = merge(given, {"data": _data(options.data, default)})
    if options.network:
        given = merge(given, _network(options.network))
    given = reduce(merge, map(setting, pairs(words)), given)
    if not short_name(given.get("data")):
        raise UserError(NO_DATA)
    content = {key: value for key, value in shipped.items() if key not in ("name", "quick")}
    content["base"] = {"settings": merge(default, given)}
    content["grid"] = _grid(shipped["grid"], options.variants, options.rates)
    drop_unused_rate(content)
    # A split that is asked for stays.
    fixed = "seed" in merge(given["data"], {"init_args": {}})["init_args"]
    content["seeds"] = {
        "values": [*range(options.seeds)],
        "vary": ["weights"] if fixed else ["weights", "split"],
    }
    return content


def title(settings: Settings) -> str:
    """Return data and network of a study in a word for a folder: ``digits-fullyconnected``."""
    network = network_of(settings)
    data = merge(settings["data"], {"init_args": {}})
    kind = (short_name(data) or "").removesuffix("DataModule")
    root = Path(str(data["init_args"].get("root"))).name
    words = [root if kind == "ImageFolder" else kind, short_name(network) or ""]
    words += [str(network["init_args"]["name"])] if "name" in network["init_args"] else []
    return NO_NAME.sub("_", "-".join(words)).strip("_.-").lower()


def pairs(words: Sequence[str]) -> list[tuple[str, str]]:
    """Return keys and values of ``--key value`` and ``--key=value``."""
    found: list[tuple[str, str]] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if not word.startswith("--"):
            raise UserError(f"{word!r} is no option: options begin with --")
        key, equals, value = word[2:].partition("=")
        if not equals:
            if not rest or rest[0].startswith("--"):
                raise UserError(f"{word} needs a value")
            value = rest.pop(0)
        found.append((key, value))
    return found


def setting(pair: tuple[str, str]) -> Settings:
    """Return settings of a run; UserError if there is no such group."""
    key, value = pair
    head, _, tail = key.partition(".")
    if head == "seed_everything":
        raise UserError(
            "--seed_everything is not a run's in a study: --seeds N gives each candidate N of them"
        )
    if head not in GROUPS or (head != "monitor" and not tail):
        raise UserError(f"no option --{key}; see compare --help")
    # A folder that is called 2020 is no number.
    return nest(key, value if key == "data.root" else parse_value(value, f"--{key}"))


def _without_names(config: str) -> Settings:
    """Read a config of a fit, without what it says of itself."""
    content = read_yaml(find_config(config))
    if "grid" in content:
        raise UserError(f"--config {config} is a study, a grid of runs: dropout-lab study {config}")
    return {key: value for key, value in content.items() if key not in OF_A_FIT}


def _default(data: str | None, base: Settings) -> tuple[list[str], Settings]:
    """Return the configs, and the settings over them, that stand for what is not said: a network, its training."""
    if data is not None and Path(data).expanduser().is_dir():
        # How many images a batch has follows from how many there are.
        return [OWN_IMAGES], {"data": {"init_args": {"batch_size": None}}}
    config = None if data is None else _config_of_data(data)
    if config is None:
        return base["configs"], base["settings"]
    if config.startswith("data/"):
        return [*base["configs"], config], base["settings"]
    return [config], {}


def _data(word: str, default: Settings) -> Settings:
    """Return the data module of a folder of images, of a shipped config, or of a class."""
    if Path(word).expanduser().is_dir():
        return {"class_path": "ImageFolderDataModule", "init_args": {"root": word}}
    if _config_of_data(word) is not None:
        return {"class_path": default["data"]["class_path"], "init_args": {}}
    if CLASS.fullmatch(word):
        return {"class_path": word, "init_args": {}}
    known = [name.removeprefix("data/") for name in shipped_configs() if name.startswith("data/")]
    if "/" in word or "." in word:
        raise UserError(f"--data: no folder {word}; give one that holds a folder of images for each class")
    hint = suggest(word, known, f"there are {', '.join(known)}")
    raise UserError(f"--data: no folder and no data set {word!r}; {hint}")


def _config_of_data(word: str) -> str | None:
    """Return the shipped config of a data set, with a network for it where there is one."""
    shipped = shipped_configs()
    for name in (word, f"data/{word}"):
        if name in shipped and "data" in read_yaml(shipped[name]):
            return name
    return None


def _network(words: Sequence[str]) -> Settings:
    """Return the network of ``--network CLASS [NAME]``, or of a shipped config of that name."""
    name, *rest = words
    if len(rest) > 1:
        raise UserError(f"--network takes a class and at most a name, got {' '.join(words)}")
    if (config := f"networks/{name}") in shipped_configs():
        network: Any = read_yaml(find_config(config))["model"]["network"]
    elif CLASS.fullmatch(name):
        network = {"class_path": name}
    else:
        known = [each.removeprefix("networks/") for each in shipped_configs() if each.startswith("networks/")]
        hint = suggest(name, known, f"of torchvision's models: --network Backbone {name}")
        raise UserError(f"--network: no class and no network {name!r}; {hint}")
    return {"model": {"network": merge(network, {"init_args": {"name": rest[0]}} if rest else {})}}


def _grid(axes: Settings, variants: Sequence[str] | None, rates: Sequence[float] | None) -> Settings:
    """Return the grid of the shipped study, as far as it is asked for, the baseline first."""
    known = axes["variant"]
    asked = [*known] if variants is None else list(dict.fromkeys([BASELINE, *variants]))
    chosen = {label: deepcopy(known[label]) if label in known else _own(label, known) for label in asked}
    if len(chosen) == 1:
        raise UserError(
            f"--variants names {BASELINE} alone, which all others are compared with: name another"
        )
    if rates is not None and not placeholders(chosen):
        raise UserError(f"--rates: none of {', '.join(asked)} has a rate; leave it out")
    rate = axes["rate"] if rates is None else {rate: at(rate, axes["rate"]) for rate in rates}
    return {"variant": chosen, "rate": deepcopy(rate)}


def placeholders(settings: Settings) -> set[str]:
    """Return the names of what stands for the rate in the settings of a variant: ``p``, ``units``; none where none."""
    return {name.removeprefix("rate.") for name in find_placeholders(settings) if name.startswith("rate.")}


def drop_unused_rate(content: Settings) -> None:
    """Take the rate out where no variant that is left has one."""
    if not placeholders(content["grid"]["variant"]):
        content["grid"].pop("rate", None)
        content.pop("select", None)


def _own(label: str, known: Settings) -> Settings:
    """Return the settings of a class that is named as in Python."""
    if not CLASS.fullmatch(label):
        raise UserError(f"--variants: {unknown('variant', label, known)}")
    # It builds classes, for which it imports torch.
    from dropout_lab.app.benchmark.classes import parse_class

    return {"model": {"network": {"init_args": {"dropout": parse_class(label)}}}}


def at(rate: float, axis: dict[Label, Settings]) -> Settings:
    """Return what stands for a rate: what the axis says of it, else on the line through its two nearest rates.

    Where a whole number is asked for, as of units, it is one of 1 or more.
    """
    if rate in axis:
        return deepcopy(axis[rate])
    known = sorted(map(float, axis))
    place = min(max(bisect(known, rate), 1), len(known) - 1)
    low, high = known[place - 1 : place + 1]
    share = (rate - low) / (high - low)
    values: Settings = {}
    for name, left in axis[low][VALUES].items():
        value = left + share * (axis[high][VALUES][name] - left)
        values[name] = max(1, round(value)) if isinstance(left, int) else round(value, 6)
    return {VALUES: values}
