"""The figure of probabilities: how likely a unit is dropped by its input, and what comes out in the mean.

The curves are those of the layers themselves, so this one figure needs torch; it is imported when it is drawn.
"""

import importlib
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dropout_lab.app.config.settings import Settings, dropout_of
from dropout_lab.app.plotting import FAINT, RELU, Dashes, Look, figure_of_pairs, legend_above
from dropout_lab.app.report.figures.curves import Array, methods
from dropout_lab.app.report.formatting import label_words
from dropout_lab.app.report.results import Cells
from dropout_lab.app.study.grid import run_settings
from dropout_lab.app.study.spec import Labels

# Where the tails are told apart, and where the means bend.
DROP_X, MEAN_X = (-6.0, 2.0), (-3.0, 2.0)
POINTS = 1001
# Lines that are one for more than this share of their points take turns, dash by dash.
SAME = 0.5
DASH = 4.0


class Curves(Protocol):
    """What :func:`dropout_lab.app.report.figures.dropout_curves.dropout_curves` returns."""

    @property
    def drop(self) -> Array:
        """How likely a unit is dropped."""

    @property
    def expectation(self) -> Array:
        """The mean of what comes out in training."""


CurvesOf = Callable[[Settings, Array], Curves | None]


def distributions(cells: Cells, metric: str, table: Labels) -> Figure | None:
    """Draw d(x) and E[y | x] of each method, and ReLU's line; methods that have no d(x) are named below.

    The settings are those of the first finished seed. Columns of one and the same dropout share a line.
    """
    curves_of: CurvesOf = importlib.import_module(
        "dropout_lab.app.report.figures.dropout_curves"
    ).dropout_curves
    drop_x, mean_x = (np.linspace(*ends, POINTS) for ends in (DROP_X, MEAN_X))
    drops, means, without = [], [], []
    for name, look, settings in _settings(cells, table):
        drop, mean = curves_of(settings, drop_x), curves_of(settings, mean_x)
        if drop is None or mean is None:
            without.append(name)
            continue
        plain = Look(look.color, "", "-")
        drops.append((name, plain, drop.drop))
        means.append((name, plain, mean.expectation))
    if not drops:
        return None
    figure, ((left, right),) = figure_of_pairs(1, share_x=False)
    relu = Look(RELU, "", "-")
    right.plot(mean_x, np.maximum(mean_x, 0), color=RELU, linewidth=6, solid_capstyle="butt")
    _draw(left, drop_x, drops)
    _draw(right, mean_x, means)
    left.set_title("probability of dropping")
    left.set_ylabel("d(x)")
    left.set_ylim(-0.04, 1.04)
    right.set_title("expectation in training")
    right.set_ylabel("E[y | x]")
    for axes in (left, right):
        axes.set_xlabel("pre-activation x")
    legend_above(figure, [("ReLU", relu), *((name, look) for name, look, _ in drops)], columns=5)
    if without:
        figure.supxlabel(f"No d(x): {', '.join(without)}", fontsize=9, color=FAINT, x=0.01, ha="left")
    return figure


def _settings(cells: Cells, table: Labels) -> list[tuple[str, Look, Settings]]:
    """Return name, look and settings of each method that has a run."""
    found = []
    for row, look in methods(cells, cells.rows()):
        seen: list[tuple[Labels, Settings]] = []
        for column in cells.columns():
            group = cells.of(table | row | column)
            if group:
                run = group[min(group)]
                settings = run_settings(cells.study, run.labels, run.seed)
                if all(dropout_of(settings) != dropout_of(other) for _, other in seen):
                    seen.append((column, settings))
        # More than one: the columns are methods, too.
        found += [(label_words(row | column if len(seen) > 1 else row), look, each) for column, each in seen]
    return found


def _draw(axes: Axes, x: Array, lines: Sequence[tuple[str, Look, Array]]) -> None:
    """Draw lines; where one lies upon another both are seen, the first of them solid and the others in dashes on it."""
    for place, (_, look, y) in enumerate(lines):
        same = [other for other, (_, _, each) in enumerate(lines) if np.isclose(y, each).mean() > SAME]
        turn, first = same.index(place), lines[same[0]][2]
        if turn:
            dashes: Dashes = (-turn * DASH, (DASH, (len(same) - 1) * DASH))
            axes.plot(x, y, color=look.color, linestyle=dashes, linewidth=2.0, dash_capstyle="butt")
        apart = y if not turn else np.where(np.isclose(y, first), np.nan, y)
        axes.plot(x, apart, color=look.color, linewidth=2.0)
