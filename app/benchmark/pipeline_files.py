"""What ``benchmark --pipeline`` writes."""

import csv
from pathlib import Path

from matplotlib.axes import Axes

from app.benchmark.pipeline_table import way_words
from app.benchmark.speeds import LIMIT, ON_DEVICE, PROJECT, Speed
from app.report.style import BASELINE, FAINT, PALETTE, WIDTH, figure_of_pairs, save, styled

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
BAR, GAP = 0.8, 0.9


def write_csv(speeds: list[Speed], machine: str, folder: Path) -> Path:
    """Write ``pipeline.csv``, a row for each way; what does not apply is left empty."""
    file = folder / "pipeline.csv"
    with file.open("w", newline="") as stream:
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
        rows = max(len(part) + GAP * len({speed.what for speed in part}) for part in parts)
        figure.set_size_inches(WIDTH, max(3.0, 0.24 * rows + 0.9))
        _bars(left, parts[0], [speed.images_per_s for speed in parts[0]])
        left.set_title("images a second")
        left.set_xscale("log")
        _bars(right, parts[1], [speed.epoch_s or 0.0 for speed in parts[1]])
        right.set_title("seconds of an epoch")
        return save(figure, folder / "pipeline.png")


def _bars(axes: Axes, speeds: list[Speed], lengths: list[float]) -> None:
    """Draw bars from top to bottom, those of one thing together under its name."""
    place, before = 0.0, ""
    ticks = []
    for speed, length in zip(speeds, lengths, strict=True):
        if speed.what != before:
            place += GAP
            axes.annotate(speed.what, (0, place - 1), xycoords=("axes fraction", "data"), fontsize=9.5,
                          fontweight="bold", va="center")  # fmt: skip
            before = speed.what
        ticks.append(place)
        axes.barh(place, length, BAR, color=COLORS.get(speed.way.name, FAINT))
        place += 1
    axes.set_yticks(ticks, [way_words(speed.way) for speed in speeds], fontsize=8.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(False, axis="y")
    axes.set_ylim(place, -1)
