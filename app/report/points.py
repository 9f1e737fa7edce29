"""The figure of final results: a point and an interval a method."""

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from app.report.cells import Cells
from app.report.lines import methods
from app.report.numbers import label_words, metric_name, scaled
from app.report.style import BASELINE, FAINT, new_figure
from app.study.spec import Labels


def bars(cells: Cells, metric: str, table: Labels) -> Figure | None:
    """Draw a metric of each method: mean, 95 % interval, each seed, and the paper's number."""
    columns, rows = cells.columns(), list(methods(cells, cells.rows()))
    figure, panels = new_figure(len(columns), height=max(2.0, 1.2 + 0.42 * len(rows)))
    drawn, with_paper = False, False
    for axes, column in zip(panels, columns, strict=True):
        for place, (row, look) in enumerate(rows):
            labels = table | row | column
            found = cells.estimate(labels, metric)
            if found is not None:
                drawn = True
                seeds = [scaled(metric, value) for value in cells.values(cells.of(labels), metric).values()]
                axes.plot(
                    seeds,
                    [place + 0.22] * len(seeds),
                    "o",
                    color=look.color,
                    alpha=0.35,
                    markersize=5,
                    markeredgewidth=0,
                )
                half = scaled(metric, found.half or 0.0)
                axes.errorbar(
                    scaled(metric, found.mean), place, xerr=half, color=look.color, marker=look.marker,
                    markersize=7, capsize=4, linewidth=2, zorder=3,
                )  # fmt: skip
            paper = cells.paper(labels, metric)
            if paper is not None:
                with_paper = True
                axes.plot(
                    scaled(metric, paper), place, "D", color=FAINT, markersize=7, markerfacecolor="white"
                )
        band = cells.estimate(table | column | cells.study.report.baseline, metric)
        if band is not None and band.half is not None and cells.study.report.baseline:
            low, high = (scaled(metric, end) for end in (band.mean - band.half, band.mean + band.half))
            axes.axvspan(low, high, color=BASELINE, alpha=0.08, linewidth=0)
        axes.set_title(label_words(column))
        axes.set_xlabel(metric_name(metric))
        axes.grid(visible=False, axis="y")
        axes.xaxis.set_major_locator(MaxNLocator(nbins=4 if len(panels) > 1 else 8))
    panels[0].set_yticks(range(len(rows)), [label_words(row) for row, _ in rows], color="#1c1f26")
    panels[0].set_ylim(len(rows) - 0.5, -0.5)
    for axes in panels[1:]:
        axes.tick_params(labelleft=False)
    if with_paper:
        marks = [
            Line2D([], [], color=FAINT, marker="D", linestyle="", markerfacecolor="white", label="the paper")
        ]
        figure.legend(handles=marks, loc="outside upper right", frameon=False, fontsize=9.5)
    return figure if drawn else None
