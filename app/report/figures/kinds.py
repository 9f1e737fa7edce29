"""The kinds of figures that a study can ask for; what is seen in each says ``page.md.j2``."""

from collections.abc import Callable

from matplotlib.figure import Figure

from dropout_lab.app.plotting import styled
from dropout_lab.app.report.figures.bars import bars
from dropout_lab.app.report.figures.curves import curves, loss, sweep, time
from dropout_lab.app.report.figures.distributions import distributions
from dropout_lab.app.report.figures.panels import panels
from dropout_lab.app.report.figures.schedules import schedules
from dropout_lab.app.report.results import Results
from dropout_lab.app.study.spec import PANELS, Labels

KINDS: dict[str, Callable[[Results, str, Labels], Figure | None]] = {
    "curves": curves,
    "loss": loss,
    "sweep": sweep,
    "time": time,
    "bars": bars,
    "distributions": distributions,
    PANELS: panels,
    "schedules": schedules,
}


def draw(kind: str, results: Results, metric: str, table: Labels) -> Figure | None:
    """Draw a figure of the metric that a study reports and of a table's runs; None where they have nothing to show."""
    with styled():
        return KINDS[kind](results, metric, table)
