"""What a study asks, as frozen values; :mod:`dropout_lab.app.study.read_spec` makes them of a file.

Nothing here imports torch.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from dropout_lab.app.config.settings import Label, Settings, merged

Labels = dict[str, Label]
"""A label for some or all axes, by axis."""


PANELS = "panels"
"""The kind of figure for which runs keep right and wrong test images."""

FIGURES = ("curves", "loss", "time", "sweep", "bars", "schedules", "distributions", PANELS)
"""Kinds of figures that a report may have."""


@dataclass(frozen=True)
class Select:
    """Which run stands for several: per remaining combination and seed, the best by a metric.

    Attributes:
        over: axes whose values compete.
        by: metric that decides, of validation.
        mode: whether it is better the higher or the lower it is.
    """

    over: tuple[str, ...]
    by: str
    mode: Literal["max", "min"]


@dataclass(frozen=True)
class Report:
    """What the report shows.

    Attributes:
        rows: axes whose values are the table's rows.
        columns: axes whose values are its columns; empty: one column.
        metrics: what the table shows: of ``result.json``'s metrics or its other figures; the first is compared.
        baseline: labels of what all else is compared with, paired by seed; empty: no comparison.
        figures: kinds of figures.
        time: whether the table also has the training time of a step, relative to the baseline's.
        recommend: whether the report ends in advice: which of the rows to take.
    """

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    metrics: tuple[str, ...]
    baseline: Labels
    figures: tuple[str, ...]
    time: bool = False
    recommend: bool = False


@dataclass(frozen=True)
class PaperNumbers:
    """What the source says of a combination.

    Attributes:
        labels: the combination, by axis; an axis that the source has chosen over is left out.
        metrics: its figures.
    """

    labels: Labels
    metrics: dict[str, float]


@dataclass(frozen=True)
class Study:
    """A question, and the runs that answer it.

    Attributes:
        name: of its folder.
        title: of its report.
        source: where the question comes from.
        base: settings of every run.
        axes: by name, each value's label and the settings that it changes; in this order they are laid over the base.
        overrides: settings that win over the axes'.
        skip: combinations that are not run: by axis, labels; a combination that matches one on all its axes is out.
        seeds: of each combination, the same for all, so that runs are paired.
        select: None: every combination is shown.
        report: what the report shows.
        paper: the source's figures.
        deviations: from the source.
        shortened: what these runs have instead of the whole study's, each in words; empty: they are the whole.
    """

    name: str
    title: str
    source: str
    base: Settings
    axes: dict[str, dict[Label, Settings]]
    overrides: Settings
    skip: tuple[dict[str, tuple[Label, ...]], ...]
    seeds: tuple[int, ...]
    select: Select | None
    report: Report
    paper: tuple[PaperNumbers, ...]
    deviations: tuple[str, ...]
    shortened: tuple[str, ...] = ()

    def as_file(self) -> dict[str, Any]:
        """Return the study as a file of its own: with no other file it reads back to the same."""
        return {
            "name": self.name,
            "title": self.title,
            "source": self.source,
            "base": {"settings": self.base},
            "grid": {
                name: dict(axis) if any(axis.values()) else list(axis) for name, axis in self.axes.items()
            },
            "overrides": self.overrides,
            "skip": [{axis: list(labels) for axis, labels in rule.items()} for rule in self.skip],
            "seeds": list(self.seeds),
            "select": None
            if self.select is None
            else {"over": list(self.select.over), "by": self.select.by, "mode": self.select.mode},
            "report": {
                "rows": list(self.report.rows),
                "columns": list(self.report.columns),
                "metric": list(self.report.metrics),
                "baseline": self.report.baseline,
                "figures": list(self.report.figures),
                "time": self.report.time,
                "recommend": self.report.recommend,
            },
            "paper": [{**numbers.labels, **numbers.metrics} for numbers in self.paper],
            "deviations": list(self.deviations),
            "shortened": list(self.shortened),
        }


FORMS = {
    "quick": "about two minutes on two cores: it shows that all works, and reproduces nothing",
    "reduced": "what two cores can do in some ten minutes: fewer images, epochs or seeds than the source",
}
"""A study may have these sections; each is an option of ``study``, and its runs a folder of their own."""

NOT_SET = "not set"


@dataclass(frozen=True)
class Extent:
    """How much is run, of the whole study or of a short form.

    Attributes:
        axes: of the grid, with their labels.
        seeds: of each combination.
        settings: on top of all others; none for the whole study.
    """

    axes: dict[str, dict[Label, Settings]]
    seeds: tuple[int, ...]
    settings: Settings


def left_out(part: Extent, whole: Extent, base: Settings) -> tuple[str, ...]:
    """Say what a part has instead of the whole: seeds, labels of each axis, settings.

    Args:
        part: what is run.
        whole: the study.
        base: settings of every run of the whole study.
    """
    lines = []
    if part.seeds != whole.seeds:
        lines.append(f"seeds {_listed(part.seeds)} instead of {_listed(whole.seeds)}")
    for name, axis in whole.axes.items():
        if list(part.axes[name]) != list(axis):
            lines.append(f"{name} {_listed(part.axes[name])} instead of {_listed(axis)}")
    before, after = dict(_flat(base)), dict(_flat(merged(base, part.settings)))
    lines += [
        f"{key} {_value(value)} instead of {_value(before.get(key, NOT_SET))}"
        for key, value in after.items()
        if before.get(key, NOT_SET) != value
    ]
    return tuple(lines)


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


def _listed(values: Any) -> str:
    return ", ".join(map(str, values))
