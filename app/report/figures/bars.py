"""The figure of dots: a metric of each method with its interval, one method below the other."""

from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from dropout_lab.app.plotting import BASELINE, FAINT, new_figure
from dropout_lab.app.report.figures.curves import methods
from dropout_lab.app.report.formatting import label_words, metric_name, scaled
from dropout_lab.app.report.results import Results
from dropout_lab.app.study.spec import Labels

PAPER: dict[str, Any] = {"color": FAINT, "marker": "D", "markerfacecolor": "white", "linestyle": ""}


def bars(results: Results, metric: str, table: Labels) -> Figure | None:
    """Draw a metric of each method: mean, 95 % interval, each seed, and the paper's number."""
    columns, rows = results.columns, list(methods(results, results.rows))
    baseline, unit = results.study.report.baseline, scaled(metric, 1.0)
    figure, panels = new_figure(len(columns), height=max(2.0, 1.2 + 0.42 * len(rows)))
    drawn, with_paper = False, False
    for axes, column in zip(panels, columns, strict=True):
        cells = results.cells(metric, table, column)
        for place, (cell, (_, look)) in enumerate(zip(cells, rows, strict=True)):
            if (found := cell.here) is not None:
                drawn = True
                seeds = [unit * value for value in results.by_seed(cell.labels, metric).values()]
                axes.plot(
                    seeds, [place + 0.22] * len(seeds), "o", color=look.color, alpha=0.35, markersize=5,
                    markeredgewidth=0,
                )  # fmt: skip
                axes.errorbar(
                    unit * found.mean, place, xerr=unit * (found.half or 0.0), color=look.color, marker=look.marker,
                    markersize=7, capsize=4, linewidth=2, zorder=3,
                )  # fmt: skip
            if cell.paper is not None:
                with_paper = True
                axes.plot(unit * cell.paper, place, markersize=7, **PAPER)
        band = results.estimate(table | column | baseline, metric) if baseline else None
        if band is not None and band.half is not None:
            low, high = unit * (band.mean - band.half), unit * (band.mean + band.half)
            axes.axvspan(low, high, color=BASELINE, alpha=0.08, linewidth=0)
        axes.set(title=label_words(column), xlabel=metric_name(metric))
        axes.grid(visible=False, axis="y")
        axes.xaxis.set_major_locator(MaxNLocator(nbins=4 if len(panels) > 1 else 8))
        axes.tick_params(labelleft=axes is panels[0])
    panels[0].set_yticks(range(len(rows)), [label_words(row) for row, _ in rows], color="#1c1f26")
    panels[0].set_ylim(len(rows) - 0.5, -0.5)
    if with_paper:
        marks = [Line2D([], [], **PAPER, label="the paper")]
        figure.legend(handles=marks, loc="outside upper right", frameon=False, fontsize=9.5)
    return figure if drawn else None
