"""A choice among several, such as a dropout rate: made once over all seeds, judged by seeds that had no say in it."""

import math
from collections.abc import Mapping
from typing import TypeVar

import numpy as np

Choice = TypeVar("Choice")


def best_choice(
    validation: Mapping[Choice, Mapping[int, float]], highest: bool, without: int | None = None
) -> Choice | None:
    """Return the choice with the best mean over seeds, one of them left out if asked; of equal ones the first.

    ``validation`` is the metric of validation by choice and seed. A choice with fewer seeds than another is no
    candidate; one with a value that is not finite is the last. None without any value.
    """
    sign = 1 if highest else -1
    values = {
        choice: [sign * value for seed, value in seeds.items() if seed != without]
        for choice, seeds in validation.items()
    }
    most = max(map(len, values.values()), default=0)
    means = {
        choice: float(np.mean(each)) if np.isfinite(each).all() else -math.inf
        for choice, each in values.items()
        if len(each) == most > 0
    }
    return max(means, key=lambda choice: means[choice], default=None)


def cross_fitted(validation: Mapping[Choice, Mapping[int, float]], highest: bool) -> dict[int, Choice]:
    """Return by seed the choice that is best on the *other* seeds: what that seed's test is the judge of.

    A rate that is chosen by some runs, and then judged by the same runs, is flattered by their luck, since a run that
    is lucky in validation is so on the test split too. With one seed there are no others, and it is chosen by itself.
    """
    seeds = sorted({seed for each in validation.values() for seed in each})
    found = {seed: best_choice(validation, highest, seed if len(seeds) > 1 else None) for seed in seeds}
    return {seed: choice for seed, choice in found.items() if choice is not None}
