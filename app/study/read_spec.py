"""Reads a study's file: every key, axis and label in it is checked, and an error tells all in one line."""

import difflib
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import reduce
from pathlib import Path
from typing import Any, Literal, final

from dropout_lab.app.config.settings import (
    VALUES,
    Label,
    Settings,
    merged,
    nested,
    placeholders,
    settings_hash,
)
from dropout_lab.app.config.shipped import find_config
from dropout_lab.app.config.yaml_files import parse_value, read_yaml
from dropout_lab.app.errors import UserError
from dropout_lab.app.study.spec import (
    FIGURES,
    FORMS,
    Extent,
    Labels,
    PaperNumbers,
    Report,
    Select,
    Study,
    left_out,
)

METRIC = re.compile(
    r"(train|val|test)/\w+(@(last)?\d+)?|step_seconds|train_seconds|seconds|steps|epochs|best_step|best_epoch|"
    r"first_steps/\S+"
)


@final
class Checker:
    """Knows the file, so that each error names it. Every method raises UserError for a value that it does not take."""

    def __init__(self, file: Path) -> None:
        """Keep the file's name."""
        self.file = file

    def mapping(
        self, value: Any, where: str, known: Iterable[str] | None = None, kind: str = "key"
    ) -> dict[str, Any]:
        """Return keys and values, none where nothing is given; ``known`` are the keys that may be there."""
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise self.wrong(where, f"must be keys and values, got {value!r}")
        if known is not None:
            self.known(value, where, known, kind)
        return value

    def known(self, value: dict[str, Any], where: str, known: Iterable[str], kind: str = "key") -> None:
        """Check that there is no other key."""
        for key in value:
            if key not in known:
                raise self.unknown(where, kind, str(key), known)

    def many(self, value: Any) -> list[Any]:
        """Return a list; one value is a list of one, null of none."""
        if value is None:
            return []
        return value if isinstance(value, list) else [value]

    def texts(self, value: Any, where: str) -> list[str]:
        """Return a list of texts."""
        texts = self.many(value)
        if not all(isinstance(text, str) for text in texts):
            raise self.wrong(where, f"must be texts, got {value!r}")
        return texts

    def names(self, value: Any, where: str, kind: str, known: Iterable[str]) -> tuple[str, ...]:
        """Return names of a kind, such as axes, each once."""
        names = self.texts(value, where)
        for place, name in enumerate(names):
            if name not in known:
                raise self.unknown(where, kind, name, known)
            if name in names[:place]:
                raise self.wrong(where, f"{name} stands twice")
        return tuple(names)

    def flag(self, value: Any, where: str) -> bool:
        """Return true or false; false where nothing is given."""
        if value not in (None, True, False):
            raise self.wrong(where, f"must be true or false, got {value!r}")
        return bool(value)

    def text(self, content: dict[str, Any], key: str) -> str:
        """Return a key's text; empty where nothing is given."""
        value = content.get(key, "")
        if not isinstance(value, str):
            raise self.wrong(key, f"must be a text, got {value!r}")
        return value

    def label(self, value: Any, where: str) -> Label:
        """Return what may name a value of an axis."""
        if type(value) not in (str, int, float):
            hint = "; YAML reads on, off, yes and no as such: put it in quotes" if type(value) is bool else ""
            raise self.wrong(where, f"a label must be a word or a number, got {value!r}{hint}")
        if isinstance(value, float) and not math.isfinite(value):
            raise self.wrong(where, f"a label must be a word or a finite number, got {value}")
        label: Label = value
        return label

    def on_axis(self, label: Any, axis: str, axes: dict[str, dict[Label, Settings]], where: str) -> Label:
        """Return a label that an axis has."""
        if type(label) not in (str, int, float) or label not in axes[axis]:
            raise self.unknown(where, f"value of {axis}", str(label), map(str, axes[axis]))
        known: Label = label
        return known

    def labels(self, value: Any, where: str, axes: dict[str, dict[Label, Settings]]) -> Labels:
        """Return labels by axis, each of which the axis has."""
        labels = self.mapping(value, where, tuple(axes), "axis")
        return {axis: self.on_axis(label, axis, axes, where) for axis, label in labels.items()}

    def metric(self, value: Any, where: str) -> str:
        """Return the name of a metric."""
        if not (isinstance(value, str) and METRIC.fullmatch(value)):
            raise self.wrong(where, f"must be a metric such as val/accuracy or train_seconds, got {value!r}")
        return value

    def wrong(self, where: str, text: str) -> UserError:
        """Make the error for a value."""
        return UserError(f"{self.file}: {where}: {text}")

    def unknown(self, where: str, kind: str, name: str, known: Iterable[str], before: str = "") -> UserError:
        """Make the error for a name, with the one that may be meant."""
        names = list(known)
        close = difflib.get_close_matches(name, names, n=1)
        hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(names)}"
        return UserError(f"{self.file}: {where + ': ' if where else ''}{before}no {kind} {name!r}; {hint}")


