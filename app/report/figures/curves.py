"""Figures of a metric: lines over training, over seconds, over the values of an axis; a dot for each method."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, NullLocator

from dropout_lab.app.plotting import BAND, BASELINE, FAINT, Look, label_ends, legend_above, looks, new_figure
from dropout_lab.app.report.formatting import label_words, metric_name
from dropout_lab.app.report.results import Results
from dropout_lab.app.statistics.estimate import Estimate, estimate
from dropout_lab.app.study.metrics import is_share, scale_of, scaled
from dropout_lab.app.study.spec import Labels, SourceCurve

SOURCE = "x"  # marks the curve of a source
# A curve of the source is thin.
THIN: dict[str, Any] = {"linestyle": (0, (4, 2)), "linewidth": 0.9}
# Splits, of which the first that there is is drawn.
TRAINING = {"train_eval": "training, dropout off", "train": "training"}
PAPER: dict[str, Any] = {"color": FAINT, "marker": "D", "markerfacecolor": "white", "linestyle": ""}

End = tuple[float, float, str, Look]
"""Where a line ends, what it is called, and its look."""

# A logarithmic axis has to keep the values so many times as far apart as a linear one.
FURTHER = 1.5


def time(results: Results, metric: str, table: Labels) -> Figure | None:
    """Draw validation accuracy over seconds of training: what is reached, and what it costs."""
    return _lines(results, table, ["val/accuracy"], "seconds", "val/accuracy")


def training(results: Results, metric: str, table: Labels, name: str) -> Figure | None:
    """Draw accuracy or loss of validation and training over epochs, or over steps if those are finer."""
    over = time_axis(results)
    marks = [Line2D([], [], color=FAINT, linestyle="-", label="validation")]
    # What was measured with dropout off, as validation is, compares with it. A fit of less than an epoch has neither.
    there = [each for each in TRAINING if np.isfinite(results.history.get(f"{each}/{name}", np.nan)).any()]
    marks += [Line2D([], [], color=FAINT, linestyle=":", label=TRAINING[each]) for each in there[:1]]
    if any(f"/{name}@" in each for numbers in results.study.paper for each in numbers.metrics):
        marks.append(Line2D([], [], color=FAINT, linestyle="", marker=SOURCE, label="the source's run"))
    return _lines(
        results, table, [*(f"{each}/{name}" for each in there[:1]), f"val/{name}"], over, name, marks
    )


def _lines(
    results: Results, table: Labels, metrics: list[str], over: str, name: str, marks: Sequence[Line2D] = ()
) -> Figure | None:
    """Draw metrics called ``name``, those of training dotted, over a column of ``epochs.csv``.

    The source's curves are as long as these lines, and are named once by their name.
    """
    sources: dict[str, Line2D] = {}

    def draw_sources(axes: Axes, labels: Labels, metric: str, found: pd.DataFrame, look: Look) -> None:
        for curve in results.curves(labels, metric) if over != "seconds" else ():
            places = source_places(results, labels, curve, over)
            shown = [
                (x, scaled(metric, y))
                for x, y in zip(places, curve.series[metric], strict=True)
                if x <= found["x"].iloc[-1]
            ]
            if shown:
                marker = "." if len(shown) == 1 else ""
                axes.plot(*zip(*shown, strict=True), color=look.color, marker=marker, **THIN)
                sources[curve.name] = Line2D([], [], color=FAINT, label=curve.name, **THIN)

    def draw(axes: Axes, column: Labels) -> list[End]:
        ends, drawn = [], set()
        for row, look in methods(results, results.rows):
            labels = table | row | column
            runs = frozenset(results.of(labels).values())
            # One and the same under several labels, as a method without a p at each p.
            for metric in metrics if runs not in drawn else ():
                if (found := history(results, labels, metric, over)) is None:
                    continue
                if metric.partition("/")[0] in TRAINING:
                    draw_line(axes, found, Look(look.color, dashes=":"), len(results.rows))
                else:
                    ends.append((*draw_line(axes, found, look, len(results.rows)), results.words(row), look))
                draw_sources(axes, labels, metric, found, look)
                if over == "epoch" and (points := _source_points(results, labels, metric)):
                    axes.plot(*zip(*points, strict=True), SOURCE, color=look.color, markersize=4.5, alpha=0.8)
            drawn.add(runs)
        place_time(axes, over, wide=len(results.columns) == 1)
        return ends

    return _panels(results, results.rows, results.columns, draw, over, name, (marks, sources.values()))


def sweep(results: Results, metric: str, table: Labels) -> Figure | None:
    """Draw a metric over the values of a numeric axis; the baseline, which has none of them, is a band across."""
    axis, baseline = sweep_axis(results), results.study.report.baseline
    if axis is None:
        return None
    every = replace(results, select=None)
    rows, columns, (fixed,) = (_without(axis, labels) for labels in (results.rows, results.columns, [table]))

    def draw(axes: Axes, column: Labels) -> list[End]:
        ends = []
        for row, look in methods(every, rows):
            found = sweep_line(every, fixed | column | row, axis, metric)
            if found is not None:
                end = draw_line(axes, found, look, len(rows), every_point=True)
                ends.append((*end, label_words(row), look))
        band = every.estimate(fixed | column | baseline, metric) if baseline else None
        if band is not None and ends and axis not in baseline:
            mean, low, high = (scaled(metric, value) for value in (band.mean, *ends_of(band)))
            axes.axhspan(low, high, color=BASELINE, alpha=BAND, linewidth=0)
            axes.axhline(mean, color=BASELINE, linewidth=1.6)
            ends.append((axes.get_xlim()[1], mean, label_words(baseline), Look(BASELINE)))
        place_values(axes, [float(value) for value in results.study.axes[axis]], 12 // len(columns))
        return ends

    return _panels(results, rows, columns, draw, axis, metric)


def bars(results: Results, metric: str, table: Labels) -> Figure | None:
    """Draw a metric of each method: mean, 95 % interval, each seed, and the paper's number."""
    columns, rows = results.columns, list(methods(results, results.rows))
    baseline, unit = results.study.report.baseline, scaled(metric, 1.0)
    figure, panels = new_figure(len(columns), height=max(2.0, 1.2 + 0.42 * len(rows)))
    drawn, with_paper = False, False
    for axes, column in zip(panels, columns, strict=True):
        cells = results.cells(metric, table, column)
        for place, (cell, (_, look)) in enumerate(zip(cells, rows, strict=True)):
            if (found := cell.here) is not None:
                drawn = True
                seeds = [unit * value for value in results.by_seed(cell.labels, metric).values()]
                axes.plot(
                    seeds, [place + 0.22] * len(seeds), "o", color=look.color, alpha=0.35, markersize=5,
                    markeredgewidth=0,
                )  # fmt: skip
                axes.errorbar(
                    unit * found.mean, place, xerr=whiskers(unit, found), color=look.color, marker=look.marker,
                    markersize=7, capsize=4, linewidth=2, zorder=3,
                )  # fmt: skip
            if cell.paper is not None:
                with_paper = True
                axes.plot(unit * cell.paper, place, markersize=7, **PAPER)
        band = results.estimate(table | column | baseline, metric) if baseline else None
        if band is not None and band.interval is not None:
            axes.axvspan(
                unit * band.interval[0], unit * band.interval[1], color=BASELINE, alpha=0.08, linewidth=0
            )
        axes.set(title=results.words(column), xlabel=metric_name(metric))
        axes.grid(visible=False, axis="y")
        axes.xaxis.set_major_locator(MaxNLocator(nbins=4 if len(panels) > 1 else 8))
        axes.tick_params(labelleft=axes is panels[0])
    panels[0].set_yticks(range(len(rows)), [results.words(row) for row, _ in rows], color="#1c1f26")
    panels[0].set_ylim(len(rows) - 0.5, -0.5)
    if with_paper:
        marks = [Line2D([], [], **PAPER, label="the paper")]
        figure.legend(handles=marks, loc="outside upper right", frameon=False, fontsize=9.5)
    return figure if drawn else None


