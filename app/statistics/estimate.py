"""Means over seeds, their intervals, paired differences: pure functions of numbers."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import stdtrit

LEVEL = 0.95
# Equal differences of floating-point numbers are apart by less than this share of themselves.
ROUNDING = 1e-9

Scale = tuple[float, float]
"""The least and the most that a mean can be."""


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds and how well it is known; of a single seed, or with a value that is not finite, it is not."""

    mean: float
    deviation: float | None  # standard deviation between seeds, with n − 1 (ddof=1)
    half: float | None  # half the width of the 95 % interval of the mean
    count: int  # of seeds
    freedom: float | None = None  # degrees of freedom of the error, where they are not those of the seeds
    scale: Scale | None = None  # ends of what the mean can be, as 0 and 1 of an accuracy

    @property
    def error(self) -> float | None:
        """Standard error of the mean."""
        return None if self.half is None else self.half / t_factor(self.degrees_of_freedom)

    @property
    def degrees_of_freedom(self) -> float:
        """Degrees of freedom of the error, n − 1 unless it has other parts than the seeds' spread."""
        return self.count - 1 if self.freedom is None else self.freedom

    @property
    def is_constant(self) -> bool:
        """Whether all seeds, two or more, have the same value, so that nothing is known of its spread."""
        return self.deviation is not None and self.deviation <= ROUNDING * abs(self.mean)

    @property
    def reach(self) -> float | None:
        """Half the 95 % prediction interval of one further run's value, t(0.975; n − 1) · s · √(1 + 1/n).

        A source's number is that of one run, which lies as far from the mean of many as any other.
        """
        return None if self.half is None else self.half * math.sqrt(self.count + 1)

    def widened(self, factor: float) -> "Estimate":
        """Return it with an error that is so many times as large."""
        return self if self.half is None else replace(self, half=self.half * factor)

    @property
    def interval(self) -> tuple[float, float] | None:
        """Ends of the 95 % interval; what lies beyond the scale's ends is none of it, and costs no coverage."""
        if self.half is None or not (math.isfinite(self.mean) and math.isfinite(self.half)):
            return None
        lowest, highest = self.scale or (-math.inf, math.inf)
        return max(lowest, self.mean - self.half), min(highest, self.mean + self.half)


def estimate(values: Sequence[float], scale: Scale | None = None) -> Estimate:
    """Return the mean with its 95 % interval, mean ± t(0.975; n − 1) · s / √n, by Student's t.

    Student (W. S. Gosset), The Probable Error of a Mean, 1908. It takes the values of the seeds as independent and
    near normal. A value that is not finite makes the mean so, and there is no interval.
    """
    if not values:
        raise ValueError("values must have at least one number, got none")
    array = np.asarray(values, dtype=np.float64)
    mean = float(array.mean())
    if len(array) == 1 or not np.isfinite(array).all():
        return Estimate(mean, None, None, len(array), scale=scale)
    deviation = float(array.std(ddof=1))
    half = t_factor(len(array) - 1) * deviation / math.sqrt(len(array))
    return Estimate(mean, deviation, half, len(array), scale=scale)


def t_factor(freedom: float) -> float:
    """Return t(0.975; ν), half the width of a 95 % interval in standard errors."""
    return float(stdtrit(freedom, (1 + LEVEL) / 2))


def paired_difference(
    values: Mapping[int, float], baseline: Mapping[int, float], scale: Scale | None = None
) -> Estimate | None:
    """Return the mean of value − baseline over the seeds that both have; None if there is no such seed.

    Runs of one seed share their data split, order and often their initial weights, so that what the seed alone
    makes better or worse falls out of the difference.
    """
    seeds = sorted(values.keys() & baseline.keys())
    return estimate([values[seed] - baseline[seed] for seed in seeds], scale) if seeds else None


def paired_ratio(values: Mapping[int, float], baseline: Mapping[int, float]) -> Estimate | None:
    """Return the mean of value / baseline over the seeds that both have, and where the baseline is not 0; else None."""
    seeds = sorted(seed for seed in values.keys() & baseline.keys() if baseline[seed] != 0)
    ratios = [values[seed] / baseline[seed] for seed in seeds]
    return estimate(ratios, (0.0, math.inf)) if ratios else None
