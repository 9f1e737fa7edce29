"""The figure of schedules: what ρ or p was over training, and beside it what each schedule gave."""

from collections.abc import Sequence
from statistics import median_low

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from matplotlib.transforms import ScaledTranslation

from dropout_lab.app.config.settings import Settings, dropout_of, merge
from dropout_lab.app.plotting import Look, figure_of_pairs, legend_above
from dropout_lab.app.report.figures.curves import draw_line, history, methods, place_time, time_axis
from dropout_lab.app.report.formatting import metric_name
from dropout_lab.app.report.results import Results
from dropout_lab.app.study.spec import Labels

RESULT = "val/accuracy"
KINDS = {"rho": "ρ, units dropped", "p": "p"}
# Where a schedule is so many times as high as most, it would press the others flat.
APART = 3.0


def schedules(results: Results, metric: str, table: Labels) -> Figure | None:
    """Draw ρ, or p, over training, and validation accuracy beside it: a row for each column of the tables.

    Shown are methods with a schedule, those whose settings give a constant, and the baseline's accuracy.
    """
    over, columns = time_axis(results), results.columns
    rows = list(methods(results, results.rows))
    every = [table | row | column for row, _ in rows for column in columns]
    kinds = [kind for kind in KINDS if any(recorded(results, labels, kind, over) for labels in every)]
    if not kinds:
        return None
    kind = kinds[0]
    figure, pairs = figure_of_pairs(len(columns))
    named: dict[int, Look] = {}
    for (left, right), column in zip(pairs, columns, strict=True):
        tops = []
        for place, (row, look) in enumerate(rows):
            labels = table | row | column
            if (result := history(results, labels, RESULT, over)) is None:
                continue
            found = recorded(results, labels, kind, over)
            given = {constant(results.finished[run][0].settings, kind) for run in results.of(labels).values()}
            if not found and len(given) == 1 and None not in given:
                value = given.pop()
                found = [result[["x"]].assign(mean=value, least=value, most=value)]
            for each in found:
                _draw_strength(left, each, look, 1.6 * (place - len(rows) / 2))
                tops.append(each["most"].max())
            if found or results.is_baseline(labels):
                draw_line(right, result, look, len(rows))
                named[place] = look
        left.set(title=results.words(column), ylabel=KINDS[kind])
        right.set_ylabel(metric_name(RESULT))
        place_time(left, over, wide=False)
        _place_strength(left, tops)
    for axes in pairs[-1]:
        axes.set_xlabel(over)
    legend_above(
        figure, [(results.words(rows[place][0]), named[place]) for place in sorted(named)], columns=5
    )
    return figure


def recorded(results: Results, labels: Labels, kind: str, over: str) -> list[pd.DataFrame]:
    """Return what each layer's ``rho`` or ``p`` was where all runs have a record of it.

    Columns are ``x``, the ``mean`` of each epoch's batches, and the ``least`` and the ``most`` of them in any seed.
    """
    prefix, found = f"{kind}_mean/", []
    for column in sorted(name for name in map(str, results.history) if name.startswith(prefix)):
        names = (column.replace("_mean/", f"_{what}/", 1) for what in ("mean", "min", "max"))
        mean, low, high = (history(results, labels, name, over) for name in names)
        if mean is not None and low is not None and high is not None:
            found.append(mean.assign(least=low["least"], most=high["most"]))
    return found


def constant(settings: Settings, kind: str) -> float | None:
    """Return the ρ or p that a run's settings give its dropout; None if they give none, or a schedule sets it."""
    callbacks = (settings.get("trainer") or {}).get("callbacks") or []
    for callback in callbacks if isinstance(callbacks, list) else [callbacks]:
        name = callback.get("class_path", "") if isinstance(callback, dict) else str(callback)
        if name.rpartition(".")[2] == "RhoScheduler":
            return None
    value = merge(dropout_of(settings), {"init_args": {}})["init_args"].get(kind)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _draw_strength(axes: Axes, strength: pd.DataFrame, look: Look, aside: float) -> None:
    """Draw the means as a line, and a bar from the least to the most, as many points aside as given."""
    every = max(1, len(strength) // 10)
    axes.plot(strength["x"], strength["mean"], **look.line, linewidth=1.8, markevery=every)
    if (strength["most"] > strength["least"]).any():
        beside = axes.transData + ScaledTranslation(aside / 72, 0, axes.figure.dpi_scale_trans)
        x, least, most = (strength[name][::every] for name in ("x", "least", "most"))
        axes.vlines(x, least, most, color=look.color, alpha=0.5, linewidth=1.6, transform=beside)


def _place_strength(axes: Axes, tops: Sequence[float]) -> None:
    """Begin at 0; where some are far above the rest, go on by the logarithm above what the rest reach."""
    positive = [top for top in tops if top > 0]
    if not positive:
        return
    usual, most = median_low(positive), max(positive)
    if most <= APART * usual:
        axes.set_ylim(bottom=-0.04 * most, top=1.06 * most)
    else:
        axes.set_yscale("symlog", linthresh=usual, linscale=2 * np.log10(most / usual))
        axes.set_ylim(-0.06 * usual, 1.15 * most)
        axes.yaxis.set_major_locator(FixedLocator([0, usual / 2, usual, most]))
        axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
