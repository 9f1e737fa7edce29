"""Reads a study's file: every key, axis and label in it is checked, and an error tells all in one line."""

import json
from collections.abc import Iterator, Sequence
from functools import reduce
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from dropout_lab.app.config.settings import VALUES, Settings, find_placeholders, merge, nest, settings_hash
from dropout_lab.app.config.yaml_files import parse_value, read_yaml
from dropout_lab.app.errors import UserError
from dropout_lab.app.study.spec import Axes, Labels, ShortForm, SpecError, Study, check_settings, unknown

NOT_SET = "not set"

# How pydantic's own errors are told; ``expected`` is what it allows.
WORDS = {
    "missing": "is missing",
    "too_short": "names no axis",
    "string_pattern_mismatch": "must be a single word for a folder, got {input!r}",
    "string_type": "must be a text, got {input!r}",
    "bool_type": "must be true or false, got {input!r}",
    "literal_error": "must be {expected}, got {input!r}",
}


def read_study(file: Path, form: str | None = None, changes: Sequence[str] = ()) -> Study:
    """Read a study, or its short form ``quick`` or ``reduced``, in which its name ends then.

    ``changes`` are settings that win over all others, ``key=value`` as in ``data.root=FOLDER``. A UserError says what
    is wrong: the file, the key, the value, and the remedy.
    """
    content = read_yaml(file)
    if "grid" not in content and {"model", "data", "trainer"} & content.keys():
        raise UserError(f"{file} is the config of a single fit: dropout-lab fit --config {file}")
    return make_study(content, str(file), file.parent, form, changes)


def make_study(
    content: Settings, where: str, beside: Path, form: str | None = None, changes: Sequence[str] = ()
) -> Study:
    """Make a study of what its file says; an error begins with ``where``, paths count from ``beside``."""
    try:
        whole = Study.model_validate(content, context={"beside": beside})
        return _apply_form(whole, form, [_change(change) for change in changes])
    except (SpecError, ValidationError) as error:
        raise UserError(f"{where}: {one_line(error)}") from error


def one_line(error: SpecError | ValidationError) -> str:
    """Return the first thing that is wrong: ``KEY: what, got VALUE; remedy``; KEY is ``grid.p.0.5`` or ``skip[0]``."""
    where: tuple[str | int, ...] = ()
    cause: Any = error
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False)[0]
        context, where = first.get("ctx", {}), first["loc"]
        words = WORDS.get(first["type"], "{msg}, got {input!r}")
        expected = str(context.get("expected")).replace("'", "")
        cause, text = context.get("error"), words.format(**first, expected=expected)
    if isinstance(cause, SpecError):
        where, text = (*where, *cause.where), str(cause)
    key = ""
    for part in where:
        key += f"[{part}]" if key in ("skip", "paper", "curves") else f".{part}" if key else str(part)
    return f"{key}: {text}" if key else text


def _change(change: str) -> Settings:
    key, equals, value = change.partition("=")
    if not (key and equals):
        raise UserError(f"--set needs KEY=VALUE such as data.root=FOLDER, got {change!r}")
    return check_settings(nest(key, parse_value(value)), "--set")


def _apply_form(whole: Study, form: str | None, changes: list[Settings]) -> Study:
    """Return the study that is run: a short form, or the whole, with changes that win over all settings."""
    short: ShortForm | None = ShortForm(grid={}) if form is None else getattr(whole, form)
    if short is None:
        raise SpecError(f"is missing: there is no such short form; leave out --{form}", str(form))
    axes, seeds = dict(whole.axes), short.seeds or whole.seeds
    for name, axis in short.axes.items():
        axes[name] = axis if any(axis.values()) else {label: axes[name].get(label, {}) for label in axis}
    compared = {"baseline": whole.report.baseline, "time": whole.report.time}
    for key, labels in compared.items():
        for name, label in labels.items() if isinstance(labels, dict) else ():
            if label not in axes[name]:
                raise SpecError(f"lacks {label}, with which report.{key} compares", str(form), "grid", name)
    before = merge(whole.base.settings, whole.overrides)
    # Where the data are, and the like, is nothing to tell.
    learned = [new for new in changes if settings_hash(merge(before, new)) != settings_hash(before)]
    told = _left_out(whole, seeds, axes, reduce(merge, learned, short.settings))
    # Rules and figures for labels that a short form leaves out are then not there.
    skip = (
        {axis: tuple(label for label in rule[axis] if label in axes[axis]) for axis in rule}
        for rule in whole.skip
    )

    def is_there(labels: Labels) -> bool:
        return all(label in axes[axis] for axis, label in labels.items())

    study = whole.model_copy(
        update={
            "name": whole.name if form is None else f"{whole.name}-{form}",
            "axes": axes,
            "overrides": reduce(merge, [whole.overrides, short.settings, *changes]),
            "skip": tuple(skip),
            "seeding": whole.seeding.model_copy(update={"values": seeds}),
            "paper": tuple(row for row in whole.paper if is_there(row.labels)),
            "curves": tuple(curve for curve in whole.curves if is_there(curve.labels)),
            "shortened": (*whole.shortened, *told),
            "form": form or whole.form,
            "quick": None,
            "reduced": None,
        }
    )
    _check_placeholders(study)
    return study


def _check_placeholders(study: Study) -> None:
    """Check that every placeholder has a value, and every axis an effect."""
    known = {"seed", *study.axes}
    for name, labels in study.axes.items():
        # Names that every label has a value for.
        common = set.intersection(*({*settings.get(VALUES, {})} for settings in labels.values()))
        known |= {f"{name}.{value}" for value in common}
    places: dict[str, Any] = {"base": study.base.settings, "overrides": study.overrides}
    places |= {f"grid.{name}": axis for name, axis in study.axes.items()}
    for where, settings in places.items():
        for holder in sorted(find_placeholders(settings) - known):
            raise SpecError(f"${{{holder}}}: {unknown('axis', holder, sorted(known))}", where)
    used = {
        holder.partition(".")[0] for settings in places.values() for holder in find_placeholders(settings)
    }
    for name, axis in study.axes.items():
        if name not in used and not any(settings.keys() - {VALUES} for settings in axis.values()):
            raise SpecError(f"changes nothing: no setting holds ${{{name}}}", "grid", name)


def _left_out(whole: Study, seeds: tuple[int, ...], axes: Axes, changed: Settings) -> list[str]:
    """Say what a part has instead of the whole: seeds, labels of each axis, settings."""
    values: list[tuple[str, list[Any], list[Any]]] = [("seeds", [*seeds], [*whole.seeds])]
    values += [(name, [*axes[name]], [*axis]) for name, axis in whole.axes.items()]
    lines = [
        f"{name} {', '.join(map(str, new))} instead of {', '.join(map(str, old))}"
        for name, new, old in values
        if new != old
    ]
    settings = merge(whole.base.settings, whole.overrides)
    before, after = dict(_flat(settings)), dict(_flat(merge(settings, changed)))
    return lines + [
        f"{key} {_value(value)} instead of {_value(before.get(key, NOT_SET))}"
        for key, value in after.items()
        if before.get(key, NOT_SET) != value
    ]


def _flat(settings: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Return settings by their path; the words between a class and its arguments are left out."""
    if not isinstance(settings, dict) or not settings:
        yield path, settings
        return
    for key, value in settings.items():
        inner = path if key in ("class_path", "init_args") else ".".join(filter(None, (path, str(key))))
        yield from _flat(value, inner)


def _value(value: Any) -> str:
    """Write a value as its file does."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    return f"{value:,}" if isinstance(value, int) else str(value)
