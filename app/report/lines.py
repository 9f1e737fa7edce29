"""Figures of lines: over training, over seconds, over the values of an axis."""

from collections.abc import Iterator, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, NullLocator

from app.report.cells import Cells
from app.report.numbers import is_share, label_words, metric_name, scaled
from app.report.series import Series, history, source_points, sweep_axis, sweep_line, time_axis
from app.report.style import (
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
from app.study.spec import Labels

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
