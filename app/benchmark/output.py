"""What is found of each variant: as a CSV file, as a table in the terminal, as dots in a figure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from dropout_lab.app.benchmark.classes import TORCH
from dropout_lab.app.plotting import BASELINE, FAINT, GRID, PALETTE, WIDTH, save, styled
from dropout_lab.ground import whole_file


def write_csv(rows: pd.DataFrame | Sequence[Any], file: Path) -> None:
    """Write a table, or dataclasses, a column for each field, numbers to five digits; the folder is there."""
    with whole_file(file) as stream:
        pd.DataFrame(rows).to_csv(stream, index=False, float_format="%.5g", lineterminator="\n")


def variant_table(title: str, numbers: pd.DataFrame) -> Table:
    """Return a table for the terminal, as it is, variants in its index."""
    table = Table(title=Text(title), title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("variant", overflow="fold")
    for heading in map(str, numbers):
        table.add_column(heading, justify="right")
    for variant, row in numbers.iterrows():
        table.add_row(Text(str(variant)), *(f"{number:,.2f}" for number in row))
    return table


@dataclass(frozen=True)
class DotPanel:
    """A panel of a figure: a number for each variant, 1 where it costs nothing, coloured above the limit."""

    title: str
    label: str
    values: Mapping[Any, float]
    limit: float


def draw_dots(panels: Sequence[DotPanel], machine: str, file: Path) -> None:
    """Draw a dot for each variant, variants one below the other, panels side by side, the machine in small type."""
    variants = list(dict.fromkeys(variant for panel in panels for variant in panel.values))
    with styled():
        size = (WIDTH * max(1.0, len(panels) / 4), 1.3 + 0.23 * len(variants))
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasAgg(figure)
        drawn = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for axes, panel in zip(drawn, panels, strict=True):
            _draw_panel(axes, panel, variants)
        drawn[0].set_yticks(np.arange(len(variants)), variants)
        drawn[0].invert_yaxis()
        figure.supxlabel(machine, fontsize=7, color=FAINT, x=0.99, ha="right")
        save(figure, file)


def _draw_panel(axes: Axes, panel: DotPanel, variants: Sequence[str]) -> None:
    for variant, value in panel.values.items():
        place = variants.index(variant)
        color = FAINT if variant == TORCH else PALETTE[1] if value > panel.limit else PALETTE[0]
        axes.plot([1, value], [place, place], color=color, linewidth=1, alpha=0.5)
        axes.plot(value, place, "o", color=color, markersize=4.5)
    axes.set_title(panel.title, fontsize=9)
    axes.set_xlabel(panel.label, fontsize=8.5)
    axes.axvline(1, color=BASELINE, linewidth=1)
    axes.axvline(panel.limit, color=FAINT, linewidth=0.8, linestyle=":")
    axes.tick_params(labelsize=8.5, length=0)
    axes.grid(axis="x", color=GRID)
    axes.spines[["top", "right", "left"]].set_visible(False)
