"""Schedules over the whole training, from one value to another."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, final

from dropout_lab.callbacks.schedules.base import Moment, Schedule, check_amount, logistic


@dataclass(frozen=True)
class OverTraining(Schedule, ABC):
    """start + (end − start)·s, with s the share of the way that is gone.

    Args:
        start: where it comes from, 0 or more.
        end: where it goes to, 0 or more.
    """

    start: float
    end: float

    uses_progress: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_amount("start", self.start)
        check_amount("end", self.end)

    def at(self, moment: Moment) -> float:
        return self.start + (self.end - self.start) * self.share(moment.progress)

    @abstractmethod
    def share(self, progress: float) -> float:
        """Return s, from 0 to 1."""


@final
@dataclass(frozen=True)
class Linear(OverTraining):
    """start + (end − start)·progress; the last batch is one step short of ``end``."""

    def share(self, progress: float) -> float:
        return progress


@final
@dataclass(frozen=True)
class Cosine(OverTraining):
    """start + (end − start)·(1 − cos(π·progress))/2: half a cosine, flat at both ends, fastest in the middle."""

    def share(self, progress: float) -> float:
        return (1 - math.cos(math.pi * progress)) / 2


@final
@dataclass(frozen=True)
class Logistic(OverTraining):
    """start + (end − start)/(1 + e^(−rate·(progress − midpoint))): the smoother annealing that the paper wishes for.

    It comes close to its ends without touching them: with the default rate it begins and stops 1/4 % of the way
    short. Where an end must be exact, as no dropout at all, take ``Cosine`` or ``Linear``.

    Args:
        start: where it comes from, 0 or more.
        end: where it goes to, 0 or more.
        midpoint: share of training, in [0, 1], at which it is halfway.
        rate: steepness, above 0, per whole training.
    """

    midpoint: float = 0.5
    rate: float = 12.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.midpoint <= 1:
            raise ValueError(f"midpoint must be in [0, 1], got {self.midpoint}")
        if not 0 < self.rate < math.inf:
            raise ValueError(f"rate must be a number above 0, got {self.rate}")

    def share(self, progress: float) -> float:
        return logistic(self.rate * (progress - self.midpoint))
