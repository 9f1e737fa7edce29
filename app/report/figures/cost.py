"""The figure of what methods reach against what they cost."""

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from dropout_lab.app.plotting import FAINT, Look, legend_above, new_figure
from dropout_lab.app.report.figures.curves import methods, whiskers
from dropout_lab.app.report.formatting import label_words, metric_name
from dropout_lab.app.report.results import Results
from dropout_lab.app.study.metrics import scaled
from dropout_lab.app.study.spec import Labels

# Where times are apart by more than this factor their axis is a logarithm.
APART = 4.0
# One of these a doubling, or fewer.
TICKS = (0.25, 0.5, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


def cost(results: Results, metric: str, table: Labels) -> Figure | None:
    """Draw a metric over the time of a training step relative to the reference's, a mark a method, with intervals.

    At an equal number of steps it is the time of the whole training. None where no time can be compared.
    """
    unit, times = scaled(metric, 1.0), []
    rows = list(methods(results, results.rows))
    figure, panels = new_figure(len(results.columns))
    named: dict[str, Look] = {}
    for axes, column in zip(panels, results.columns, strict=True):
        for cell, (row, look) in zip(results.cells(metric, table, column), rows, strict=True):
            if cell.here is None or cell.time is None:
                continue
            axes.errorbar(
                cell.time.mean, unit * cell.here.mean, xerr=whiskers(1.0, cell.time), yerr=whiskers(unit, cell.here),
                color=look.color, marker=look.marker, markersize=7, capsize=3, linewidth=1.4, zorder=3,
            )  # fmt: skip
            named[results.words(row)] = Look(look.color, look.marker, dashes="")
            times.append(cell.time.mean)
        axes.axvline(1.0, color=FAINT, linewidth=0.8, zorder=1)
        axes.set(
            title=results.words(column),
            xlabel=f"time of a step relative to {label_words(results.time_reference)}",
        )
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6 if len(panels) == 1 else 4))
    if not times:
        return None
    if max(times) > APART * min(times):
        shown = [tick for tick in TICKS if min(times) / 2 < tick < 2 * max(times)]
        for axes in panels:
            axes.set_xscale("log")
            axes.set_xticks(shown[:: -(-len(shown) // 8)])
            axes.xaxis.set_minor_locator(NullLocator())
    for axes in panels:
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    panels[0].set_ylabel(metric_name(metric))
    legend_above(figure, list(named.items()))
    return figure
