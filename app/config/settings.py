"""A run's settings as plain values: what checkpoints carry, what names a run, what tables show."""

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from dropout_lab.app.config.yaml_files import _Loader
from dropout_lab.app.errors import UserError

Setting = str | int | float | bool

# Arguments that say how or where something is computed rather than what is learned.
TECHNICAL = {
    "cache",
    "capturable",
    "device",
    "differentiable",
    "download",
    "foreach",
    "fused",
    "image_shape",
    "num_classes",
    "num_workers",
    "root",
}

# Of a fit's config, what may differ in a run that goes on.
ELSEWHERE = re.compile(
    r"config|name|runs|run|resume|force|ckpt_path|data\.init_args\.(cache|download|num_workers|root)|"
    r"trainer\.(default_root_dir|enable_model_summary|enable_progress_bar)"
)


def specification(dump: str, linked: dict[str, Any]) -> dict[str, Any]:
    """Return a command's settings as plain values, complete enough to build the model again.

    Args:
        dump: the command's options as YAML.
        linked: the network's arguments that the data fill in, by name.
    """
    settings: dict[str, Any] = yaml.safe_load(dump)
    network = settings["model"]["network"]["init_args"]
    for name, value in linked.items():
        network[name] = list(value) if isinstance(value, tuple) else value
    # By this key Lightning's load_from_checkpoint knows how to build nested classes again.
    settings["model"]["_instantiator"] = "pytorch_lightning.cli.instantiate_module"
    return settings


def short_name(spec: dict[str, Any] | str | None) -> str | None:
    """Return a class's name without its module."""
    path = spec["class_path"] if isinstance(spec, dict) else spec
    return path.rsplit(".", 1)[-1] if path else None


def run_name(settings: dict[str, Any]) -> str:
    """Return ``--name``, or ``data-network-dropout`` in small letters."""
    if settings["name"]:
        if Path(settings["name"]).name != settings["name"] or settings["name"] == "..":
            raise UserError(f"name must be a single word for a folder, got {settings['name']!r}; see --runs")
        return str(settings["name"])
    network = settings["model"]["network"]
    parts = [
        (short_name(settings["data"]) or "").removesuffix("DataModule"),
        short_name(network),
        short_name(network["init_args"].get("dropout")),
    ]
    return "-".join(part for part in parts if part).lower()


def changed_settings(there: dict[str, Any], here: dict[str, Any]) -> list[str]:
    """Return what of data, model and limits is not the same in two specifications, by flat name.

    Batch sizes, technical settings, ways to be faster and weights that a fit has started from do not change what is
    measured.
    """
    flat: list[dict[str, Setting]] = []
    for settings in (there, here):
        found: dict[str, Setting] = {}
        for part in ("model", "data"):
            _flatten(part, {key: value for key, value in settings[part].items() if key[0] != "_"}, found)
        for split in ("val", "test", "predict"):
            limit = settings["trainer"].get(f"limit_{split}_batches")
            found[f"trainer.limit_{split}_batches"] = "all" if limit is None else limit
        flat.append(found)
    names = sorted(flat[0].keys() | flat[1].keys())
    start = ("model.network.pretrained", "model.network.weights")
    speed = ("model.compile", "model.channels_last")
    skipped = ("data.batch_size", "data.augment", "model.optimizer", "model.scheduler", *speed, *start)
    return [name for name in names if flat[0].get(name) != flat[1].get(name) and not name.startswith(skipped)]


def differences(there: dict[str, Any], here: dict[str, Any]) -> list[str]:
    """Return in words what two configs of a fit differ in, but for where things are and what is shown meanwhile."""
    flat: list[dict[str, Any]] = [{}, {}]
    for settings, found in zip((there, here), flat, strict=True):
        _flatten_all("", settings, found)
    names = sorted(flat[0].keys() | flat[1].keys())
    return [
        f"{name.replace('.init_args', '').replace('.class_path', '')} is {flat[0].get(name)} there and "
        f"{flat[1].get(name)} here"
        for name in names
        if flat[0].get(name) != flat[1].get(name) and not ELSEWHERE.fullmatch(name)
    ]


