"""What to copy from a page: the settings by which a method differs from the baseline, as YAML, flags and Python."""

import json
import shlex
from collections.abc import Iterator
from typing import Any, NamedTuple

import yaml

from dropout_lab.app.config.settings import Settings, dropout_of, merge, short_name

OURS = "dropout_lab"
DROPOUT = ("model", "network", "init_args", "dropout")


class Snippet(NamedTuple):
    """A text to copy, and what it is for."""

    name: str
    use: str
    text: str


def snippets(settings: Settings, baseline: Settings) -> list[Snippet]:
    """Return what makes a run of the baseline's settings one of these: YAML, flags, and ``swap_dropout`` of a dropout.

    A dropout is whole, with its class and all arguments, so that it can be laid over any config; of all else there is
    what differs. None where nothing differs.
    """
    changed = _changes(settings, baseline)
    spec = dropout_of(settings)
    if spec is not None and spec != dropout_of(baseline):
        changed = merge(_without(changed, DROPOUT), _nested(DROPOUT, _spec(spec)))
    if not changed:
        return []
    text = yaml.safe_dump(changed, sort_keys=False, allow_unicode=True)
    flags = " ".join(word for path, value in _parts(changed) for word in _flags(path, value))
    found = [Snippet("YAML", "for --config", text), Snippet("flags", "for dropout-lab fit", flags + "\n")]
    if spec is not None and spec != dropout_of(baseline):
        others = [".".join(path) for path, _ in _parts(changed) if path != DROPOUT]
        found.append(Snippet("swap_dropout", "for any torch.nn.Module", _python(_spec(spec), others)))
    return found


def _spec(value: Any) -> Settings:
    return {"class_path": value} if isinstance(value, str) else dict(value)


def _changes(here: Settings, there: Settings) -> Settings:
    """Return the settings that are not the same, a class that is another one with all its arguments."""
    found: Settings = {}
    for key, value in here.items():
        other = there.get(key)
        if value == other or key == "seed_everything":
            continue
        if isinstance(value, dict) and isinstance(other, dict) and _same_class(value, other):
            found[key] = _changes(value, other)
        else:
            found[key] = value
    return found


def _same_class(here: Settings, there: Settings) -> bool:
    return here.get("class_path") == there.get("class_path")


def _without(settings: Settings, path: tuple[str, ...]) -> Settings:
    """Leave out what stands at a path, and what is empty then; all else keeps its order."""
    first, *rest = path
    found: Settings = {}
    for key, value in settings.items():
        inner = _without(value, tuple(rest)) if key == first and rest and isinstance(value, dict) else None
        if key != first or inner:
            found[key] = value if key != first else inner
    return found


def _nested(path: tuple[str, ...], value: Any) -> Settings:
    for key in reversed(path):
        value = {key: value}
    return dict(value)


def _parts(settings: Settings, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield the path and value of each class with its arguments, and of each other value."""
    for key, value in settings.items():
        if isinstance(value, dict) and value and "class_path" not in value:
            yield from _parts(value, (*path, str(key)))
        else:
            yield (*path, str(key)), value


def _flags(path: tuple[str, ...], value: Any) -> Iterator[str]:
    option = "--" + ".".join(key for key in path if key != "init_args")
    if not (isinstance(value, dict) and "class_path" in value):
        yield from (option, _word(value))
        return
    arguments = value.get("init_args") or {}
    if any(isinstance(each, dict | list) for each in arguments.values()):
        yield from (option, _word(value))
        return
    yield from (option, _word(value["class_path"]))
    for name, each in arguments.items():
        yield from (f"{option}.{name}", _word(each))


def _word(value: Any) -> str:
    return shlex.quote(value if isinstance(value, str) else json.dumps(value))


def _python(spec: Settings, others: list[str]) -> str:
    imported: dict[str, list[str]] = {OURS: ["labels", "swap_dropout"]}
    made = _expression(spec, imported)
    lines = [f"from {module} import {', '.join(sorted({*names}))}" for module, names in imported.items()]
    lines += ["", f"swap_dropout(model, lambda: {made})  # in place of each dropout layer of torch.nn"]
    lines += ["", "with labels(model, target):  # a training step; MalDrop and its like look at the labels"]
    lines += ["    logits = model(images)"]
    if others:
        lines += ["", f"# its runs differ from the baseline's in this too: {', '.join(others)}"]
    return "\n".join([*lines, ""])


def _expression(value: Any, imported: dict[str, list[str]]) -> str:
    """Write a value as Python, a class with its arguments as a call, whose name is then to be imported."""
    if isinstance(value, dict) and "class_path" in value:
        module = str(value["class_path"]).rpartition(".")[0]
        home = OURS if not module or module.split(".")[0] == OURS else module
        name = short_name(value) or ""
        imported.setdefault(home, []).append(name)
        arguments = (value.get("init_args") or {}).items()
        return f"{name}({', '.join(f'{key}={_expression(each, imported)}' for key, each in arguments)})"
    if isinstance(value, list):
        return f"[{', '.join(_expression(each, imported) for each in value)}]"
    return repr(value)
