"""A rate chosen once, and judged by seeds that had no say in it."""

import math

import numpy as np
import pytest
from scipy import stats

from dropout_lab.app.statistics.selection import WIDER, best_choice, cross_fitted


def test_the_best_mean_over_all_seeds() -> None:
    # 0.2 is best in two seeds of three, 0.5 in the mean.
    validation = {0.2: {0: 0.9, 1: 0.9, 2: 0.1}, 0.5: {0: 0.8, 1: 0.8, 2: 0.8}}
    assert best_choice(validation, highest=True) == 0.5
    assert best_choice(validation, highest=False) == 0.2


def test_each_half_of_the_seeds_chooses_for_the_other() -> None:
    validation = {"a": {0: 0.9, 1: 0.5, 2: 0.9, 3: 0.5}, "b": {0: 0.6, 1: 0.6, 2: 0.6, 3: 0.6}}
    # Seeds 0 and 2 are for a, 1 and 3 for b.
    assert cross_fitted(validation, highest=True) == {1: "a", 3: "a", 0: "b", 2: "b"}


def test_of_equal_ones_the_first() -> None:
    assert best_choice({0.5: {0: 0.7}, 0.1: {0: 0.7}}, highest=True) == 0.5


def test_fewer_seeds_are_no_candidate() -> None:
    assert best_choice({"a": {0: 0.9}, "b": {0: 0.5, 1: 0.5}}, highest=True) == "b"


def test_what_is_not_finite_loses() -> None:
    assert best_choice({"a": {0: math.nan}, "b": {0: 0.1}}, highest=True) == "b"
    assert best_choice({"a": {0: -math.inf}, "b": {0: 9.0}}, highest=False) == "b"


def test_one_seed_chooses_by_itself_and_none_chooses_nothing() -> None:
    assert cross_fitted({"a": {3: 0.5}, "b": {3: 0.6}}, highest=True) == {3: "b"}
    assert best_choice({"a": {}}, highest=True) is None


def luck(rates: int, seeds: int, studies: int = 2000) -> tuple[np.ndarray, np.ndarray]:
    """Return validation and test of rates that do not differ, (studies, rates, seeds), with luck that both share."""
    random = np.random.default_rng(0)
    shared = random.normal(0, 0.01, (studies, rates, seeds))
    return 0.5 + shared, 0.5 + shared + random.normal(0, 0.002, shared.shape)


def judged(validation: np.ndarray, test: np.ndarray) -> list[float]:
    """Return the test values of one study that are judged."""
    values = {rate: dict(enumerate(row.tolist())) for rate, row in enumerate(validation)}
    chosen = cross_fitted(values, highest=True)
    return [float(test[chosen[seed], seed]) for seed in sorted(chosen)]


@pytest.mark.parametrize(("rates", "seeds"), [(2, 4), (3, 3), (3, 6), (3, 12), (10, 6)])
def test_of_rates_that_do_not_differ_nothing_is_gained_and_the_interval_covers(
    rates: int, seeds: int
) -> None:
    validation, test = luck(rates, seeds)
    found = np.array([judged(*study) for study in zip(validation, test, strict=True)])
    assert abs(found.mean() - 0.5) < 0.0004
    half = WIDER * stats.t.ppf(0.975, seeds - 1) * found.std(axis=1, ddof=1) / np.sqrt(seeds)
    assert 0.93 <= np.mean(abs(found.mean(axis=1) - 0.5) <= half) <= 0.97


def test_without_the_halves_the_best_of_equals_is_flattered() -> None:
    validation, test = luck(3, 6)
    best = validation.mean(axis=2).argmax(axis=1)
    assert test.mean(axis=2)[np.arange(len(best)), best].mean() - 0.5 > 0.003


def test_where_one_rate_is_clearly_best_the_interval_covers_a_little_more() -> None:
    validation, test = luck(3, 6)
    found = np.array(
        [judged(*study) for study in zip(validation + np.array([[0.1], [0.0], [0.0]]), test, strict=True)]
    )
    half = WIDER * stats.t.ppf(0.975, 5) * found.std(axis=1, ddof=1) / np.sqrt(6)
    assert 0.95 <= np.mean(abs(found.mean(axis=1) - 0.5) <= half) <= 0.98


@pytest.mark.parametrize("rates", [2, 3, 5, 10])
def test_the_halves_correlation_is_bounded(rates: int) -> None:
    random = np.random.default_rng(1)
    halves = random.normal(size=(200_000, 2, rates))
    first, second = halves[:, 0].argmax(axis=1), halves[:, 1].argmax(axis=1)
    place = np.arange(len(halves))
    correlation = np.mean(halves[place, 0, second] * halves[place, 1, first])
    assert correlation <= WIDER**2 - 1 + 0.01