def known_names(axes: Mapping[str, Mapping[Label, Settings]]) -> set[str]:
    """Return all names: seed, each axis, and those of its values that every one of its labels has."""
    names = {"seed", *axes}
    for axis, labels in axes.items():
        common = set.intersection(*({*settings.get(VALUES, {})} for settings in labels.values()))
        names |= {f"{axis}.{name}" for name in common}
    return names


def check_placeholders(check: Checker, study: Study) -> None:
    """Check that every placeholder has a value, and every axis an effect.

    Raises:
        UserError: one has none; an axis changes nothing.
    """
    known = known_names(study.axes)
    inside = {f"grid.{name}": axis for name, axis in study.axes.items()}
    places: dict[str, Any] = {"base": study.base, "overrides": study.overrides, **inside}
    for where, settings in places.items():
        for name in sorted(placeholders(settings) - known):
            raise check.unknown(where, "axis", name, sorted(known), f"${{{name}}}: ")
    used = {name.partition(".")[0] for settings in places.values() for name in placeholders(settings)}
    for name, axis in study.axes.items():
        if name not in used and not any(settings.keys() - {VALUES} for settings in axis.values()):
            raise check.wrong(f"grid.{name}", f"changes nothing: no setting holds ${{{name}}}")


def read_select(check: Checker, value: Any, axes: dict[str, dict[Label, Settings]]) -> Select | None:
    """Return which run stands for several; None where each is shown.

    Raises:
        UserError: there is no such axis, or it would be chosen on the test split.
    """
    if value is None:
        return None
    select = check.mapping(value, "select", ("over", "by", "mode"))
    over = check.names(select.get("over"), "select.over", "axis", axes)
    if not over:
        raise check.wrong("select.over", "names no axis")
    by = check.metric(select.get("by"), "select.by")
    if by.startswith("test/"):
        raise check.wrong("select.by", f"must not be chosen on the test split, got {by!r}; take val/…")
    mode: Literal["max", "min"]
    if select.get("mode", "max") == "max":
        mode = "max"
    elif select["mode"] == "min":
        mode = "min"
    else:
        raise check.wrong("select.mode", f"must be max or min, got {select['mode']!r}")
    return Select(over, by, mode)


def read_report(
    check: Checker, value: Any, axes: dict[str, dict[Label, Settings]], select: Select | None
) -> Report:
    """Return what is shown.

    Raises:
        UserError: there is no such axis, metric or figure, or an axis has two uses.
    """
    known = ("rows", "columns", "metric", "baseline", "figures", "time", "recommend")
    report = check.mapping(value, "report", known)
    rows = check.names(report.get("rows"), "report.rows", "axis", axes)
    metrics = tuple(check.metric(name, "report.metric") for name in check.many(report.get("metric")))
    if not rows or not metrics:
        raise check.wrong("report", "needs rows, an axis, and metric, such as test/accuracy")
    columns = check.names(report.get("columns"), "report.columns", "axis", axes)
    baseline = check.labels(report.get("baseline"), "report.baseline", axes)
    chosen = select.over if select else ()
    taken = {
        "rows": (rows, chosen),
        "columns": (columns, (*chosen, *rows)),
        "baseline": (baseline, chosen),
    }
    for key, (named, others) in taken.items():
        for axis in named:
            if axis in others:
                use = "is selected over" if axis in chosen else "has the rows"
                raise check.wrong(f"report.{key}", f"must not name {axis}, which {use}")
    return Report(
        rows,
        columns,
        metrics,
        baseline,
        check.names(report.get("figures"), "report.figures", "figure", FIGURES),
        *(check.flag(report.get(key), f"report.{key}") for key in ("time", "recommend")),
    )


