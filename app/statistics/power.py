"""What a number of seeds can show, and how many show a difference: power of the paired t-test."""

import math
from functools import cache

import numpy as np
from scipy.optimize import brentq
from scipy.special import gammaincinv, ndtr, stdtrit

from dropout_lab.app.statistics.judgement import ALPHA, FEWEST_SEEDS

POWER = 0.8
MOST_SEEDS = 1_000_000
# Places at which the law of the spread is taken; ten times as many change the fifth digit.
PLACES = 10_000


def power(effect: float, seeds: int, alpha: float = ALPHA) -> float:
    r"""Return the probability that the paired t-test over so many seeds finds a difference, with the right sign.

    ``effect`` is the true mean of the paired differences over their standard deviation. With t the critical value of
    the two-sided test, ν = n − 1 and W of the law χ²(ν), it is :math:`E[Φ(\sqrt n · effect − t \sqrt{W / ν})]`, the
    noncentral t's upper tail (J. Cohen, Statistical Power Analysis, 1988). It is computed so because SciPy's own tail
    is not a number where t is large, as after a correction for many comparisons.
    """
    freedom = seeds - 1
    limit = float(stdtrit(freedom, 1 - alpha / 2))
    spread = np.sqrt(2 * gammaincinv(freedom / 2, (np.arange(PLACES) + 0.5) / PLACES) / freedom)
    return float(ndtr(math.sqrt(seeds) * effect - limit * spread).mean())


def smallest_difference(deviation: float, seeds: int, alpha: float = ALPHA, least: float = POWER) -> float:
    """Return the smallest difference that so many seeds show with a power of ``least``, in the unit of ``deviation``.

    ``deviation`` is the standard deviation of the paired differences. Infinite with fewer seeds than a judgement needs.
    """
    return deviation * _smallest_effect(seeds, alpha, least) if seeds >= FEWEST_SEEDS else math.inf


@cache
def _smallest_effect(seeds: int, alpha: float, least: float) -> float:
    # So far above the critical value nearly every test finds it.
    highest = (4 * float(stdtrit(seeds - 1, 1 - alpha / 2)) + 10) / math.sqrt(seeds)
    return float(brentq(lambda effect: power(effect, seeds, alpha) - least, 0.0, highest, xtol=1e-9))


def seeds_needed(
    deviation: float, difference: float, alpha: float = ALPHA, least: float = POWER
) -> int | None:
    """Return the smallest number of seeds that shows a difference with a power of ``least``; None beyond a million."""
    if not difference > 0:
        raise ValueError(f"difference must be above 0, got {difference}")
    if not deviation > 0:
        return FEWEST_SEEDS

    def shows(seeds: int) -> bool:
        return power(difference / deviation, seeds, alpha) >= least

    # Doubled until it is enough, then between the last two.
    low, high = FEWEST_SEEDS - 1, FEWEST_SEEDS
    while not shows(high):
        low, high = high, 2 * high
        if high > MOST_SEEDS:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if shows(middle) else (middle, high)
    return high
