"""A run's settings as plain values: laid over one another, filled in, named, compared, hashed. No torch here."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dropout_lab.app.errors import UserError

Settings = dict[str, Any]
Setting = str | int | float | bool
Label = str | int | float
"""A value of an axis, as the study's file names it."""

# Metrics of which less is better; of all others more is.
LOWER_IS_BETTER = {"loss", "nll", "ece"}
# Arguments that say how or where something is computed rather than what is learned.
TECHNICAL = {"cache", "capturable", "device", "differentiable", "download", "foreach", "fused", "image_shape",
             "num_classes", "num_workers", "root"}  # fmt: skip
# Options of a fit, and arguments of its trainer, that say where and how it is written.
OUTSIDE = {"config", "name", "runs", "run", "ckpt_path"}
QUIET = {"default_root_dir", "enable_model_summary", "enable_progress_bar", "log_every_n_steps", "logger"}
# Of a fit's config, what may differ in a run that goes on.
ELSEWHERE = re.compile(
    r"config|name|runs|run|resume|force|ckpt_path|data\.init_args\.(cache|download|num_workers|root)|"
    r"trainer\.(default_root_dir|enable_model_summary|enable_progress_bar)"
)
# What may differ between a run and its evaluation: batch sizes, ways to be faster and weights that a fit has started
# from do not change what is measured.
NOT_MEASURED = ("data.batch_size", "data.drop_last", "data.replacement", "data.augment", "model.optimizer",
                "model.scheduler", "model.compile", "model.channels_last", "model.network.pretrained",
                "model.network.weights")  # fmt: skip

# Beside the settings of an axis' value: names for ${axis.name}, where one label stands for several numbers.
VALUES = "values"
PLACEHOLDER = re.compile(r"\$\{(\w+(?:\.\w+)?)\}")


def merge(old: Any, new: Any) -> Any:
    """Lay settings over others.

    Mappings are merged, everything else is replaced; ``key+`` adds to a list. A class (``class_path`` and
    ``init_args``, or its name alone) that is replaced by another takes nothing from it; arguments may be given without
    ``init_args``, as in flags.
    """
    if not isinstance(new, dict):
        return new
    old = {"class_path": old} if isinstance(old, str) else old
    old = old if isinstance(old, dict) else {}
    if "class_path" in old or "class_path" in new:
        old, new = _with_init_args(old), _with_init_args(new)
        if "class_path" in old and new.get("class_path", old["class_path"]) != old["class_path"]:
            old = {}
    result = dict(old)
    for key, value in new.items():
        if isinstance(key, str) and key.endswith("+"):
            result[key[:-1]] = [*as_list(result.get(key[:-1])), *as_list(value)]
        else:
            result[key] = merge(result.get(key), value)
    return result


def _with_init_args(spec: Settings) -> Settings:
    own = {key: spec[key] for key in spec if key in ("class_path", "init_args", "dict_kwargs")}
    arguments = {key: spec[key] for key in spec if key not in own}
    return {**own, "init_args": {**(own.get("init_args") or {}), **arguments}} if arguments else own


def as_list(value: Any) -> list[Any]:
    """Return what stands for a list: one, none, or a list of them."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def nest(key: str, value: Any) -> Settings:
    """Return ``a.b`` and a value as ``{a: {b: value}}``."""
    for part in reversed(key.split(".")):
        value = {part: value}
    settings: Settings = value
    return settings


def fill_placeholders(settings: Any, values: Mapping[str, Label]) -> Any:
    """Put values in the place of ``${name}``; where it is the whole text the value keeps its type."""
    if isinstance(settings, dict):
        return {key: fill_placeholders(value, values) for key, value in settings.items()}
    if isinstance(settings, list):
        return [fill_placeholders(value, values) for value in settings]
    if not isinstance(settings, str):
        return settings
    if whole := PLACEHOLDER.fullmatch(settings):
        return values[whole[1]]
    return PLACEHOLDER.sub(lambda found: str(values[found[1]]), settings)


def find_placeholders(settings: Any) -> set[str]:
    """Return the names in all ``${name}``."""
    texts = (value for _, value in leaves(settings) if isinstance(value, str))
    return {name for text in texts for name in PLACEHOLDER.findall(text)}


def leaves(settings: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the path and the value of all that holds nothing itself: ``trainer.callbacks.0``, …"""
    if not (isinstance(settings, dict | list) and settings):
        yield path, settings
        return
    for key, value in settings.items() if isinstance(settings, dict) else enumerate(settings):
        yield from leaves(value, f"{path}.{key}" if path else str(key))


