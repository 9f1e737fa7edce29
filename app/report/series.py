"""Curves over seeds: means and bands as plain arrays, before anything is drawn."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from app.report.cells import Cells, Group
from app.report.numbers import scaled
from app.report.statistics import estimate
from app.study.spec import Labels

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Series:
    """A line with its band.

    Attributes:
        x: places.
        mean: over seeds.
        half: half the 95 % interval; 0 where there is one seed.
    """

    x: Array
    mean: Array
    half: Array


def history(group: Group, metric: str, over: str) -> Series | None:
    """Return a metric over training: the mean over seeds at each row of ``epochs.csv``.

    Rows that not all seeds have, as where one was stopped early, end the line; rows without the metric are left out.

    Args:
        group: runs by seed.
        metric: a column.
        over: the column that says where: ``epoch``, ``step`` or ``seconds``, of which the mean is taken.
    """
    runs = [group[seed].history for seed in sorted(group)]
    rows = _rows(runs, metric, over)
    if not rows:
        return None
    found = [estimate([scaled(metric, run[metric][row]) for run in runs]) for row in rows]
    # Epochs are counted from 0, and what a row says is reached at its end.
    shift = 1 if over == "epoch" else 0
    x = [float(np.mean([run[over][row] for run in runs])) + shift for row in rows]
    return Series(
        np.array(x), np.array([each.mean for each in found]), np.array([each.half or 0.0 for each in found])
    )


def extent(group: Group, least: str, most: str, over: str) -> tuple[Array, Array] | None:
    """Return the least and the most that any seed has at each row where :func:`history` has a point.

    Args:
        group: runs by seed.
        least: the column of the least.
        most: the column of the most.
        over: the column that says where.
    """
    runs = [group[seed].history for seed in sorted(group)]
    rows = _rows(runs, least, over)
    if not rows or rows != _rows(runs, most, over):
        return None
    low = [min(run[least][row] for run in runs) for row in rows]
    return np.array(low), np.array([max(run[most][row] for run in runs) for row in rows])


def _rows(runs: list[dict[str, list[float]]], metric: str, over: str) -> list[int]:
    """Return the rows in which all runs have a metric."""
    if not runs or any(metric not in run or over not in run for run in runs):
        return []
    length = min(len(run[metric]) for run in runs)
    return [row for row in range(length) if all(np.isfinite(run[metric][row]) for run in runs)]


def source_points(cells: Cells, labels: Labels, metric: str) -> tuple[Array, Array]:
    """Return epochs and values of the source's own curve, as far as the study has its numbers: ``metric@epoch``.

    Args:
        cells: of the study.
        labels: of one cell.
        metric: without an epoch.
    """
    names = {name for numbers in cells.study.paper for name in numbers.metrics}
    epochs = sorted(
        int(at)
        for name in names
        for start, _, at in [name.partition("@")]
        if start == metric and at.isdecimal()
    )
    found = [(epoch, cells.paper(labels, f"{metric}@{epoch}")) for epoch in epochs]
    points = [(epoch, scaled(metric, value)) for epoch, value in found if value is not None]
    return np.array([epoch for epoch, _ in points], float), np.array([value for _, value in points], float)


def time_axis(cells: Cells) -> str:
    """Return ``step`` where a study validates more than once an epoch, else ``epoch``."""
    for run in cells.results.runs:
        epochs = run.history.get("epoch", [])
        if len(set(epochs)) < len(epochs):
            return "step"
    return "epoch"


def sweep_axis(cells: Cells) -> str | None:
    """Return the axis whose values are numbers: the one that is selected over, or else is not the methods'."""
    study = cells.study
    selected = study.select.over if study.select else ()
    shown = (*study.report.columns, *study.report.rows)
    others = tuple(axis for axis in study.axes if axis not in (*selected, *shown))
    for axis in (*selected, *others, *shown):
        values = study.axes[axis]
        if len(values) > 1 and not any(isinstance(value, str) for value in values):
            return axis
    return None


def sweep_line(cells: Cells, labels: Labels, axis: str, metric: str) -> Series | None:
    """Return a metric over the values of a numeric axis; None where fewer than two values differ.

    Args:
        cells: all runs, without a selection.
        labels: of the other axes.
        axis: whose values are numbers.
        metric: that is shown.
    """
    places, found, runs = [], [], set()
    for value in cells.study.axes[axis]:
        there = cells.estimate(labels | {axis: value}, metric)
        if there is not None:
            places.append(float(value))
            found.append(there)
            runs.add(frozenset(run.hash for run in cells.of(labels | {axis: value}).values()))
    # A method without a p has one and the same runs at each.
    if len(runs) < 2:
        return None
    scale = scaled(metric, 1.0)
    return Series(
        np.array(places),
        scale * np.array([each.mean for each in found]),
        scale * np.array([each.half or 0.0 for each in found]),
    )
