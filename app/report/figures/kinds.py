"""The kinds of figures that a study can ask for."""

from collections.abc import Callable

from matplotlib.figure import Figure

from dropout_lab.app.plotting import styled
from dropout_lab.app.report.figures.bars import bars
from dropout_lab.app.report.figures.curves import curves, loss, sweep, time
from dropout_lab.app.report.figures.distributions import distributions
from dropout_lab.app.report.figures.panels import panels
from dropout_lab.app.report.figures.schedules import schedules
from dropout_lab.app.report.formatting import label_words
from dropout_lab.app.report.results import Results
from dropout_lab.app.study.spec import PANELS, Labels

Draw = Callable[[Results, str, Labels], Figure | None]

BANDS = "Mean over seeds; the band is the 95 % interval of that mean."
SOURCES = "Crosses, where there are any, are the source's own numbers."
KINDS: dict[str, tuple[Draw, str]] = {
    "curves": (
        curves,
        f"Accuracy over training, of validation (solid) and training (dotted). {BANDS} {SOURCES}",
    ),
    "loss": (loss, f"Loss over training, of validation (solid) and training (dotted). {BANDS} {SOURCES}"),
    "sweep": (sweep, f"What each value gives, before any is chosen; the baseline is the grey band. {BANDS}"),
    "time": (time, f"Validation accuracy over the seconds spent on training. {BANDS}"),
    "bars": (
        bars,
        "Mean over seeds with its 95 % interval; faint dots are the seeds, the grey band is the baseline's.",
    ),
    "distributions": (
        distributions,
        "The probability that a unit of pre-activation x is dropped, and the mean of what comes out in training, by "
        "the layers' own formulas; a layer that does not replace the activation follows a ReLU. Where lines coincide "
        "they take turns, dash by dash.",
    ),
    PANELS: (
        panels,
        "The first test images that are classified correctly (left) and wrongly (right), as stored and as the network "
        "sees them, with the prediction's probability. One run a method: of the first finished seed, and where an axis "
        "of numbers is left, of its value that is best in validation.",
    ),
    "schedules": (
        schedules,
        "Left: ρ, or p, over training: the mean of each epoch's batches, and a bar from the least to the most of them; "
        "without a bar they were all the same. Where some schedules go far above the others, the scale is a logarithm "
        f"above the next to last tick. Right: validation accuracy. {BANDS}",
    ),
}


def draw(kind: str, results: Results, metric: str, table: Labels) -> Figure | None:
    """Draw a kind of figure; None where the runs have nothing to show in it.

    Args:
        kind: one of :data:`KINDS`.
        results: of the study.
        metric: that the study reports.
        table: labels that all runs in the figure share.
    """
    with styled():
        return KINDS[kind][0](results, metric, table)


def caption(kind: str, table: Labels) -> str:
    """Say what is seen in a kind of figure."""
    return KINDS[kind][1] + (f" Here: {label_words(table)}." if table else "")
