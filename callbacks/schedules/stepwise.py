"""Schedules that go by the number of the batch or of the epoch: those of the papers."""

import math
from abc import ABC
from dataclasses import dataclass
from random import Random
from typing import final

from dropout_lab.callbacks.schedules.base import (
    Moment,
    Schedule,
    check_amount,
    check_count,
    logistic,
    upper_bound,
)


@final
@dataclass(frozen=True)
class Constant(Schedule):
    """The same ρ for every batch; the paper's "Standard".

    Args:
        rho: the value, 0 or more.
    """

    rho: float

    def __post_init__(self) -> None:
        check_amount("rho", self.rho)

    def at(self, moment: Moment) -> float:
        return self.rho


@final
@dataclass(frozen=True)
class Randomized(Schedule):
    """A fresh draw for each batch; the paper draws from U(0, L).

    Uniform over the whole numbers from ``low`` to ``high``, both included; for p over the reals in [low, high). The
    draw is a function of the run's seed and the batch's number, so all processes agree, a resumed run continues the
    same sequence, and layers with the same number of units get the same ρ.

    Args:
        low: the least, 0 or more.
        high: the most, at least ``low``; None is L.

    Raises:
        ValueError: an argument is out of range; by :meth:`at`, if there is nothing to draw from.
    """

    low: float = 0
    high: float | None = None

    def __post_init__(self) -> None:
        check_amount("low", self.low)
        if self.high is not None and not self.low <= self.high < math.inf:
            raise ValueError(f"high must be a number of at least low={self.low:g}, or None, got {self.high}")

    def at(self, moment: Moment) -> float:
        high = upper_bound(self.high, moment)
        # Of Python's generators, random() alone gives the same numbers in every version.
        drawn = Random(f"{moment.seed} {moment.batch}").random()
        if moment.units is None:
            if not self.low <= high <= 1:
                raise ValueError(
                    f"low and high must be in [0, 1] for a probability, got {self.low:g}, {high:g}"
                )
            # In 24 bits, as float32 has: the largest number below 1 must not become 1 there.
            return self.low + (high - self.low) * math.floor(drawn * 2**24) / 2**24
        first, last = math.ceil(self.low), math.floor(high)
        if last < first:
            raise ValueError(f"there is no whole number from low={self.low:g} to high={high:g}")
        return first + math.floor((last - first + 1) * drawn)


@dataclass(frozen=True)
class Annealing(Schedule, ABC):
    """The paper's annealing, with the epoch i.

    Args:
        rho: ρ, any number; below 0 the change comes at epoch −ρ.
        L: upper bound, above 0; None is the layer's number of units.
    """

    rho: float
    L: float | None = None

    def __post_init__(self) -> None:
        if not math.isfinite(self.rho):
            raise ValueError(f"rho must be a finite number, got {self.rho}")
        if self.L is not None and not 0 < self.L < math.inf:
            raise ValueError(
                f"L must be a number above 0, or None for the layer's number of units, got {self.L}"
            )


@final
@dataclass(frozen=True)
class ForwardAnnealing(Annealing):
    """ρ_i = L/(1 + e^−(ρ + i)) in epoch i, the paper's equation 1, as it stands there.

    It rises from L/(1 + e^−ρ) to L within some ten epochs of i = −ρ, so it **saturates** for the paper's own values:
    with ρ = 256 it is L from epoch 0, everything is dropped, and nothing is learned. It is L/2 at the start only for
    ρ = 0; for ρ = −10 it rises from 0 to L around epoch 10. ``Logistic`` is the same curve over the whole run,
    between ends of one's choice.
    """

    def at(self, moment: Moment) -> float:
        return upper_bound(self.L, moment) * logistic(self.rho + moment.epoch)


@final
@dataclass(frozen=True)
class ReverseAnnealing(Annealing):
    """ρ_i = L·(1 − 1/(1 + e^−(ρ + i))) in epoch i, the paper's mirror image of :class:`ForwardAnnealing`.

    It **saturates** likewise: with ρ = 256 nothing is dropped from epoch 0 on. For ρ = −10 it falls from L to 0 around
    epoch 10. ``Logistic`` with ``start`` above ``end`` falls over the whole run.
    """

    def at(self, moment: Moment) -> float:
        # 1 − 1/(1 + e^−x) = 1/(1 + e^x), without the difference of two numbers close to 1.
        return upper_bound(self.L, moment) * logistic(-(self.rho + moment.epoch))


@final
@dataclass(frozen=True)
class Periodic(Schedule):
    """ρ for each batch whose number is a multiple of ``period``, the first one included, and 0 between.

    Args:
        rho: the value of active batches, 0 or more.
        period: batches from one active batch to the next, 1 or more; counted across epochs.
    """

    rho: float
    period: int = 5

    def __post_init__(self) -> None:
        check_amount("rho", self.rho)
        check_count("period", self.period)

    def at(self, moment: Moment) -> float:
        return self.rho if moment.batch % self.period == 0 else 0


@final
@dataclass(frozen=True)
class Alternating(Schedule):
    """``value`` for ``every`` epochs, then ``off`` for as many, and again.

    Source: I. M. Gavier, *Activation Dropout, Inverse Dropout and Correlated Dropout*, §5: future work, p and 0 in
    turn, against DropAct's low validation accuracy.

    Args:
        value: of the first epochs, 0 or more.
        off: of the epochs between, 0 or more; in YAML ``"off"`` with quotes, as a bare one is read as false.
        every: epochs before each change, 1 or more.
    """

    value: float
    off: float = 0
    every: int = 1

    def __post_init__(self) -> None:
        check_amount("value", self.value)
        check_amount("off", self.off)
        check_count("every", self.every)

    def at(self, moment: Moment) -> float:
        return self.off if moment.epoch // self.every % 2 else self.value
