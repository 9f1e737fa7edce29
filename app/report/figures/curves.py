"""Figures of lines: over training, over seconds, over the values of an axis."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, NullLocator

from dropout_lab.app.plotting import (
    BAND,
    BASELINE,
    FAINT,
    Dashes,
    Look,
    keep_to_percents,
    label_ends,
    legend_above,
    looks,
    new_figure,
)
from dropout_lab.app.report.formatting import is_share, label_words, metric_name, scaled
from dropout_lab.app.report.results import Cells, Group
from dropout_lab.app.report.statistics import estimate
from dropout_lab.app.study.spec import Labels

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


# Marks the numbers of a source.
SOURCE = "x"

End = tuple[float, float, str, Look]
"""Where a line ends, what it is called, and its look."""


def curves(cells: Cells, metric: str, table: Labels) -> Figure | None:
    """Draw training and validation accuracy over epochs."""
    return _training(cells, table, "accuracy")


def loss(cells: Cells, metric: str, table: Labels) -> Figure | None:
    """Draw training and validation loss over epochs."""
    return _training(cells, table, "loss")


def time(cells: Cells, metric: str, table: Labels) -> Figure | None:
    """Draw validation accuracy over seconds of training: what is reached, and what it costs."""
    return _lines(cells, table, {"val/accuracy": "-"}, "seconds", "seconds of training", "val/accuracy")


def sweep(cells: Cells, metric: str, table: Labels) -> Figure | None:
    """Draw a metric over the values of a numeric axis; the baseline, which has none of them, is a band across."""
    axis, report = sweep_axis(cells), cells.study.report
    if axis is None:
        return None
    every = Cells(cells.results, None)
    rows = _without(axis, every.rows())
    columns = _without(axis, every.columns())
    fixed = {name: label for name, label in table.items() if name != axis}
    figure, panels = new_figure(len(columns), _height(columns, rows))
    named = []
    for axes, column in zip(panels, columns, strict=True):
        ends = []
        for row, look in methods(every, rows):
            labels = fixed | column | row
            line = sweep_line(every, labels, axis, metric)
            if line is not None:
                draw_line(axes, line, look, crowding(len(rows)), every_point=True)
                ends.append((line.x[-1], line.mean[-1], label_words(row), look))
        band = every.estimate(fixed | column | report.baseline, metric) if report.baseline else None
        if band is not None and ends and axis not in report.baseline:
            mean, half = scaled(metric, band.mean), scaled(metric, band.half or 0.0)
            axes.axhspan(mean - half, mean + half, color=BASELINE, alpha=BAND, linewidth=0)
            axes.axhline(mean, color=BASELINE, linewidth=1.6)
            look = Look(BASELINE, "", "-")
            ends.append((axes.get_xlim()[1], mean, label_words(report.baseline), look))
        axes.set_xlabel(axis)
        axes.set_title(label_words(column))
        _place_values(axes, every, axis, len(panels))
        named.append((axes, ends))
    panels[0].set_ylabel(metric_name(metric))
    if is_share(metric):
        keep_to_percents(panels[0])
    return _with_names(figure, named, at_ends=len(panels) == 1)


def _training(cells: Cells, table: Labels, name: str) -> Figure | None:
    """Draw a metric of training (dotted) and validation over epochs, or over steps if those are finer."""
    over = time_axis(cells)
    dashes = [Line2D([], [], color=FAINT, linestyle="-", label="validation")]
    # A fit of less than an epoch has nothing to say of training.
    if any(np.isfinite(run.history.get(f"train/{name}", ())).any() for run in cells.results.runs):
        dashes.append(Line2D([], [], color=FAINT, linestyle=":", label="training"))
    if any(f"/{name}@" in each for numbers in cells.study.paper for each in numbers.metrics):
        dashes.append(Line2D([], [], color=FAINT, linestyle="", marker=SOURCE, label="the source's run"))
    metrics: dict[str, Dashes] = {f"train/{name}": ":", f"val/{name}": "-"}
    words = f"{name} (%)" if is_share(f"val/{name}") else name
    return _lines(cells, table, metrics, over, over, words, dashes)


def _lines(
    cells: Cells,
    table: Labels,
    metrics: dict[str, Dashes],
    over: str,
    x_name: str,
    y_name: str,
    marks: Sequence[Line2D] = (),
) -> Figure | None:
    columns = cells.columns()
    figure, panels = new_figure(len(columns), _height(columns, cells.rows()), share_x=over != "seconds")
    named = []
    for axes, column in zip(panels, columns, strict=True):
        ends = []
        drawn_runs = set()
        for row, look in methods(cells, cells.rows()):
            group = cells.of(table | row | column)
            runs = frozenset(run.hash for run in group.values())
            # One and the same under several labels, as a method without a p at each p.
            if runs in drawn_runs:
                continue
            drawn_runs.add(runs)
            for metric, dashes in metrics.items():
                line = history(group, metric, over)
                if line is not None:
                    dotted = Look(look.color, "", dashes) if dashes != "-" else look
                    draw_line(axes, line, dotted, crowding(len(cells.rows())))
                    places, values = source_points(cells, table | row | column, metric)
                    if over == "epoch" and len(places):
                        axes.plot(places, values, SOURCE, color=look.color, markersize=4.5, alpha=0.8)
                    if metric.startswith("val/"):
                        ends.append((line.x[-1], line.mean[-1], label_words(row), look))
        axes.set_title(label_words(column))
        axes.set_xlabel(x_name)
        place_time(axes, over, wide=len(panels) == 1)
        named.append((axes, ends))
    panels[0].set_ylabel(metric_name(y_name) if "/" in y_name else y_name)
    if all(is_share(metric) for metric in metrics):
        keep_to_percents(panels[0])
    return _with_names(figure, named, len(panels) == 1 and over != "seconds", marks)


def _height(columns: list[Labels], rows: list[Labels]) -> float:
    """Return the height of a panel in inches: of a single one the names of all rows stand beside it."""
    return 4.4 if len(columns) > 1 else max(4.4, 0.27 * len(rows))


def draw_line(axes: Axes, line: Series, look: Look, crowd: float, every_point: bool = False) -> None:
    """Draw a line with its band.

    Args:
        axes: to draw on.
        line: with half the width of its band.
        look: of its method; dotted is for training, whose band is fainter.
        crowd: :func:`crowding`.
        every_point: mark them all instead of some.
    """
    low, high = line.mean - line.half, line.mean + line.half
    # Bands of training are fainter than those of validation, which are what is looked for.
    alpha = BAND if look.dashes != ":" else BAND / 3
    axes.fill_between(line.x, low, high, color=look.color, alpha=alpha * crowd, linewidth=0)
    axes.plot(
        line.x, line.mean, linestyle=look.dashes, color=look.color, linewidth=1.8, marker=look.marker,
        markersize=4.5, markevery=1 if every_point else max(1, len(line.x) // 6),
    )  # fmt: skip


def crowding(count: int) -> float:
    """Return how strong bands are: of many lines they would be one grey."""
    return min(1.0, 4 / count)


def place_time(axes: Axes, over: str, wide: bool) -> None:
    """Put ticks along training, as many as there is room for."""
    if over == "epoch":
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, min_n_ticks=1))
    else:
        axes.set_xlim(left=0)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=8 if wide else 5))


def _with_names(
    figure: Figure, named: list[tuple[Axes, list[End]]], at_ends: bool, marks: Sequence[Line2D] = ()
) -> Figure | None:
    """Name lines where they end, or once above all panels; without a line there is no figure."""
    for axes, ends in named if at_ends else ():
        label_ends(axes, [(x, y, name, look.color) for x, y, name, look in ends])
    # A line may be missing in some of the panels.
    every = {name: look for _, ends in named for _, _, name, look in ends}
    if every and (marks or not at_ends):
        legend_above(figure, [] if at_ends else list(every.items()), others=marks)
    return figure if every else None


def _place_values(axes: Axes, cells: Cells, axis: str, panels: int) -> None:
    """Put ticks where the values are; values over more than two orders of ten are spread evenly by their logarithm."""
    values = [float(value) for value in cells.study.axes[axis]]
    if min(values) > 0 and max(values) / min(values) > 100:
        axes.set_xscale("log")
    most = 12 // panels
    shown = values[:: -(-len(values) // most)]
    axes.set_xticks(shown, [f"{value:g}" for value in shown], minor=False)
    axes.xaxis.set_minor_locator(NullLocator())


def methods(cells: Cells, rows: list[Labels]) -> Iterator[tuple[Labels, Look]]:
    """Give each row its look; numbers in order are given shades in order."""
    baseline = next((place for place, row in enumerate(rows) if cells.is_baseline(row)), None)
    ordered = len(rows) > 2 and all(not isinstance(label, str) for row in rows for label in row.values())
    return zip(rows, looks(len(rows), baseline, ordered), strict=True)


def _without(axis: str, labels: list[Labels]) -> list[Labels]:
    """Leave an axis out of labels, and then the doubles."""
    left: list[Labels] = []
    for each in labels:
        rest = {name: label for name, label in each.items() if name != axis}
        if rest not in left:
            left.append(rest)
    return left


def bars(cells: Cells, metric: str, table: Labels) -> Figure | None:
    """Draw a metric of each method: mean, 95 % interval, each seed, and the paper's number."""
    columns, rows = cells.columns(), list(methods(cells, cells.rows()))
    figure, panels = new_figure(len(columns), height=max(2.0, 1.2 + 0.42 * len(rows)))
    drawn, with_paper = False, False
    for axes, column in zip(panels, columns, strict=True):
        for place, (row, look) in enumerate(rows):
            labels = table | row | column
            found = cells.estimate(labels, metric)
            if found is not None:
                drawn = True
                seeds = [scaled(metric, value) for value in cells.values(cells.of(labels), metric).values()]
                axes.plot(
                    seeds,
                    [place + 0.22] * len(seeds),
                    "o",
                    color=look.color,
                    alpha=0.35,
                    markersize=5,
                    markeredgewidth=0,
                )
                half = scaled(metric, found.half or 0.0)
                axes.errorbar(
                    scaled(metric, found.mean), place, xerr=half, color=look.color, marker=look.marker,
                    markersize=7, capsize=4, linewidth=2, zorder=3,
                )  # fmt: skip
            paper = cells.paper(labels, metric)
            if paper is not None:
                with_paper = True
                axes.plot(
                    scaled(metric, paper), place, "D", color=FAINT, markersize=7, markerfacecolor="white"
                )
        band = cells.estimate(table | column | cells.study.report.baseline, metric)
        if band is not None and band.half is not None and cells.study.report.baseline:
            low, high = (scaled(metric, end) for end in (band.mean - band.half, band.mean + band.half))
            axes.axvspan(low, high, color=BASELINE, alpha=0.08, linewidth=0)
        axes.set_title(label_words(column))
        axes.set_xlabel(metric_name(metric))
        axes.grid(visible=False, axis="y")
        axes.xaxis.set_major_locator(MaxNLocator(nbins=4 if len(panels) > 1 else 8))
    panels[0].set_yticks(range(len(rows)), [label_words(row) for row, _ in rows], color="#1c1f26")
    panels[0].set_ylim(len(rows) - 0.5, -0.5)
    for axes in panels[1:]:
        axes.tick_params(labelleft=False)
    if with_paper:
        marks = [
            Line2D([], [], color=FAINT, marker="D", linestyle="", markerfacecolor="white", label="the paper")
        ]
        figure.legend(handles=marks, loc="outside upper right", frameon=False, fontsize=9.5)
    return figure if drawn else None
