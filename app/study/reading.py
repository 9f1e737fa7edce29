"""Reads a study's file: every key, axis and label in it is checked, and an error tells all in one line."""

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from pathlib import Path
from typing import Any, final

from app.errors import UserError
from app.study.checked import Checker
from app.study.placeholders import check_placeholders
from app.study.reading_report import read_paper, read_report, read_select
from app.study.settings import (
    VALUES,
    Label,
    Settings,
    merged,
    nested,
    parse_value,
    read_yaml,
    settings_hash,
)
from app.study.shortened import FORMS, Extent, left_out
from app.study.spec import Study

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
            path = self.file.parent / config
            if not path.is_file():
                raise self.check.wrong(
                    "base.configs", f"no file {path}; paths count from the study's own folder"
                )
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
