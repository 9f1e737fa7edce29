"""The figure of probabilities: how likely a unit is dropped by its input, and what comes out in the mean."""

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dropout_lab.app.config.settings import Settings, dropout_of
from dropout_lab.app.errors import UserError
from dropout_lab.app.plotting import FAINT, Dashes, Look, figure_of_pairs, legend_above
from dropout_lab.app.report.figures.curves import methods
from dropout_lab.app.report.formatting import label_words
from dropout_lab.app.report.results import Results
from dropout_lab.app.study.spec import Labels

Array = npt.NDArray[np.float64]
RELU = Look("#c9ced8")
# Where the tails are told apart, and where the means bend.
DROP_X, MEAN_X = np.linspace(-6.0, 2.0, 1001), np.linspace(-3.0, 2.0, 1001)
# Lines that are one for more than this share of their points take turns, dash by dash.
SAME, DASH = 0.5, 4.0


def distributions(results: Results, metric: str, table: Labels) -> Figure | None:
    """Draw d(x) and E[y | x] of each method, and ReLU's line; methods that have no d(x) are named below.

    The settings are those of the first finished seed. Columns of one and the same dropout share a line.
    """
    names, drops, means, without = [("ReLU", RELU)], [], [], []
    for row, look in methods(results, results.every_row):
        seen: list[tuple[Labels, Settings]] = []
        for column in results.columns:
            for run in list(results.of(table | row | column).values())[:1]:
                settings = results.finished[run][0].settings
                if all(dropout_of(settings) != dropout_of(other) for _, other in seen):
                    seen.append((column, settings))
        for column, settings in seen:
            # More than one: the columns are methods, too.
            name = label_words(row | column if len(seen) > 1 else row)
            drop, mean = dropout_curves(settings, DROP_X), dropout_curves(settings, MEAN_X)
            if drop is None or mean is None:
                without.append(name)
            else:
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


def dropout_curves(settings: Settings, x: Array) -> tuple[Array, Array] | None:
    """Return d(x), how likely a unit is dropped, and E[y | x], the mean of what comes out in training.

    They are of the stage that a run's dropout makes with a ReLU, at pre-activations ``x``; None where they are not of
    ``x`` alone. Wrong settings of the dropout are an error of the user's.
    """
    # The curves are those of the layers themselves: what else the report needs is without torch.
    import torch
    from jsonargparse import ArgumentError, ArgumentParser
    from torch import nn

    from dropout_lab.app.config.allowlist import parse
    from dropout_lab.app.config.explain import explain
    from dropout_lab.models.allowlist import with_todays_names
    from dropout_lab.models.dropout import DropoutFactory, Pointwise, Stage, as_dropout

    spec = dropout_of(settings)
    if spec is None:
        return None
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--dropout", type=DropoutFactory)
    try:
        dropout = parser.instantiate_classes(parse(parser, {"dropout": with_todays_names(spec)})).dropout()
    except (ArgumentError, ValueError) as error:
        raise UserError(explain(str(error))) from error
    same = nn.Linear(1, 1, dtype=torch.float64)
    nn.init.ones_(same.weight)
    nn.init.zeros_(same.bias)
    # What replaces the activation is known to the variant alone.
    stage = as_dropout(dropout).join(same, nn.ReLU())
    if not (isinstance(stage, Stage) and isinstance(stage.dropout, Pointwise)):
        return None
    with torch.no_grad():
        units = stage.activation(stage.affine(torch.from_numpy(x)[:, None]))[:, 0]
        return stage.dropout.drop_curve(units).numpy(), stage.dropout.expectation(units).numpy()


def _draw(axes: Axes, x: Array, lines: list[tuple[str, Array]]) -> None:
    """Draw lines; where one lies upon another both are seen, the first of them solid and the others in dashes on it."""
    for place, (color, y) in enumerate(lines):
        same = [other for other, (_, each) in enumerate(lines) if np.isclose(y, each).mean() > SAME]
        turn, first = same.index(place), lines[same[0]][1]
        if turn:
            dashes: Dashes = (-turn * DASH, (DASH, (len(same) - 1) * DASH))
            axes.plot(x, y, color=color, linestyle=dashes, linewidth=2.0, dash_capstyle="butt")
            y = np.where(np.isclose(y, first), np.nan, y)
        axes.plot(x, y, color=color, linewidth=2.0)