def flat_settings(settings: dict[str, Any]) -> dict[str, Setting]:
    """Return the settings that tell runs apart, flat: ``dropout.p``, ``data.batch_size``, …

    A class is its short name; lists are texts; what is null or technical is left out.
    """
    flat: dict[str, Setting] = {"seed": settings["seed_everything"]}
    for limit in ("max_epochs", "max_steps", "precision"):
        value = settings["trainer"][limit]
        if value not in (None, -1):
            flat[limit] = value
    model = {key: value for key, value in settings["model"].items() if not key.startswith("_")}
    _flatten("", model, flat)
    # Under a short name, because it is what is compared.
    flat = {name.removeprefix("network.") if ".dropout" in name else name: flat[name] for name in flat}
    _flatten("data", settings["data"], flat)
    return flat


def _flatten(prefix: str, value: Any, flat: dict[str, Setting]) -> None:
    if isinstance(value, dict):
        if "class_path" in value:
            flat[prefix] = short_name(value) or ""
            value = value.get("init_args", {})
        for key in sorted(value.keys() - TECHNICAL):
            _flatten(f"{prefix}.{key}" if prefix else key, value[key], flat)
    elif isinstance(value, list):
        flat[prefix] = str(value)
    elif value is not None:
        flat[prefix] = value


def _flatten_all(prefix: str, value: Any, flat: dict[str, Any]) -> None:
    if isinstance(value, dict) and value:
        for key, each in value.items():
            _flatten_all(f"{prefix}.{key}" if prefix else str(key), each, flat)
    elif isinstance(value, list) and value:
        for number, each in enumerate(value):
            _flatten_all(f"{prefix}.{number}", each, flat)
    else:
        flat[prefix] = value


Settings = dict[str, Any]
Label = str | int | float
"""A value of an axis, as the file names it."""

# Options of a fit that say where and how it is written rather than what is learned.
OUTSIDE = {"config", "name", "runs", "run", "ckpt_path"}
QUIET = {"default_root_dir", "enable_model_summary", "enable_progress_bar", "log_every_n_steps", "logger"}
# Beside the settings of an axis' value: names for ${axis.name}, where one label stands for several numbers.
VALUES = "values"
PLACEHOLDER = re.compile(r"\$\{(\w+(?:\.\w+)?)\}")


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+"), list("-+0123456789")
)


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
        old, new = _spelt_out(old), _spelt_out(new)
        if "class_path" in old and new.get("class_path", old["class_path"]) != old["class_path"]:
            old = {}
    result = dict(old)
    for key, value in new.items():
        if isinstance(key, str) and key.endswith("+"):
            result[key[:-1]] = [*_as_list(result.get(key[:-1])), *_as_list(value)]
        else:
            result[key] = merged(result.get(key), value)
    return result


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
    if isinstance(settings, dict):
        return {name for value in settings.values() for name in placeholders(value)}
    if isinstance(settings, list):
        return {name for value in settings for name in placeholders(value)}
    return set(PLACEHOLDER.findall(settings)) if isinstance(settings, str) else set()


def dropout_of(settings: Settings) -> Any:
    """Return what the settings of a run make the network's dropout of, a class or its name; None if they do not."""
    network: Settings = merged((settings.get("model") or {}).get("network"), {"init_args": {}})
    return network["init_args"].get("dropout")


def settings_hash(settings: Settings) -> str:
    """Return the name of what settings learn: BLAKE2b of 10 bytes, of canonical JSON, without what is technical."""
    parts = {key: value for key, value in settings.items() if key not in OUTSIDE}
    parts["trainer"] = {key: value for key, value in (parts.get("trainer") or {}).items() if key not in QUIET}
    text = json.dumps(_without_technical(parts), sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=10).hexdigest()


def _without_technical(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _without_technical(value[key]) for key in value if key not in TECHNICAL}
    if isinstance(value, list):
        return [_without_technical(each) for each in value]
    return value


def _spelt_out(spec: Settings) -> Settings:
    own = {key: spec[key] for key in spec if key in ("class_path", "init_args", "dict_kwargs")}
    arguments = {key: spec[key] for key in spec if key not in own}
    return {**own, "init_args": {**(own.get("init_args") or {}), **arguments}} if arguments else own


def _as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
