"""Numbers of U[0, 1), and quantile functions, which turn them into numbers of another law."""

import math
from bisect import bisect_right
from functools import lru_cache
from itertools import accumulate
from random import Random


def uniform(seed: int, batch: int) -> float:
    """Return a number of U[0, 1) that follows from a run's seed and a batch's number."""
    # Of Python's generators, random() alone gives the same numbers in every version.
    return Random(f"{seed} {batch}").random()


def triangular(u: float, low: float, high: float, peak: float) -> float:
    """Return Q(u) of the triangular law on [low, high] with its peak between them.

    F(x) = (x − low)²/((high − low)(peak − low)) below the peak, 1 − (high − x)²/((high − low)(high − peak)) above.
    """
    if u * (high - low) < peak - low:
        return low + math.sqrt(u * (high - low) * (peak - low))
    return high - math.sqrt((1 - u) * (high - low) * (high - peak))


def binomial(u: float, n: int, p: float) -> int:
    """Return Q(u) of Binomial(n, p), P(k) = C(n, k)·p^k·(1 − p)^(n−k)."""
    # The last sum is 1 but for rounding.
    return min(bisect_right(_binomial_sums(n, p), u), n)


@lru_cache(maxsize=16)
def _binomial_sums(n: int, p: float) -> tuple[float, ...]:
    """Return P(X ≤ k) for k = 0 … n."""
    if p in (0, 1):
        return tuple(float(p == 0 or k == n) for k in range(n + 1))
    odds, whole = math.log(p) - math.log1p(-p), math.lgamma(n + 1) + n * math.log1p(-p)
    logarithms = (whole + k * odds - math.lgamma(k + 1) - math.lgamma(n - k + 1) for k in range(n + 1))
    return tuple(accumulate(map(math.exp, logarithms)))
