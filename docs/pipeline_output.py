"""What ``pipeline.py`` finds: a line of its CSV, tables in Markdown, a figure."""

import math
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter

from dropout_lab.app.plotting import BASELINE, FAINT, PALETTE, WIDTH, figure_of_pairs, save, styled

SCRIPT, PROJECT, LIGHTNING, LIMIT, ON_DEVICE = (
    "plain PyTorch",
    "this project",
    "Lightning's loop alone",
    "tensors in memory",
    "this project, on the GPU",
)
COLORS = {PROJECT: PALETTE[0], ON_DEVICE: PALETTE[5], LIMIT: BASELINE}


@dataclass(frozen=True)
class Speed:
    """What was measured of a way; a line of pipeline.csv.

    Attributes:
        part: ``batches`` or ``fit``.
        what: was done.
        way: did it.
        workers: processes that prepared batches.
        images_per_s: median over turns.
        epoch_s: seconds of a whole epoch, likewise; None where it is no training.
        times_default: how many times as fast as plain PyTorch with DataLoader's defaults: median over turns of the
            ratio of two times of the same turn.
        times_best_workers: likewise, as plain PyTorch with as many workers as are fastest.
        of_limit: time in that of the limit, likewise; None where there is none.
        each_turn: batches or steps of a turn.
        turns: how many.
    """

    part: str
    what: str
    way: str
    workers: int
    images_per_s: float
    epoch_s: float | None
    times_default: float
    times_best_workers: float
    of_limit: float | None
    each_turn: int
    turns: int
    machine: str = ""


def label_of(name: str, workers: int) -> str:
    """Return a way's name with its workers, if it has any."""
    return f"{name}, {workers} worker{'s'[: workers - 1]}" if workers else name


def table(speeds: list[Speed]) -> str:
    """Return batches or fits as a table in Markdown."""
    is_fit = speeds[0].part == "fit"
    last = ("of the limit's time",) if is_fit else ()
    head = (
        "",
        "s an epoch" if is_fit else "images/s",
        "times no workers",
        "times best workers",
        *last,
        "a turn",
    )
    lines = [f"| {' | '.join(head)} |", f"|---|{'---:|' * (len(head) - 1)}"]
    for speed in speeds:
        figure = f"{speed.images_per_s:,.0f}" if speed.epoch_s is None else f"{speed.epoch_s:,.2f}"
        cells = [f"{speed.what}: {label_of(speed.way, speed.workers)}", figure]
        cells += [f"{speed.times_default:.2f}", f"{speed.times_best_workers:.2f}"]
        cells += [] if speed.of_limit is None else [f"{speed.of_limit:.2f}"]
        lines.append(f"| {' | '.join([*cells, f'{speed.each_turn:,}'])} |")
    return "\n".join(lines)


def draw(speeds: list[Speed], file: Path) -> None:
    """Draw images a second on the left, seconds of an epoch on the right."""
    batches = [(speed, speed.images_per_s) for speed in speeds if speed.epoch_s is None]
    fits = [(speed, speed.epoch_s) for speed in speeds if speed.epoch_s is not None]
    rows = max(len(part) + len({speed.what for speed, _ in part}) for part in (batches, fits))
    with styled():
        figure, ((left, right),) = figure_of_pairs(1, share_x=False)
        figure.set_size_inches(WIDTH, 0.25 * rows + 1.0)
        draw_dots(left, batches, rows)
        left.set_xlabel("images a second")
        draw_dots(right, fits, rows)
        right.set_xlabel("seconds of an epoch")
        save(figure, file)


def draw_dots(axes: Axes, values: list[tuple[Speed, float]], rows: int) -> None:
    """Draw a dot for each way, from top to bottom, those of one thing together under its name."""
    labels: list[str] = []
    before = ""
    for speed, value in values:
        if speed.what != before:
            axes.text(0, len(labels), speed.what, transform=axes.get_yaxis_transform(), fontsize=9.5,
                      fontweight="bold", va="center")  # fmt: skip
            labels.append("")
            before = speed.what
        color = COLORS.get(speed.way, FAINT)
        axes.plot(value, len(labels), "o", color=color)
        axes.annotate(short(value), (value, len(labels)), (7, 0), textcoords="offset points", color=color,
                      va="center", fontsize=8.5)  # fmt: skip
        labels.append(label_of(speed.way, speed.workers))
    axes.set_xscale("log")
    axes.set_yticks(range(len(labels)), labels, fontsize=8.5)
    axes.set_ylim(rows, -0.7)
    # Room for the number beside the last point.
    axes.margins(x=0.25)
    axes.grid(False, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", labelsize=8.5)
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.xaxis.set_minor_formatter(lambda value, _: "")


def short(value: float) -> str:
    """Return three digits of a number: 12.3, 4,560, 123,000."""
    place = 2 - math.floor(math.log10(value))
    return f"{round(value, place):,.{max(0, place)}f}"
