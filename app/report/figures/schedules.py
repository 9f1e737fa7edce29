"""The figure of schedules: what ρ or p was over training, and beside it what each schedule gave."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median_low

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from matplotlib.transforms import ScaledTranslation

from dropout_lab.app.config.settings import Settings, dropout_of, merged
from dropout_lab.app.plotting import Look, figure_of_pairs, legend_above
from dropout_lab.app.report.figures.curves import (
    Array,
    Series,
    crowding,
    draw_line,
    extent,
    history,
    methods,
    place_time,
    time_axis,
)
from dropout_lab.app.report.formatting import label_words, metric_name
from dropout_lab.app.report.results import Cells, Group
from dropout_lab.app.study.grid import run_settings
from dropout_lab.app.study.spec import Labels, Study

RESULT = "val/accuracy"
KINDS = {"rho": "ρ, units dropped", "p": "p"}
# Where a schedule is so many times as high as most, it would press the others flat.
APART = 3.0


@dataclass(frozen=True)
class Strength:
    """What a layer's ρ or p was: the mean of each epoch's batches, their least and their most."""

    mean: Series
    low: Array
    high: Array


def schedules(cells: Cells, metric: str, table: Labels) -> Figure | None:
    """Draw ρ, or p, over training, and validation accuracy beside it: a row for each column of the tables.

    Shown are methods with a schedule, those whose settings give a constant, and the baseline's accuracy.
    """
    over, columns = time_axis(cells), cells.columns()
    every = [cells.of(table | row | column) for column in columns for row in cells.rows()]
    kind = next((kind for kind in KINDS if any(layers(group, kind) for group in every)), None)
    if kind is None:
        return None
    figure, pairs = figure_of_pairs(len(columns))
    named: dict[str, Look] = {}
    rows = list(methods(cells, cells.rows()))
    for (left, right), column in zip(pairs, columns, strict=True):
        tops = []
        for place, (row, look) in enumerate(rows):
            labels = table | row | column
            group = cells.of(labels)
            result = history(group, RESULT, over)
            if result is None:
                continue
            found = strengths(cells.study, group, kind, over, result.x)
            for each in found:
                _draw_strength(left, each, look, 1.6 * (place - len(rows) / 2))
                tops.append(float(each.high.max()))
            if found or cells.is_baseline(labels):
                draw_line(right, result, look, crowding(len(rows)))
                named[label_words(row)] = look
        left.set_title(label_words(column))
        left.set_ylabel(KINDS[kind])
        right.set_ylabel(metric_name(RESULT))
        place_time(left, over, wide=False)
        _place_strength(left, tops)
    for axes in pairs[-1]:
        axes.set_xlabel(over)
    order = [label_words(row) for row, _ in rows if label_words(row) in named]
    legend_above(figure, [(name, named[name]) for name in order], columns=5)
    return figure


def layers(group: Group, kind: str) -> list[str]:
    """Return the names of the layers whose ρ or p was recorded in all runs."""
    runs = [set(group[seed].history) for seed in group]
    mean = f"{kind}_mean/"
    return (
        sorted(name.removeprefix(mean) for name in set.intersection(*runs) if name.startswith(mean))
        if runs
        else []
    )


def strengths(study: Study, group: Group, kind: str, over: str, x: Array) -> list[Strength]:
    """Return what each layer's ρ or p was over training; of a run without a schedule the constant of its settings.

    Args:
        study: of the runs.
        group: runs by seed.
        kind: ``rho`` or ``p``.
        over: the column that says where.
        x: where a constant is known to have held.
    """
    found = []
    for layer in layers(group, kind):
        mean = history(group, f"{kind}_mean/{layer}", over)
        ends = extent(group, f"{kind}_min/{layer}", f"{kind}_max/{layer}", over)
        if mean is not None and ends is not None:
            found.append(Strength(mean, *ends))
    if found or not group:
        return found
    values = [constant(run_settings(study, run.labels, run.seed), kind) for run in group.values()]
    if values[0] is None or any(value != values[0] for value in values):
        return []
    flat = np.full_like(x, values[0])
    return [Strength(Series(x, flat, np.zeros_like(x)), flat, flat)]


def constant(settings: Settings, kind: str) -> float | None:
    """Return the ρ or p that a run's settings give its dropout; None if they give none, or a schedule sets it."""
    callbacks = (settings.get("trainer") or {}).get("callbacks") or []
    for callback in callbacks if isinstance(callbacks, list) else [callbacks]:
        name = callback.get("class_path", "") if isinstance(callback, dict) else str(callback)
        if name.rpartition(".")[2] == "RhoScheduler":
            return None
    value = merged(dropout_of(settings), {"init_args": {}})["init_args"].get(kind)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _draw_strength(axes: Axes, strength: Strength, look: Look, aside: float) -> None:
    """Draw the means as a line, and a bar from the least to the most, as many points aside as given."""
    x, every = strength.mean.x, max(1, len(strength.mean.x) // 10)
    axes.plot(
        x, strength.mean.mean, linestyle=look.dashes, color=look.color, linewidth=1.8, marker=look.marker,
        markersize=4.5, markevery=every,
    )  # fmt: skip
    if (strength.high > strength.low).any():
        figure = axes.figure
        assert isinstance(figure, Figure), "panels are of a figure, not of a part of one"
        beside = axes.transData + ScaledTranslation(aside / 72, 0, figure.dpi_scale_trans)
        axes.vlines(
            x[::every], strength.low[::every], strength.high[::every], color=look.color, alpha=0.5, linewidth=1.6,
            transform=beside,
        )  # fmt: skip


def _place_strength(axes: Axes, tops: Sequence[float]) -> None:
    """Begin at 0; where some are far above the rest, go on by the logarithm above what the rest reach."""
    positive = [top for top in tops if top > 0]
    if not positive:
        return
    usual, most = median_low(positive), max(positive)
    figures = FuncFormatter(lambda value, _: f"{value:,g}")
    if most <= APART * usual:
        axes.set_ylim(bottom=-0.04 * most, top=1.06 * most)
        axes.yaxis.set_major_formatter(figures)
        return
    axes.set_yscale("symlog", linthresh=usual, linscale=2 * np.log10(most / usual))
    axes.set_ylim(-0.06 * usual, 1.15 * most)
    axes.yaxis.set_major_locator(FixedLocator([0, usual / 2, usual, most]))
    axes.yaxis.set_major_formatter(figures)
    axes.yaxis.set_minor_locator(NullLocator())