def _panels(
    results: Results,
    rows: Sequence[Labels],
    columns: Sequence[Labels],
    draw: Callable[[Axes, Labels], list[End]],
    over: str,
    metric: str,
    marks: Sequence[Iterable[Line2D]] = (),
) -> Figure | None:
    """Draw a panel a column with the lines whose ends ``draw`` returns, named there or once above; None without any.

    ``marks`` are looked through when all is drawn.
    """
    seconds = over == "seconds"
    # Beside a single panel stand the names of all rows. Over seconds lines end anywhere, in each panel elsewhere.
    at_ends, height = len(columns) == 1 and not seconds, 0.27 * len(rows) if len(columns) == 1 else 0
    figure, panels = new_figure(len(columns), max(4.4, height), share_x=not seconds)
    ends: list[End] = []
    for axes, column in zip(panels, columns, strict=True):
        ends += draw(axes, column)
        axes.set(title=results.words(column), xlabel="seconds of training" if seconds else over)
    panels[0].set_ylabel(metric_name(metric))
    if is_share(metric):
        # Nor does the margin show what no share can be.
        low, high = panels[0].get_ylim()
        panels[0].set_ylim(max(low, -2.0), min(high, 102.0))
    if at_ends:
        label_ends(figure, panels[0], ends)
    # A line may be missing in some of the panels.
    names = {} if at_ends else {name: look for _, _, name, look in ends}
    others = [mark for each in marks for mark in each]
    if ends and (others or names):
        legend_above(figure, list(names.items()), others=others)
    return figure if ends else None


