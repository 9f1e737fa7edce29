"""The kinds of figures that a study can ask for; what is seen in each says ``page.md.j2``."""

from collections.abc import Callable

from matplotlib.figure import Figure

from dropout_lab.app.report.figures.bars import bars
from dropout_lab.app.report.figures.curves import curves, loss, sweep, time
from dropout_lab.app.report.figures.distributions import distributions
from dropout_lab.app.report.figures.panels import panels
from dropout_lab.app.report.figures.schedules import schedules
from dropout_lab.app.report.results import Results
from dropout_lab.app.study.spec import PANELS, Labels

# Of results, the metric that the study reports, and labels that all runs in the figure share; None where the runs have
# nothing to show.
Draw = Callable[[Results, str, Labels], Figure | None]
KINDS: dict[str, Draw] = {
    "curves": curves,
    "loss": loss,
    "sweep": sweep,
    "time": time,
    "bars": bars,
    "distributions": distributions,
    PANELS: panels,
    "schedules": schedules,
}
