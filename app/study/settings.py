"""Settings as plain values, as in a fit's YAML: read, laid over one another, filled in, named by a hash.

Nothing here imports torch.
"""

import hashlib
import json
import re
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any, final

import yaml

from app.errors import UserError
from app.specification import TECHNICAL
from app.yaml_bounds import check_bounds

Settings = dict[str, Any]
Label = str | int | float
"""A value of an axis, as the file names it."""

# Options of a fit that say where and how it is written rather than what is learned.
OUTSIDE = {"config", "name", "runs", "run", "ckpt_path"}
QUIET = {"default_root_dir", "enable_model_summary", "enable_progress_bar", "log_every_n_steps", "logger"}
# Beside the settings of an axis' value: names for ${axis.name}, where one label stands for several numbers.
VALUES = "values"
PLACEHOLDER = re.compile(r"\$\{(\w+(?:\.\w+)?)\}")


@final
class _Loader(yaml.SafeLoader):
    """Reads ``1e-3`` as a number, as the command line does, and lets no key stand twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Return the mapping.

        Raises:
            yaml.MarkedYAMLError: a key stands twice.
        """
        seen = set()
        for key, _ in node.value:
            # A merge of an anchor, <<, is no key, and may stand beside others.
            if key.tag == "tag:yaml.org,2002:merge":
                continue
            name = self.construct_object(key, deep=True)
            # Lists and mappings are no keys, as the base class says.
            if isinstance(name, Hashable) and name in seen:
                raise yaml.MarkedYAMLError(problem=f"{name} stands twice", problem_mark=key.start_mark)
            if isinstance(name, Hashable):
                seen.add(name)
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+"), list("-+0123456789")
)


def read_yaml(file: Path) -> dict[str, Any]:
    """Read a file that holds a mapping.

    Raises:
        UserError: it is missing, no text, no YAML, or something else; a key stands twice.
    """
    try:
        content = _loaded(file.read_text())
    except OSError as error:
        raise UserError(f"no file {file} ({error.strerror}); give the path of a YAML file") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{file}: is no text in UTF-8; save it as such, or name another file") from error
    except yaml.YAMLError as error:
        raise UserError(f"{file}: {one_line(error)}") from error
    if not isinstance(content, dict):
        found = "nothing" if content is None else type(content).__name__
        raise UserError(
            f"{file}: must be keys and values, got {found}; see the files in configs/ for examples"
        )
    return content


def parse_value(text: str) -> Any:
    """Return what a value of a flag means in YAML.

    Raises:
        UserError: it is no YAML.
    """
    try:
        return _loaded(text)
    except yaml.YAMLError as error:
        raise UserError(f"{text!r}: {one_line(error)}") from error


def _loaded(text: str) -> Any:
    check_bounds(text)
    try:
        return yaml.load(text, _Loader)
    except ValueError as error:
        # Of a number or a date that is none, such as 2020-13-01.
        raise yaml.YAMLError(str(error)) from error


def one_line(error: yaml.YAMLError) -> str:
    """Tell what is wrong with a YAML text, and in which line."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"line {error.problem_mark.line + 1}: {error.problem}; mend the YAML there"
    return " ".join(str(error).split())


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
