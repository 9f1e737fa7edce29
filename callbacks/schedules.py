"""Schedules of ρ, the number of units to drop, or of p, the probability: plain mathematics.

Each says what holds for a batch as a function of the :class:`Moment` alone, so that every process finds the same
value, and a resumed run goes on where it was. ``RhoScheduler`` rounds where a number of units is set.

L is the layer's number of units, and 1 where a probability is set. "The paper" is J. Maris, I. Pashayev, *Improving
Generalization of Feed-Forward Classifiers with Malicious Dropout*, §4.4.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar, final

from dropout_lab.callbacks.quantiles import binomial, triangular, uniform
from dropout_lab.models.dropout.base import check_count

__all__ = [
    "Alternating", "Binomial", "Constant", "Cosine", "ForwardAnnealing", "Linear", "LogUniform", "Logistic", "Moment",
    "Periodic", "Randomized", "ReverseAnnealing", "Schedule", "Triangular",
]  # fmt: skip


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


BELOW_ONE = 1 - 2**-24
"""The largest number below 1 in float32, which layers have for p."""


@dataclass(frozen=True)
class Drawn(Schedule, ABC):
    """A fresh draw for each batch from a law between two ends, by its quantile function Q.

    It is Q(u) of one u ~ U[0, 1), which follows from the run's seed and the batch's number: all processes agree, a
    resumed run continues the same sequence, and layers with the same number of units get the same ρ.

    p is of the law on [low, high). ρ, a whole number from ``low`` to ``high``, both included, is ⌊Q(u)⌋ of the law on
    [low, high + 1): P(ρ = k) = F(k + 1) − F(k) of its distribution function.

    Args:
        low: the least, 0 or more.
        high: the most, at least ``low``; None is L.
    """

    low: float = 0
    high: float | None = None

    def __post_init__(self) -> None:
        check_amount("low", self.low)
        if self.high is not None and not self.low <= self.high < math.inf:
            raise ValueError(f"high must be a number of at least low={self.low:g}, or None, got {self.high}")

    def at(self, moment: Moment) -> float:
        high, u = upper_bound(self.high, moment), uniform(moment.seed, moment.batch)
        if moment.units is None:
            if not self.low <= high <= 1:
                raise ValueError(
                    f"low and high must be in [0, 1] for a probability, got {self.low:g}, {high:g}"
                )
            # In 24 bits, as float32 has: the largest number below 1 must not become 1 there.
            return min(self.quantile(math.floor(u * 2**24) / 2**24, self.low, high), BELOW_ONE)
        first, last = math.ceil(self.low), math.floor(high)
        if last < first:
            raise ValueError(f"there is no whole number from low={self.low:g} to high={high:g}")
        return min(math.floor(self.quantile(u, first, last + 1, grain=1)), last)

    @abstractmethod
    def quantile(self, u: float, low: float, high: float, grain: float = 0) -> float:
        """Return Q(u) of the law on [low, high); ``grain`` is the width that a value takes up, 1 for whole numbers."""


@final
@dataclass(frozen=True)
class Randomized(Drawn):
    """A fresh draw for each batch from the uniform law, Q(u) = low + (high − low)·u; the paper's U(0, L).

    All whole numbers from ``low`` to ``high`` are equally likely; :class:`Drawn` says how it is drawn.
    """

    def quantile(self, u: float, low: float, high: float, grain: float = 0) -> float:
        return low + (high - low) * u


@final
@dataclass(frozen=True)
class Triangular(Drawn):
    """A fresh draw for each batch from the triangular law, whose density rises to ``mode`` and falls from there.

    For ρ the peak is in the middle of the mode's own interval, at mode + ½. How it is drawn: :class:`Drawn`. This and
    the next two are "other choices of distribution", which the paper leaves "as a future exercise".

    Args:
        low: the least, 0 or more.
        high: the most, at least ``low``; None is L.
        mode: the likeliest value, from ``low`` to ``high``; None is halfway.
    """

    mode: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        high = math.inf if self.high is None else self.high
        if self.mode is not None and not self.low <= self.mode <= high:
            raise ValueError(f"mode must be from low={self.low:g} to high, or None, got {self.mode}")

    def quantile(self, u: float, low: float, high: float, grain: float = 0) -> float:
        peak = (low + high) / 2 if self.mode is None else self.mode + grain / 2
        if not low <= peak <= high:
            raise ValueError(f"mode must be from {low:g} to {high - grain:g}, got {self.mode:g}")
        return triangular(u, low, high, peak)


@final
@dataclass(frozen=True)
class LogUniform(Drawn):
    """A fresh draw for each batch, uniform in its logarithm: Q(u) = low·(high/low)^u, weak ones as often as strong.

    P(ρ = k) = ln((k + 1)/k) / ln((high + 1)/low). How it is drawn: :class:`Drawn`.

    Args:
        low: the least, above 0; 1 for ρ from 1.
        high: the most, at least ``low``; None is L.
    """

    # Without a default: 1 suits ρ, and is everything where p is set.
    low: float = field()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.low == 0:
            raise ValueError(f"low must be above 0, whose logarithm there is, got {self.low}")

    def quantile(self, u: float, low: float, high: float, grain: float = 0) -> float:
        return low * math.exp(u * math.log(high / low))


@final
@dataclass(frozen=True)
class Binomial(Schedule):
    """A fresh draw for each batch from Binomial(L, p): as many units as standard dropout of rate p would drop.

    So MalDrop and standard dropout can be compared at the same law of the number of drops, of mean p·L and variance
    p·(1 − p)·L. How it is drawn: :class:`Drawn`.

    Args:
        p: in [0, 1].
        high: L, a whole number; None is the layer's number of units.
    """

    p: float
    high: int | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.p <= 1:
            raise ValueError(f"p must be in [0, 1], got {self.p}")
        if self.high is not None:
            check_count("high", self.high, least=0)

    def at(self, moment: Moment) -> float:
        if moment.units is None:
            raise ValueError(
                "it draws a number of units, here a probability is set; take Randomized or Triangular"
            )
        units = moment.units if self.high is None else int(self.high)
        return binomial(uniform(moment.seed, moment.batch), units, self.p)


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
        check_count("period", self.period, least=1)

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
        check_count("every", self.every, least=1)

    def at(self, moment: Moment) -> float:
        return self.off if moment.epoch // self.every % 2 else self.value


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
