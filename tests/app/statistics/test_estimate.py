"""Numbers held against a computation by hand and against scipy."""

import math

import numpy as np
import pytest
from scipy import stats

from dropout_lab.app.statistics.estimate import Estimate, estimate, paired_difference, paired_ratio


def test_three_values_by_hand() -> None:
    found = estimate([1.0, 2.0, 6.0])
    # Deviations from 3 are −2, −1, 3: 14 / 2 = 7; t(0.975; 2) = 4.302653.
    assert found.mean == 3.0
    assert found.deviation == pytest.approx(math.sqrt(7))
    assert found.half == pytest.approx(4.302653 * math.sqrt(7) / math.sqrt(3), rel=1e-6)
    assert found.count == 3


@pytest.mark.parametrize("count", [2, 3, 5, 10])
def test_the_interval_is_scipys(count: int) -> None:
    values = np.random.default_rng(count).normal(0.5, 0.1, count)
    interval = stats.t.interval(0.95, count - 1, loc=values.mean(), scale=stats.sem(values))
    assert estimate(values.tolist()).interval == pytest.approx(interval)


def test_the_interval_holds_the_true_mean_19_times_of_20() -> None:
    draws = np.random.default_rng(0).normal(2.0, 1.0, (2000, 3))
    inside = 0
    for values in draws:
        interval = estimate(values.tolist()).interval
        assert interval is not None
        inside += interval[0] <= 2.0 <= interval[1]
    assert inside / 2000 == pytest.approx(0.95, abs=0.015)


def test_one_seed_has_no_interval() -> None:
    assert estimate([0.4]) == Estimate(0.4, None, None, 1)
    assert estimate([0.4]).interval is None


def test_a_value_that_is_not_finite_leaves_no_interval() -> None:
    found = estimate([0.4, math.nan])
    assert math.isnan(found.mean)
    assert found.interval is None


def test_no_value() -> None:
    with pytest.raises(ValueError, match="at least one"):
        estimate([])


def test_the_seeds_own_effect_falls_out_of_a_paired_difference() -> None:
    found = paired_difference({0: 0.3, 1: 0.5, 2: 0.7}, {0: 0.2, 1: 0.4, 2: 0.6})
    assert found is not None
    assert found.interval == pytest.approx((0.1, 0.1))
    values, baseline = [0.31, 0.48, 0.7], [0.2, 0.4, 0.6]
    test = stats.ttest_rel(values, baseline).confidence_interval(0.95)
    unpaired = paired_difference(dict(enumerate(values)), dict(enumerate(baseline)))
    assert unpaired is not None
    assert unpaired.interval == pytest.approx((test.low, test.high))


def test_only_seeds_that_both_have_are_paired() -> None:
    found = paired_difference({0: 1.0, 1: 5.0}, {1: 2.0, 7: 100.0})
    assert found == Estimate(3.0, None, None, 1)
    assert paired_difference({0: 1.0}, {1: 1.0}) is None


def test_ratios_are_of_the_same_seed() -> None:
    found = paired_ratio({0: 2.0, 1: 9.0}, {0: 1.0, 1: 3.0})
    assert found is not None
    assert found.mean == 2.5
    assert paired_ratio({0: 2.0}, {0: 0.0}) is None
