"""A run's settings as plain values: laid over one another, filled in, named, compared, hashed. No torch here."""

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dropout_lab.app.errors import UserError

Settings = dict[str, Any]
Setting = str | int | float | bool
Label = str | int | float
"""A value of an axis, as the study's file names it."""

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
NOT_MEASURED = ("data.batch_size", "data.augment", "model.optimizer", "model.scheduler", "model.compile",
                "model.channels_last", "model.network.pretrained", "model.network.weights")  # fmt: skip

# Beside the settings of an axis' value: names for ${axis.name}, where one label stands for several numbers.
VALUES = "values"
PLACEHOLDER = re.compile(r"\$\{(\w+(?:\.\w+)?)\}")


def merged(old: Any, new: Any) -> Any:
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
            result[key[:-1]] = [*_as_list(result.get(key[:-1])), *_as_list(value)]
        else:
            result[key] = merged(result.get(key), value)
    return result


def _with_init_args(spec: Settings) -> Settings:
    own = {key: spec[key] for key in spec if key in ("class_path", "init_args", "dict_kwargs")}
    arguments = {key: spec[key] for key in spec if key not in own}
    return {**own, "init_args": {**(own.get("init_args") or {}), **arguments}} if arguments else own


def _as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def nested(key: str, value: Any) -> Settings:
    """Return ``a.b`` and a value as ``{a: {b: value}}``."""
    for part in reversed(key.split(".")):
        value = {part: value}
    settings: Settings = value
    return settings


def filled_in(settings: Any, values: Mapping[str, Label]) -> Any:
    """Put values in the place of ``${name}``; where it is the whole text the value keeps its type."""
    if isinstance(settings, dict):
        return {key: filled_in(value, values) for key, value in settings.items()}
    if isinstance(settings, list):
        return [filled_in(value, values) for value in settings]
    if not isinstance(settings, str):
        return settings
    if whole := PLACEHOLDER.fullmatch(settings):
        return values[whole[1]]
    return PLACEHOLDER.sub(lambda found: str(values[found[1]]), settings)


def placeholders(settings: Any) -> set[str]:
    """Return the names in all ``${name}``."""
    if isinstance(settings, dict | list):
        each = settings.values() if isinstance(settings, dict) else settings
        return {name for value in each for name in placeholders(value)}
    return set(PLACEHOLDER.findall(settings)) if isinstance(settings, str) else set()


def dropout_of(settings: Settings) -> Any:
    """Return what the settings of a run make the network's dropout of, a class or its name; None if they do not."""
    network: Settings = merged((settings.get("model") or {}).get("network"), {"init_args": {}})
    return network["init_args"].get("dropout")


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
    flat: dict[str, Setting] = {"seed": settings["seed_everything"]}
    for limit in ("max_epochs", "max_steps", "precision"):
        if settings["trainer"][limit] not in (None, -1):
            flat[limit] = settings["trainer"][limit]
    flat |= _flat_by_class(settings["model"])
    # Under a short name, because it is what is compared.
    flat = {name.removeprefix("network.") if ".dropout" in name else name: flat[name] for name in flat}
    return flat | _flat_by_class(settings["data"], "data")


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
    return {name: str(value) if isinstance(value, list) else value}


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
    old, new = dict(_flat_whole(there)), dict(_flat_whole(here))
    return [
        f"{name.replace('.init_args', '').replace('.class_path', '')} is {old.get(name)} there and "
        f"{new.get(name)} here"
        for name in _unequal(old, new)
        if not ELSEWHERE.fullmatch(name)
    ]


def _flat_whole(value: Any, name: str = "") -> list[tuple[str, Any]]:
    if not (isinstance(value, dict | list) and value):
        return [(name, value)]
    items = value.items() if isinstance(value, dict) else enumerate(value)
    return [pair for key, each in items for pair in _flat_whole(each, f"{name}.{key}" if name else str(key))]


def _unequal(there: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    return [name for name in sorted({*there, *here}) if there.get(name) != here.get(name)]


def settings_hash(settings: Settings) -> str:
    """Return the name of what settings learn: BLAKE2b of 10 bytes, of canonical JSON, without what is technical."""
    parts = {key: value for key, value in settings.items() if key not in OUTSIDE}
    parts["trainer"] = {key: value for key, value in (parts.get("trainer") or {}).items() if key not in QUIET}
    text = json.dumps(_without_technical(parts), sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=10).hexdigest()


def _without_technical(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _without_technical(value[key]) for key in value if key not in TECHNICAL}
    return [_without_technical(each) for each in value] if isinstance(value, list) else value
