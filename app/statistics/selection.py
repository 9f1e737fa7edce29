"""A choice among several, such as a dropout rate: made once over all seeds, judged by seeds that had no say in it."""

import math
from collections.abc import Mapping
from typing import TypeVar

import numpy as np

Choice = TypeVar("Choice")

# The two halves' means are no independent ones: with R choices that do not differ their correlation is
# e² · (1/R + 1/(R (R − 1))), where e is the mean of the largest of R standard normal values: 0.32 for 2, 0.36 for 3,
# its largest, 0.34 for 5, 0.26 for 10. Where choices differ it is less.
WIDER = math.sqrt(1.36)


def best_choice(validation: Mapping[Choice, Mapping[int, float]], highest: bool) -> Choice | None:
    """Return the choice with the best mean over seeds; of equal ones the first.

    ``validation`` is the metric of validation by choice and seed. A choice with fewer seeds than another is no
    candidate; one with a value that is not finite is the last. None without any value.
    """
    sign = 1 if highest else -1
    values = {choice: [sign * value for value in seeds.values()] for choice, seeds in validation.items()}
    most = max(map(len, values.values()), default=0)
    means = {
        choice: float(np.mean(each)) if np.isfinite(each).all() else -math.inf
        for choice, each in values.items()
        if len(each) == most > 0
    }
    return max(means, key=lambda choice: means[choice], default=None)


def cross_fitted(validation: Mapping[Choice, Mapping[int, float]], highest: bool) -> dict[int, Choice]:
    """Return by seed the choice that the *other half* of the seeds makes: what that seed's test is the judge of.

    A rate that is chosen by some runs, and then judged by the same runs, is flattered by their luck, since a run that
    is lucky in validation is so on the test split too. The halves are every second seed, in their order; the mean over
    all seeds is then without bias, and its error is at most :data:`WIDER` times what the spread between seeds says.
    With one seed there is no other half, and it chooses for itself.

    Departure: leaving out one seed at a time would choose by more, but the spread of its mean grows without bound
    against what the seeds' own spread says (1.3 times for three equal choices and five seeds, 1.6 for twenty).
    """
    seeds = sorted({seed for each in validation.values() for seed in each})
    one, other = seeds[::2], seeds[1::2] or seeds
    found: dict[int, Choice] = {}
    for choosing, judged in ((one, other), (other, one)):
        part = {
            choice: {seed: value for seed, value in each.items() if seed in choosing}
            for choice, each in validation.items()
        }
        best = best_choice(part, highest)
        found |= {seed: best for seed in judged if best is not None}
    return found