def line(metric: str, x: Sequence[float], found: Sequence[Estimate]) -> pd.DataFrame:
    """Return a line with its band in the metric's unit: columns ``x``, ``mean``, and the ends of the 95 % interval.

    Where there is no interval, ``low`` and ``high`` are the mean.
    """
    unit = scaled(metric, 1.0)
    ends = [ends_of(each) for each in found]
    low, high = ([unit * end[side] for end in ends] for side in (0, 1))
    return pd.DataFrame({"x": x, "mean": [unit * each.mean for each in found], "low": low, "high": high})


def ends_of(found: Estimate) -> tuple[float, float]:
    """Return the ends of an interval as they are drawn: without one, the mean twice."""
    return found.interval or (found.mean, found.mean)


def whiskers(unit: float, found: Estimate) -> list[list[float]]:
    """Return how far an interval reaches below and above its mean, as matplotlib's error bars take it."""
    low, high = ends_of(found)
    return [[unit * (found.mean - low)], [unit * (high - found.mean)]]


def history(results: Results, labels: Labels, metric: str, over: str) -> pd.DataFrame | None:
    """Return a metric of a cell over training: its :func:`line` over seeds, and ``least`` and ``most`` of them.

    It has the rows of ``epochs.csv`` in which all seeds have the metric: where one was stopped early, the line ends.
    Seeds without the file, as those that were taken from a table, are left out.
    ``over`` is the column that says where: ``epoch``, ``step`` or ``seconds``, of which the mean is taken.
    """
    without = {run.hash for run in results.without_curves}
    runs = [run for run in results.of(labels).values() if run not in without]
    if not runs or not {metric, over} <= set(results.history):
        return None
    by_run = (results.history[name].unstack("run") for name in (metric, over))
    values, places = (frame.reindex(columns=runs).to_numpy() for frame in by_run)
    rows = np.isfinite(values).all(axis=1)
    if not rows.any():
        return None
    # Epochs are counted from 0, and what a row says is reached at its end.
    x, values = places[rows].mean(axis=1) + (1 if over == "epoch" else 0), values[rows]
    scale = scale_of(metric)
    found = line(metric, x.tolist(), [estimate(row, scale) for row in values.tolist()])
    return found.assign(least=values.min(axis=1), most=values.max(axis=1))


def time_axis(results: Results) -> str:
    """Return ``step`` where validation is more often than epochs, or the source's curves have steps, else ``epoch``."""
    often = results.history.reset_index()[["run", "epoch"]].duplicated().any()
    return "step" if often or any(curve.steps for curve in results.study.curves) else "epoch"


def source_places(results: Results, labels: Labels, curve: SourceCurve, over: str) -> list[float]:
    """Return where the numbers of a source's curve stand: at its steps or epochs, or epochs' steps in these runs."""
    if curve.steps or over == "epoch":
        return [float(place) for place in curve.steps or curve.epochs]
    epochs = history(results, labels, "epoch", over)
    assert epochs is not None, "what is drawn has rows"
    last = epochs.iloc[-1]
    return [place * last["x"] / (last["mean"] + 1) for place in curve.epochs]


