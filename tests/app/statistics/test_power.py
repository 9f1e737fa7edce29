"""What seeds can show, against statsmodels, noncentral t and simulation."""

import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.power import TTestPower

from dropout_lab.app.statistics.power import power, seeds_needed, smallest_difference


@pytest.mark.parametrize(
    ("seeds", "alpha"), [(3, 0.05), (5, 0.05), (5, 0.05 / 15), (10, 0.05 / 3), (30, 0.05)]
)
def test_the_smallest_difference(seeds: int, alpha: float) -> None:
    found = smallest_difference(0.02, seeds, alpha)
    assert found / 0.02 == pytest.approx(
        TTestPower().solve_power(nobs=seeds, alpha=alpha, power=0.8), rel=1e-4
    )
    assert power(found / 0.02, seeds, alpha) == pytest.approx(0.8)


def test_of_noncentral_t() -> None:
    limit = stats.t.isf(0.01 / 2, 6)
    assert power(1.3, 7, 0.01) == pytest.approx(stats.nct.sf(limit, 6, 1.3 * math.sqrt(7)), abs=1e-4)


def test_where_scipy_s_tail_is_no_number() -> None:
    """At three seeds and a corrected alpha the critical value is 17, and statsmodels returns where its search began."""
    found = smallest_difference(1.0, 3, 0.05 / 15)
    values = found + np.random.default_rng(0).standard_normal((20_000, 3))
    shown = (stats.ttest_1samp(values, 0, axis=1).pvalue <= 0.05 / 15).mean()
    assert shown == pytest.approx(0.8, abs=0.01)


@pytest.mark.parametrize(
    ("deviation", "difference", "alpha"), [(0.015, 0.005, 0.05), (0.015, 0.01, 0.05 / 5)]
)
def test_the_seeds_needed_are_the_fewest(deviation: float, difference: float, alpha: float) -> None:
    needed = seeds_needed(deviation, difference, alpha)
    assert needed is not None
    expected = TTestPower().solve_power(effect_size=difference / deviation, alpha=alpha, power=0.8)
    assert needed == math.ceil(expected)
    assert smallest_difference(deviation, needed, alpha) <= difference
    assert smallest_difference(deviation, needed - 1, alpha) > difference


def test_ends() -> None:
    assert smallest_difference(1.0, 2) == math.inf
    assert seeds_needed(1e-9, 1.0) == 3
    assert seeds_needed(0.0, 1.0) == 3
    assert seeds_needed(1.0, 1e-6) is None
    with pytest.raises(ValueError, match="difference must be above 0, got 0"):
        seeds_needed(1.0, 0)
