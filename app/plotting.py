"""How figures look: 800 pixels wide on a page, colours that the colour-blind tell apart, labels beside the lines."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text
from scipy.optimize import isotonic_regression

from dropout_lab.ground import whole_file

# Okabe & Ito 2008, without black and yellow: the one is the baseline's, the other too faint on white.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS = ("o", "s", "^", "D", "v", "P")
Dashes = Literal["-", ":", ""] | tuple[float, Sequence[float]]
DASHES: tuple[Dashes, ...] = ("-", (0, (5, 1.5)), (0, (1.2, 1.2)))
BASELINE = "#3c4250"
FAINT = "#6b7280"
GRID = "#e3e6ec"
BAND = 0.16

WIDTH = 8.0  # inches; at 100 pixels an inch, 800 pixels
# Inches of a legend: the mark and the gaps of an entry, a letter of its name, a line of it.
HANDLE, LETTER, ROW = 0.7, 0.085, 0.2
# Scripts that DejaVu Sans has not, or not all of.
FOREIGN = re.compile("[\u0530-\u1dff\u2c00-\U0010ffff]")
DPI = 200  # sharp on screens of twice the pixels

TEXT = {
    "font.family": "DejaVu Sans",
    "font.size": 10.5,
    "axes.titlesize": 11,
    "axes.labelsize": 10.5,
    "axes.edgecolor": "#9aa1ad",
    "axes.labelcolor": "#1c1f26",
    "text.color": "#1c1f26",
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    # Names are the user's: a dollar in them is no formula.
    "text.parse_math": False,
}


@dataclass(frozen=True)
class Look:
    """A method's colour, marker and dashes, the same in every figure."""

    color: str
    marker: str = ""
    dashes: Dashes = "-"

    @property
    def line(self) -> dict[str, Any]:
        """Arguments of a line."""
        return {"color": self.color, "marker": self.marker, "linestyle": self.dashes, "markersize": 4.5}


@contextmanager
def styled() -> Iterator[None]:
    """Let figures be made and written with this text and these colours, whatever a user's matplotlibrc says."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(TEXT)  # type: ignore[arg-type]  # its keys are one huge Literal
        yield


def save(figure: Figure, file: Path) -> Path:
    """Write a figure as PNG; the same figure gives the same bytes."""
    if FOREIGN.search("".join(_words(figure))):
        # It is callbacks', which need torch.
        from dropout_lab.callbacks.fonts import legible

        legible(figure)
    with styled(), whole_file(file, "wb") as stream:
        figure.savefig(stream, format="png", dpi=DPI, facecolor="white", metadata={"Software": None})
    return file


def _words(figure: Figure) -> Iterator[str]:
    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        yield text.get_text()
    for axes in figure.axes:
        yield from (label.get_text() for axis in (axes.xaxis, axes.yaxis) for label in axis.get_ticklabels())


def looks(count: int, baseline: int | None, ordered: bool) -> list[Look]:
    """Return a look for each method, of which one may be the baseline; numbers in order go from dark to light."""
    if ordered:
        shades = matplotlib.colormaps["viridis"](np.linspace(0, 0.88, count))
        colors = [matplotlib.colors.to_hex(shade) for shade in shades]
        found = [Look(color, MARKERS[place % len(MARKERS)]) for place, color in enumerate(colors)]
    else:
        # The baseline, which has a look of its own, uses up none.
        places = (place - (baseline is not None and place > baseline) for place in range(count))
        turns = (divmod(place, len(PALETTE)) for place in places)
        found = [
            Look(PALETTE[color], MARKERS[(color + turn) % len(MARKERS)], DASHES[turn % len(DASHES)])
            for turn, color in turns
        ]
    if baseline is not None:
        found[baseline] = Look(BASELINE, "o")
    return found


def new_figure(panels: int, height: float = 4.4, share_x: bool = True) -> tuple[Figure, list[Axes]]:
    """Return a figure with panels in rows of ``height`` inches and of three at most, which have one scale up."""
    columns = min(panels, 3) if panels != 4 else 2
    rows = -(-panels // columns)
    figure, grid = _grid(rows, columns, height if rows == 1 else 0.75 * height * rows, share_x, share_y=True)
    for unused in grid[panels:]:
        unused.remove()
    return figure, grid[:panels]


def figure_of_pairs(pairs: int, share_x: bool = True) -> tuple[Figure, list[tuple[Axes, Axes]]]:
    """Return a figure with two panels in each row, each with its own scale up."""
    figure, grid = _grid(pairs, 2, max(4.2, 2.5 * pairs + 0.7), share_x, share_y=False)
    return figure, list(zip(grid[::2], grid[1::2], strict=True))


def _grid(rows: int, columns: int, height: float, share_x: bool, share_y: bool) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    grid = list(figure.subplots(rows, columns, squeeze=False, sharex=share_x, sharey=share_y).ravel())
    for axes in grid:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color=GRID, linewidth=0.8)
        axes.set_axisbelow(True)
        axes.tick_params(length=3, labelleft=True)
    return figure, grid


def legend_above(
    figure: Figure, names: Sequence[tuple[str, Look]], columns: int = 4, others: Sequence[Line2D] = ()
) -> None:
    """Name lines, and other marks, once above all panels, which keep their height; long names have fewer columns."""
    handles = [*(Line2D([], [], **look.line, label=name) for name, look in names), *others]
    longest = max(len(str(handle.get_label())) for handle in handles)
    columns = max(1, min(columns, int(WIDTH / (HANDLE + LETTER * longest))))
    width, height = figure.get_size_inches()
    figure.set_size_inches(width, height + ROW * max(0, -(-len(handles) // columns) - 2))
    figure.legend(handles=handles, loc="outside upper left", ncols=columns, frameon=False, fontsize=9.5)


def label_ends(figure: Figure, axes: Axes, ends: Sequence[tuple[float, float, str, Look]]) -> None:
    """Write names right of where lines end, at x and y, moved apart where they would lie upon each other."""
    low, high = axes.get_ylim()
    step = 0.21 / (figure.get_size_inches()[1] * 0.8)  # a line of text
    heights = apart([(y - low) / (high - low) for _, y, _, _ in ends], step)
    for (x, y, name, look), height in zip(ends, heights, strict=True):
        leader = {"arrowstyle": "-", "color": look.color, "alpha": 0.4, "linewidth": 0.8, "relpos": (0, 0.5)}
        axes.annotate(
            name, xy=(x, y), xytext=(1.02, height), textcoords="axes fraction", color=look.color, va="center",
            fontsize=9.5, annotation_clip=False, arrowprops={**leader, "shrinkA": 1, "shrinkB": 0},
        )  # fmt: skip


def apart(heights: Sequence[float], step: float) -> list[float]:
    """Return heights in [0, 1] that are ``step`` apart or more, in the same order, as near as can be to what they were.

    Lines at [0.5, 0.5] with step 0.1 give [0.45, 0.55]. More than fit are spread evenly. Without the steps between them
    the heights must rise, which is the least-squares problem of isotonic regression.
    """
    if not heights:
        return []
    order = np.argsort(heights, kind="stable")
    steps = min(step, 1 / max(len(heights) - 1, 1)) * np.arange(len(heights))
    rising = isotonic_regression(np.asarray(heights)[order] - steps).x
    placed = np.empty(len(heights))
    placed[order] = np.clip(rising, 0, 1 - steps[-1]) + steps
    return placed.tolist()