def sweep_axis(results: Results) -> str | None:
    """Return the axis whose values are numbers: the one that is selected over, or else is not the methods'."""
    study = results.study
    selected, shown = study.select.over if study.select else (), (*study.report.columns, *study.report.rows)
    axes = (*selected, *(axis for axis in study.axes if axis not in (*selected, *shown)), *shown)
    return next((axis for axis in axes if len(study.axes[axis]) > 1 and results.is_numeric(axis)), None)


def sweep_line(results: Results, labels: Labels, axis: str, metric: str) -> pd.DataFrame | None:
    """Return a metric over the values of a numeric axis; None where fewer than two values differ."""
    cells = {float(value): labels | {axis: value} for value in results.study.axes[axis]}
    found = {place: each for place, cell in cells.items() if (each := results.estimate(cell, metric))}
    # A method without a p has one and the same runs at each.
    runs = {frozenset(results.of(cells[place]).values()) for place in found}
    return line(metric, list(found), list(found.values())) if len(runs) > 1 else None


def _source_points(results: Results, labels: Labels, metric: str) -> list[tuple[int, float]]:
    # The source's own curve, as far as the study has its numbers: metric@epoch.
    names = {name.partition("@") for numbers in results.study.paper for name in numbers.metrics}
    epochs = sorted(int(place) for name, _, place in names if name == metric and place.isdecimal())
    found = [(epoch, results.paper(labels, f"{metric}@{epoch}")) for epoch in epochs]
    return [(epoch, scaled(metric, value)) for epoch, value in found if value is not None]


def draw_line(
    axes: Axes, drawn: pd.DataFrame, look: Look, count: int, every_point: bool = False
) -> tuple[float, float]:
    """Draw a :func:`line` with its band, one of ``count``, fainter where it is dotted; return its end."""
    # The bands of many lines would be one grey.
    alpha = BAND * min(1.0, 4 / count) / (3 if look.dashes == ":" else 1)
    x, mean, low, high = (drawn[name].to_numpy() for name in ("x", "mean", "low", "high"))
    axes.fill_between(x, low, high, color=look.color, alpha=alpha, linewidth=0)
    axes.plot(x, mean, **look.line, linewidth=1.8, markevery=1 if every_point else max(1, len(x) // 6))
    return x[-1], mean[-1]


def place_time(axes: Axes, over: str, wide: bool) -> None:
    """Put ticks along training, as many as there is room for."""
    if over == "epoch":
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, min_n_ticks=1))
    else:
        axes.set_xlim(left=0)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=8 if wide else 5))


def place_values(axes: Axes, values: Sequence[float], most: int) -> None:
    """Put ticks where the values are, on a logarithmic axis where that keeps them much further apart."""
    if min(values) > 0 and _least_gap(np.log(values)) > FURTHER * _least_gap(np.asarray(values)):
        axes.set_xscale("log")
    shown = values[:: -(-len(values) // most)]
    axes.set_xticks(shown, [f"{value:g}" for value in shown], minor=False)
    axes.xaxis.set_minor_locator(NullLocator())


def _least_gap(values: npt.NDArray[np.float64]) -> float:
    """Return the smallest distance of neighbours as a share of the whole range."""
    gaps = np.diff(np.sort(values))
    return float(gaps.min() / gaps.sum())


def methods(results: Results, rows: Sequence[Labels]) -> Iterator[tuple[Labels, Look]]:
    """Give each row its look; numbers in order are given shades in order."""
    # Those that others stand for keep their look, so that it is the same in every figure.
    every = results.every_row if all(row in results.every_row for row in rows) else rows
    baseline = next((place for place, row in enumerate(every) if results.is_baseline(row)), None)
    ordered = len(every) > 2 and all(not isinstance(label, str) for row in every for label in row.values())
    found = zip(every, looks(len(every), baseline, ordered), strict=True)
    return ((row, look) for row, look in found if row in rows)


def _without(axis: str, labels: Sequence[Labels]) -> list[Labels]:
    """Leave an axis out of labels, and then the doubles."""
    left = [{name: label for name, label in each.items() if name != axis} for each in labels]
    return [each for place, each in enumerate(left) if each not in left[:place]]