def read_paper(check: Checker, value: Any, axes: dict[str, dict[Label, Settings]]) -> list[PaperNumbers]:
    """Return the source's numbers.

    Raises:
        UserError: a key is neither an axis nor a metric, or a value no number.
    """
    found = []
    for place, row in enumerate(check.many(value)):
        where = f"paper[{place}]"
        content = check.mapping(row, where)
        labels = {key: content[key] for key in content if key in axes}
        metrics = {}
        for key in content.keys() - labels.keys():
            if not METRIC.fullmatch(str(key)):
                raise check.unknown(where, "axis or metric", str(key), axes)
            if type(content[key]) not in (int, float):
                raise check.wrong(f"{where}.{key}", f"must be a number, got {content[key]!r}")
            metrics[key] = float(content[key])
        found.append(PaperNumbers(check.labels(labels, where, axes), metrics))
    return found


KEYS = ("name", "title", "source", "base", "grid", "overrides", "skip", "seeds", "select", "report", "paper",
        "deviations", "shortened", *FORMS)  # fmt: skip
WORD = re.compile(r"\w[\w.-]*")


def read_study(file: Path, form: str | None = None, changes: Sequence[str] = ()) -> Study:
    """Read a study.

    Args:
        file: its YAML file.
        form: one of its short forms, ``quick`` or ``reduced``; the study's name then ends with ``-quick``. None: whole.
        changes: settings that win over all others, ``key=value`` as in ``data.root=FOLDER``.

    Raises:
        UserError: something in it is wrong: the file, the key, the value, and the remedy.
    """
    return _Reader(file).study(read_yaml(file), form, changes)