def network_of(settings: Settings) -> Settings:
    """Return what the settings of a run say of the network; its ``init_args`` are there."""
    network: Settings = merge((settings.get("model") or {}).get("network"), {"init_args": {}})
    return network


def dropout_of(settings: Settings) -> Any:
    """Return what the settings of a run make the network's dropout of, a class or its name; None if they do not."""
    return network_of(settings)["init_args"].get("dropout")


def short_name(spec: Settings | str | None) -> str | None:
    """Return a class's name without its module."""
    path = spec["class_path"] if isinstance(spec, dict) else spec
    return path.rsplit(".", 1)[-1] if path else None


def run_name(settings: Settings) -> str:
    """Return ``--name``, or ``data-network-dropout`` in small letters."""
    name, network = settings["name"], settings["model"]["network"]
    if name:
        if Path(name).name != name or name == "..":
            raise UserError(f"name must be a single word for a folder, got {name!r}; see --runs")
        return str(name)
    data = (short_name(settings["data"]) or "").removesuffix("DataModule")
    parts = (data, short_name(network), short_name(network["init_args"].get("dropout")))
    return "-".join(part for part in parts if part).lower()


def flat_settings(settings: Settings) -> dict[str, Setting]:
    """Return the settings that tell runs apart, flat: ``dropout.p``, ``data.batch_size``, …

    A class is its short name; lists are texts; what is null or technical is left out.
    """
    limits = {each: settings["trainer"][each] for each in ("max_epochs", "max_steps", "precision")}
    limits = {name: limit for name, limit in limits.items() if limit not in (None, -1)}
    model = _flat_by_class(settings["model"])
    # Under a short name, because it is what is compared.
    model = {name.removeprefix("network.") if ".dropout" in name else name: model[name] for name in model}
    return {
        "seed": settings["seed_everything"],
        **limits,
        **model,
        **_flat_by_class(settings["data"], "data"),
    }


def _flat_by_class(value: Any, name: str = "") -> dict[str, Setting]:
    if isinstance(value, dict):
        flat: dict[str, Setting] = {}
        if "class_path" in value:
            flat[name] = short_name(value) or ""
            value = value.get("init_args", {})
        for key in sorted(value.keys() - TECHNICAL):
            if not str(key).startswith("_"):
                flat |= _flat_by_class(value[key], f"{name}.{key}" if name else key)
        return flat
    if value is None:
        return {}
    # The order of keys, which a file may have sorted, is no setting.
    return {name: json.dumps(value, sort_keys=True) if isinstance(value, list) else value}


def changed_settings(there: Settings, here: Settings) -> list[str]:
    """Return what of data, model and limits is not the same in two specifications, by flat name."""
    flat: list[dict[str, Setting]] = []
    for settings in (there, here):
        limits = {f"limit_{split}_batches": "all" for split in ("val", "test", "predict")}
        limits |= {key: each for key in limits if (each := settings["trainer"].get(key)) is not None}
        whole = {"model": settings["model"], "data": settings["data"], "trainer": limits}
        flat.append(_flat_by_class(whole))
    return [name for name in _unequal(*flat) if not name.startswith(NOT_MEASURED)]


def differences(there: Settings, here: Settings) -> list[str]:
    """Return in words what two configs of a fit differ in, but for where things are and what is shown meanwhile."""
    old, new = dict(leaves(there)), dict(leaves(here))
    return [
        f"{name.replace('.init_args', '').replace('.class_path', '')} is {old.get(name)} there and "
        f"{new.get(name)} here"
        for name in _unequal(old, new)
        if not ELSEWHERE.fullmatch(name)
    ]


def _unequal(there: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    return [name for name in sorted({*there, *here}) if there.get(name) != here.get(name)]


def settings_hash(settings: Settings) -> str:
    """Return the name of what settings learn: BLAKE2b of 10 bytes, of canonical JSON, without what is technical."""
    return hash_of(what_is_learned(settings))


def hash_of(learned: Settings) -> str:
    """Return the name of settings of which only :func:`what_is_learned` is left."""
    text = json.dumps(learned, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=10).hexdigest()


def what_is_learned(settings: Settings) -> Settings:
    """Return a copy without what says where and how something is computed and written."""
    parts = {key: value for key, value in settings.items() if key not in OUTSIDE}
    parts["trainer"] = {key: value for key, value in (parts.get("trainer") or {}).items() if key not in QUIET}
    learned: Settings = _without_technical(parts)
    return learned


def _without_technical(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _without_technical(value[key]) for key in value if key not in TECHNICAL}
    return [_without_technical(each) for each in value] if isinstance(value, list) else value
