"""The figure of probabilities: how likely a unit is dropped by its input, and what comes out in the mean."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dropout_lab.app.config.settings import Settings, dropout_of
from dropout_lab.app.plotting import FAINT, Dashes, Look, figure_of_pairs, legend_above
from dropout_lab.app.report.figures.curves import methods
from dropout_lab.app.report.formatting import label_words
from dropout_lab.app.report.results import Results
from dropout_lab.app.study.spec import Labels

RELU = Look("#c9ced8")
# Where the tails are told apart, and where the means bend.
DROP_X, MEAN_X = np.linspace(-6.0, 2.0, 1001), np.linspace(-3.0, 2.0, 1001)
# Lines that are one for more than this share of their points take turns, dash by dash.
SAME = 0.5
DASH = 4.0


def distributions(results: Results, metric: str, table: Labels) -> Figure | None:
    """Draw d(x) and E[y | x] of each method, and ReLU's line; methods that have no d(x) are named below.

    The settings are those of the first finished seed. Columns of one and the same dropout share a line.
    """
    # The curves are those of the layers themselves: only this figure needs torch.
    from dropout_lab.app.report.figures.dropout_curves import dropout_curves

    names, drops, means, without = [("ReLU", RELU)], [], [], []
    for name, look, settings in _settings(results, table):
        drop, mean = dropout_curves(settings, DROP_X), dropout_curves(settings, MEAN_X)
        if drop is None or mean is None:
            without.append(name)
            continue
        names.append((name, Look(look.color)))
        drops.append((look.color, drop[0]))
        means.append((look.color, mean[1]))
    if not drops:
        return None
    figure, ((left, right),) = figure_of_pairs(1, share_x=False)
    right.plot(MEAN_X, np.maximum(MEAN_X, 0), color=RELU.color, linewidth=6, solid_capstyle="butt")
    _draw(left, DROP_X, drops)
    _draw(right, MEAN_X, means)
    left.set(title="probability of dropping", ylabel="d(x)", ylim=(-0.04, 1.04), xlabel="pre-activation x")
    right.set(title="expectation in training", ylabel="E[y | x]", xlabel="pre-activation x")
    legend_above(figure, names, columns=5)
    if without:
        figure.supxlabel(f"No d(x): {', '.join(without)}", fontsize=9, color=FAINT, x=0.01, ha="left")
    return figure


def _settings(results: Results, table: Labels) -> list[tuple[str, Look, Settings]]:
    """Return name, look and settings of each method that has a run."""
    found = []
    for row, look in methods(results, results.rows):
        seen: list[tuple[Labels, Settings]] = []
        for column in results.columns:
            for run in list(results.of(table | row | column).values())[:1]:
                settings = results.finished[run][0].settings
                if all(dropout_of(settings) != dropout_of(other) for _, other in seen):
                    seen.append((column, settings))
        # More than one: the columns are methods, too.
        found += [(label_words(row | column if len(seen) > 1 else row), look, each) for column, each in seen]
    return found


def _draw(
    axes: Axes, x: npt.NDArray[np.float64], lines: Sequence[tuple[str, npt.NDArray[np.float64]]]
) -> None:
    """Draw lines; where one lies upon another both are seen, the first of them solid and the others in dashes on it."""
    for place, (color, y) in enumerate(lines):
        same = [other for other, (_, each) in enumerate(lines) if np.isclose(y, each).mean() > SAME]
        turn, first = same.index(place), lines[same[0]][1]
        if turn:
            dashes: Dashes = (-turn * DASH, (DASH, (len(same) - 1) * DASH))
            axes.plot(x, y, color=color, linestyle=dashes, linewidth=2.0, dash_capstyle="butt")
            y = np.where(np.isclose(y, first), np.nan, y)
        axes.plot(x, y, color=color, linewidth=2.0)