@final
class _Reader:
    """Knows the file, so that each error names it."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.check = Checker(file)

    def study(self, content: dict[str, Any], form: str | None, given: Sequence[str]) -> Study:
        self.check.known(content, "", KEYS)
        for key in ("name", "base", "grid", "seeds", "report"):
            if key not in content:
                raise self.check.wrong(key, "is missing")
        name = self.check.text(content, "name")
        if not WORD.fullmatch(name):
            raise self.check.wrong("name", f"must be a single word for a folder, got {name!r}")
        base = self._base(content["base"])
        overrides = self._settings(content.get("overrides"), "overrides")
        told_before = self.check.texts(content.get("shortened"), "shortened")
        whole = Extent(self._grid(content["grid"]), self._seeds(content["seeds"], "seeds"), {})
        # All are read, so that a mistake in one is found before somebody needs it.
        forms = {key: self._short_form(content[key], key, whole) for key in FORMS if key in content}
        part = whole
        if form is not None:
            if form not in forms:
                raise self.check.wrong(form, f"is missing: there is no such short form; leave out --{form}")
            name, part = f"{name}-{form}", forms[form]
        changes = [self._change(change) for change in given]
        select = read_select(self.check, content.get("select"), whole.axes)
        report = read_report(self.check, content["report"], whole.axes, select)
        for axis, label in report.baseline.items():
            if label not in part.axes[axis]:
                raise self.check.wrong(
                    f"{form}.grid.{axis}", f"lacks {label}, with which report.baseline compares"
                )
        settings = merged(base, overrides)
        # Where the data are, and the like, is nothing to tell.
        learned = [new for new in changes if settings_hash(merged(settings, new)) != settings_hash(settings)]
        told = left_out(replace(part, settings=reduce(merged, learned, part.settings)), whole, settings)
        # Short forms have fewer labels: rules and figures for the others are then not there.
        study = Study(
            name=name,
            title=self.check.text(content, "title"),
            source=self.check.text(content, "source"),
            base=base,
            axes=part.axes,
            overrides=reduce(merged, [overrides, part.settings, *changes]),
            skip=tuple(
                {
                    axis: tuple(label for label in labels if label in part.axes[axis])
                    for axis, labels in rule.items()
                }
                for rule in self._skip(content.get("skip"), whole.axes)
            ),
            seeds=part.seeds,
            select=select,
            report=report,
            paper=tuple(
                numbers
                for numbers in read_paper(self.check, content.get("paper"), whole.axes)
                if all(label in part.axes[axis] for axis, label in numbers.labels.items())
            ),
            deviations=tuple(self.check.texts(content.get("deviations"), "deviations")),
            shortened=(*told_before, *told),
        )
        check_placeholders(self.check, study)
        return study

    def _base(self, value: Any) -> Settings:
        base = self.check.mapping(value, "base", ("configs", "settings"))
        settings: Settings = {}
        for config in self.check.texts(base.get("configs"), "base.configs"):
            try:
                path = find_config(config, beside=self.file.parent)
            except UserError as error:
                raise self.check.wrong("base.configs", str(error)) from error
            settings = merged(settings, read_yaml(path))
        own = self._settings(base.get("settings"), "base.settings")
        whole: Settings = merged(settings, own)
        of_runs = {key: whole[key] for key in whole if key not in ("seed_everything", "name", "runs")}
        return self._settings(of_runs, "base")

    def _grid(self, value: Any) -> dict[str, dict[Label, Settings]]:
        if not isinstance(value, dict) or not value:
            raise self.check.wrong("grid", f"must be named axes with values, got {value!r}")
        for name in value:
            if not (isinstance(name, str) and re.fullmatch(r"\w+", name)) or name == "seed":
                raise self.check.wrong(
                    "grid", f"an axis must be named by a word other than seed, got {name!r}"
                )
        return {name: self._axis(axis, f"grid.{name}") for name, axis in value.items()}

    def _axis(self, value: Any, where: str) -> dict[Label, Settings]:
        if not isinstance(value, dict | list) or not value:
            raise self.check.wrong(where, f"must be a list of values or labels with settings, got {value!r}")
        labels = [self.check.label(label, where) for label in value]
        for place, label in enumerate(labels):
            # 1 and 1.0 are one value, 1 and "1" one word of --only and of results.csv.
            if label in labels[:place] or str(label) in map(str, labels[:place]):
                raise self.check.wrong(where, f"{label} stands twice")
        if isinstance(value, list):
            return {label: {} for label in labels}
        return {label: self._settings(value[label], f"{where}.{label}") for label in labels}

    def _short_form(self, value: Any, form: str, whole: Extent) -> Extent:
        content = self.check.mapping(value, form, ("seeds", "settings", "grid"))
        return Extent(
            self._short_grid(content.get("grid"), f"{form}.grid", whole.axes),
            self._seeds(content["seeds"], f"{form}.seeds") if "seeds" in content else whole.seeds,
            self._settings(content.get("settings"), f"{form}.settings"),
        )

    def _short_grid(
        self, value: Any, place: str, axes: dict[str, dict[Label, Settings]]
    ) -> dict[str, dict[Label, Settings]]:
        short = self.check.mapping(value, place, tuple(axes), "axis")
        result = dict(axes)
        for name, axis in short.items():
            where = f"{place}.{name}"
            if isinstance(axis, list) and any(axes[name].values()):
                for label in axis:
                    self.check.on_axis(label, name, axes, where)
                result[name] = {label: axes[name][label] for label in self._axis(axis, where)}
            else:
                result[name] = self._axis(axis, where)
        return result

    def _change(self, change: str) -> Settings:
        key, equals, value = change.partition("=")
        if not (key and equals):
            raise UserError(f"--set needs KEY=VALUE such as data.root=FOLDER, got {change!r}")
        return self._settings(nested(key, parse_value(value)), "--set")

    def _settings(self, value: Any, where: str) -> Settings:
        settings = self.check.mapping(value, where)
        self.check.mapping(settings.get(VALUES), f"{where}.{VALUES}")
        for key in ("model", "trainer"):
            self.check.mapping(settings.get(key), f"{where}.{key}")
        for key, remedy in (("seed_everything", "give seeds"), ("name", "give the study's name")):
            if key in settings:
                raise self.check.wrong(f"{where}.{key}", f"is not a run's in a study; {remedy}")
        return settings

    def _skip(self, value: Any, axes: dict[str, dict[Label, Settings]]) -> list[dict[str, tuple[Label, ...]]]:
        rules = []
        for place, rule in enumerate(self.check.many(value)):
            where = f"skip[{place}]"
            parsed = {}
            for axis, labels in self.check.mapping(rule, where, tuple(axes), "axis").items():
                many = labels if isinstance(labels, list) else [labels]
                parsed[axis] = tuple(self.check.on_axis(label, axis, axes, where) for label in many)
            if not parsed:
                raise self.check.wrong(where, "names no axis, and would skip every run")
            rules.append(parsed)
        return rules

    def _seeds(self, value: Any, where: str) -> tuple[int, ...]:
        seeds = self.check.many(value)
        if (
            not seeds
            or not all(type(seed) is int and seed >= 0 for seed in seeds)
            or len(set(seeds)) < len(seeds)
        ):
            raise self.check.wrong(where, f"must be whole numbers of 0 or more, each once, got {value!r}")
        return tuple(seeds)
