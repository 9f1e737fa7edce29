"""How long runs may be so that a comparison fits into its minutes. Nothing here imports torch."""

import math
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from dropout_lab.app.config.settings import Settings
from dropout_lab.app.errors import UserError

# Of the minutes; workers disturb each other, and are not all busy at the end of a round.
FILLED = 0.8
LEAST_EPOCHS, MOST_EPOCHS = 5, 100
# Seeds after which there is a verdict worth waiting for.
PLANNED_SEEDS = 5
# An epoch of a few images has so many steps, or as many as batches of LEAST_BATCH allow.
STEPS, LEAST_BATCH, MOST_BATCH = 10, 8, 100


class RunCosts(Protocol):
    """What a run takes."""

    def of(self, epochs: float) -> float:
        """Return the seconds of a run of so many epochs."""


class Budget(NamedTuple):
    """What is going to be done, as far as it can be said before."""

    epochs: float
    first: int  # runs of the first round, of each candidate one
    planned: int  # runs until the survivors have had five seeds, roughly
    first_seconds: float  # of the first round
    seconds: float  # of all that is planned
    fits: bool  # whether that is within the minutes


def make_budget(
    candidates: Sequence[RunCosts], seeds: int, jobs: int, seconds: float, epochs: float | None
) -> Budget:
    """Choose the epochs of a run: as many as fit, from 5 to 100.

    Half of the runs that would give each candidate five seeds are planned, since a race drops most of them early.

    Args:
        candidates: what a run of each takes.
        seeds: that there are at most.
        jobs: runs at a time.
        seconds: that all of it may take.
        epochs: given by the user; None chooses them.
    """
    share = (1 + min(seeds, PLANNED_SEEDS)) / 2
    workers = min(jobs, len(candidates))

    def seconds_of(count: float) -> float:
        return sum(each.of(count) for each in candidates) / workers

    if epochs is None:
        around = seconds_of(0)
        fitting = math.floor((FILLED * seconds / share - around) / (seconds_of(1) - around))
        epochs = min(max(fitting, LEAST_EPOCHS), MOST_EPOCHS)
    first = seconds_of(epochs)
    planned = share * first
    return Budget(epochs, len(candidates), round(share * len(candidates)), first, planned, planned <= seconds)


def given_epochs(trainer: Settings, steps: int) -> float | None:
    """Return how many epochs of so many steps the settings of a trainer ask for at most; None where they do not.

    Raises:
        UserError: they ask for a time alone, of which each candidate would make something else.
    """
    if "max_time" in trainer and not {"max_epochs", "max_steps"} & trainer.keys():
        raise UserError(
            "trainer.max_time alone ends no two runs alike: give --trainer.max_epochs or max_steps too"
        )
    limits = [(trainer.get("max_epochs"), 1), (trainer.get("max_steps"), steps)]
    given = [(limit, length) for limit, length in limits if isinstance(limit, int)]
    # Without an end, -1, a callback has the say.
    return (
        min((limit / length for limit, length in given if limit > 0), default=MOST_EPOCHS) if given else None
    )


def batch_size(images: int) -> int:
    """Return how many images a batch has, a power of 2 below 100, so that an epoch of few images has ten steps."""
    if images >= STEPS * MOST_BATCH:
        return MOST_BATCH
    return max(LEAST_BATCH, 1 << (images // STEPS).bit_length() - 1 if images >= STEPS else 1)


def duration(seconds: float) -> str:
    """Return a time in words."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"
