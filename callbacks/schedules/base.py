"""What a schedule is, and what schedules share."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, final


@final
@dataclass(frozen=True)
class Moment:
    """Where training is when a batch begins."""

    epoch: int
    """From 0."""
    batch: int
    """Over the whole run, across epochs, from 0."""
    progress: float
    """Share of training that is done: 0 at the first batch, 1 when the last one is over."""
    seed: int
    """Of the run."""
    units: int | None
    """L, the layer's number of units; None where a probability is scheduled, whose L is 1."""


class Schedule(ABC):
    """A value for each batch. One of your own is a frozen dataclass, so that its name tells its arguments."""

    uses_progress: ClassVar[bool] = False
    """Whether it reads ``Moment.progress``, so that the run needs an end."""

    @abstractmethod
    def at(self, moment: Moment) -> float:
        """Return ρ, not rounded yet, or p."""


def logistic(x: float) -> float:
    """Return 1/(1 + e^−x), for any x: the exponential that is taken is never above 1."""
    if x >= 0:
        return 1 / (1 + math.exp(-x))
    return math.exp(x) / (1 + math.exp(x))


def upper_bound(given: float | None, moment: Moment) -> float:
    """Return the bound that was given, or L: the layer's units, 1 for a probability."""
    if given is not None:
        return given
    return 1 if moment.units is None else moment.units


def check_amount(name: str, amount: float) -> None:
    """Check a value that a layer is to be set to."""
    if not 0 <= amount < math.inf:
        raise ValueError(f"{name} must be a number of 0 or more, got {amount}")


def check_count(name: str, count: int) -> None:
    """Check a number of batches or epochs."""
    if not (count >= 1 and count % 1 == 0):
        raise ValueError(f"{name} must be a whole number of 1 or more, got {count}")
