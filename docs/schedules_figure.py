"""Draws the pictures of all schedules: python docs/schedules_figure.py (a second)."""

from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from dropout_lab.callbacks.schedules import (
    Alternating,
    Binomial,
    Constant,
    Cosine,
    Drawn,
    ForwardAnnealing,
    Linear,
    Logistic,
    LogUniform,
    Moment,
    Periodic,
    Randomized,
    ReverseAnnealing,
    Schedule,
    Triangular,
)

UNITS = 4096
EPOCHS = 20
BATCHES = 6
"""Batches of an epoch: few, so that one can be told from the next."""
BLUE, ORANGE = "#2f6db3", "#d1602b"

PANELS: list[tuple[str, list[tuple[str, Schedule]]]] = [
    ("Constant", [("rho=256", Constant(256))]),
    ("Randomized", [("low=0, high=None", Randomized())]),
    ("Triangular", [("mode=None", Triangular()), ("mode=256", Triangular(mode=256))]),
    ("LogUniform", [("low=1, high=None", LogUniform(1))]),
    ("Binomial", [("p=0.0625", Binomial(0.0625))]),
    ("Periodic", [("rho=256, period=5", Periodic(256))]),
    ("ForwardAnnealing", [("rho=−10", ForwardAnnealing(-10)), ("rho=256: saturated", ForwardAnnealing(256))]),
    ("ReverseAnnealing", [("rho=−10", ReverseAnnealing(-10)), ("rho=256: saturated", ReverseAnnealing(256))]),
    ("Logistic", [("start=0, end=4096", Logistic(0, UNITS)), ("start=4096, end=0", Logistic(UNITS, 0))]),
    ("Linear", [("start=0, end=2048", Linear(0, 2048))]),
    ("Cosine", [("start=0, end=2048", Cosine(0, 2048))]),
    ("Alternating", [("value=256, every=1", Alternating(256))]),
]


def moments() -> list[Moment]:
    """Return every batch of the run."""
    total = EPOCHS * BATCHES
    return [Moment(batch // BATCHES, batch, batch / total, seed=0, units=UNITS) for batch in range(total)]


def draw(axes: Axes, name: str, schedules: list[tuple[str, Schedule]]) -> None:
    """Draw one schedule, with one or two choices of its arguments."""
    epochs = [moment.batch / BATCHES for moment in moments()]
    largest = 0.0
    for color, (label, schedule) in zip((BLUE, ORANGE), schedules, strict=False):
        values = [schedule.at(moment) for moment in moments()]
        largest = max(largest, *values)
        if isinstance(schedule, Drawn | Binomial):
            axes.plot(epochs, values, ".", color=color, markersize=4, label=label)
        elif isinstance(schedule, Periodic):
            axes.vlines(epochs, 0, values, color=color, linewidth=1.1, label=label)
        else:
            # A batch's value holds until the next one.
            steps = [*epochs, EPOCHS], [*values, values[-1]]
            axes.step(*steps, where="post", color=color, label=label, linewidth=1.8)
    axes.set_title(name, fontsize=11, loc="left", fontweight="bold")
    top = UNITS if largest > UNITS / 2 else 2048 if largest > 320 else 320
    axes.set(xlim=(-0.3, EPOCHS), ylim=(-0.03 * top, 1.06 * top), xticks=range(0, EPOCHS + 1, 5))
    axes.set_yticks([0, top // 2, top] if top > 320 else [0, 128, 256])
    axes.legend(fontsize=8.5, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=2)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)


def main() -> None:
    """Draw and save."""
    figure, grid = plt.subplots(4, 3, figsize=(10, 10.6), layout="constrained")
    for axes, (name, schedules) in zip(grid.flat, PANELS, strict=True):
        draw(axes, name, schedules)
    figure.supylabel("ρ, units that are dropped", fontsize=10)
    figure.supxlabel("epoch", fontsize=10)
    figure.savefig(Path(__file__).with_name("schedules.png"), dpi=110)


if __name__ == "__main__":
    main()
