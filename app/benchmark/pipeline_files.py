"""What ``benchmark --pipeline`` writes."""

import csv
import math
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter

from dropout_lab.app.benchmark.pipeline_table import way_words
from dropout_lab.app.benchmark.speeds import LIMIT, ON_DEVICE, PROJECT, Speed
from dropout_lab.app.files import whole_file
from dropout_lab.app.plotting import BASELINE, FAINT, PALETTE, WIDTH, figure_of_pairs, save, styled

COLUMNS = (
    "part",
    "what",
    "way",
    "workers",
    "images_per_s",
    "epoch_s",
    "times_default",
    "times_best_workers",
    "of_limit",
    "each_turn",
    "turns",
    "machine",
)
COLORS = {PROJECT: PALETTE[0], ON_DEVICE: PALETTE[5], LIMIT: BASELINE}
ROW, HEAD = 0.24, 1.2
"""Inches of a row; rows that a name above others takes."""


def write_csv(speeds: list[Speed], machine: str, folder: Path) -> Path:
    """Write ``pipeline.csv``, a row for each way; what does not apply is left empty."""
    file = folder / "pipeline.csv"
    with whole_file(file) as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        for speed in speeds:
            figures = (
                speed.images_per_s,
                speed.epoch_s,
                speed.faster,
                speed.faster_than_best,
                speed.of_limit,
            )
            writer.writerow(
                [
                    speed.part,
                    speed.what,
                    speed.way.name,
                    speed.way.workers,
                    *("" if figure is None else f"{figure:.6g}" for figure in figures),
                    speed.each_turn,
                    speed.turns,
                    machine,
                ]
            )
    return file


def draw(speeds: list[Speed], folder: Path) -> Path:
    """Write ``pipeline.png``: images a second on the left, seconds of an epoch on the right."""
    parts = [[speed for speed in speeds if speed.part == part] for part in ("batches", "fit")]
    with styled():
        figure, ((left, right),) = figure_of_pairs(1, share_x=False)
        rows = max(len(part) + HEAD * len({speed.what for speed in part}) for part in parts)
        figure.set_size_inches(WIDTH, ROW * rows + 1.0)
        _points(left, parts[0], [speed.images_per_s for speed in parts[0]], rows)
        left.set_xlabel("images a second")
        _points(right, parts[1], [speed.epoch_s or 0.0 for speed in parts[1]], rows)
        right.set_xlabel("seconds of an epoch")
        return save(figure, folder / "pipeline.png")


def _points(axes: Axes, speeds: list[Speed], values: list[float], rows: float) -> None:
    """Draw a point for each way, from top to bottom, those of one thing together under its name."""
    place, before = 0.0, ""
    places = []
    for speed, value in zip(speeds, values, strict=True):
        if speed.what != before:
            place += HEAD
            axes.annotate(speed.what, (0, place - 0.9), xycoords=("axes fraction", "data"), fontsize=9.5,
                          fontweight="bold", va="center")  # fmt: skip
            before = speed.what
        color = COLORS.get(speed.way.name, FAINT)
        axes.plot(value, place, "o", color=color)
        axes.annotate(_short(value), (value, place), (7, 0), textcoords="offset points", color=color,
                      va="center", fontsize=8.5)  # fmt: skip
        places.append(place)
        place += 1
    axes.set_xscale("log")
    axes.set_yticks(places, [way_words(speed.way) for speed in speeds], fontsize=8.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(False, axis="y")
    axes.set_ylim(rows, -0.5)
    # Room for the number beside the last point.
    axes.margins(x=0.25)
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.tick_params(axis="x", labelsize=8.5)
    axes.xaxis.set_minor_formatter(lambda value, _: "")


def _short(value: float) -> str:
    """Return three digits of a number: 12.3, 4,560, 123,000."""
    digits = max(0, 2 - math.floor(math.log10(value))) if value < 100 else 0
    scale = 10 ** max(0, math.floor(math.log10(value)) - 2)
    return f"{round(value / scale) * scale if value >= 100 else value:,.{digits}f}"
