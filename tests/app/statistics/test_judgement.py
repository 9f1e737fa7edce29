"""Differences judged together, against scipy and statsmodels by hand, and against the law of many studies."""

import gc
import math
from collections.abc import Iterator

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import DescrStatsW

from dropout_lab.app.statistics.estimate import estimate
from dropout_lab.app.statistics.judgement import Finding, judge

MATTERS = 0.005


def seeds(mean: float, deviation: float, count: int, seed: int) -> list[float]:
    return [float(value) for value in np.random.default_rng(seed).normal(mean, deviation, count)]


def test_p_values_are_scipys_and_statsmodels() -> None:
    samples = [seeds(0.02, 0.01, 5, 1), seeds(0.001, 0.004, 8, 2), seeds(-0.03, 0.02, 6, 3)]
    judged = judge([estimate(each) for each in samples], MATTERS, highest=True)
    raw = [stats.ttest_1samp(each, 0).pvalue for each in samples]
    # Two one-sided tests, of which the larger p counts.
    tost = [DescrStatsW(np.array(each)).ttost_mean(-MATTERS, MATTERS)[0] for each in samples]
    assert [each.p for each in judged] == pytest.approx(raw)
    assert [each.p_equivalent for each in judged] == pytest.approx(tost)
    assert [each.holm for each in judged] == pytest.approx(multipletests(raw, method="holm")[1])
    assert [each.holm_equivalent for each in judged] == pytest.approx(multipletests(tost, method="holm")[1])


def test_holm_by_hand() -> None:
    # 0.01 · 3, 0.02 · 2 and 0.04 · 1, none below the one before.
    samples = [_with_p(p) for p in (0.04, 0.01, 0.02)]
    judged = judge([estimate(each) for each in samples], 1e-6, highest=True)
    assert [each.holm for each in judged] == pytest.approx([0.04, 0.03, 0.04])


def _with_p(p: float) -> list[float]:
    """Return five differences whose two-sided paired t-test has this p."""
    shape = np.array([-1.0, -0.5, 0.0, 0.5, 1.0])
    t = stats.t.isf(p / 2, 4)
    return [float(value) for value in shape + t * shape.std(ddof=1) / math.sqrt(5)]


@pytest.mark.parametrize(
    ("mean", "highest", "finding"),
    [
        (0.02, True, Finding.BETTER),
        (0.02, False, Finding.WORSE),
        (-0.02, True, Finding.WORSE),
        (-0.02, False, Finding.BETTER),
        # Its sign is known, and it is too small to matter.
        (0.002, True, Finding.EQUIVALENT),
        (0.0, True, Finding.EQUIVALENT),
    ],
)
def test_findings(mean: float, highest: bool, finding: Finding) -> None:
    values = [mean + noise for noise in (-0.001, 0.0, 0.001, 0.0, 0.0)]
    assert judge([estimate(values)], MATTERS, highest)[0].finding is finding


def test_a_wide_interval_settles_nothing() -> None:
    assert judge([estimate([-0.03, 0.0, 0.04])], MATTERS, True)[0].finding is Finding.OPEN


def test_two_seeds_give_no_verdict_and_are_no_part_of_the_family() -> None:
    clear = estimate([0.02, 0.021, 0.019, 0.02, 0.0205])
    alone = judge([clear], MATTERS, True)[0]
    two, beside = judge([estimate([0.05, 0.051]), clear], MATTERS, True)
    assert two.finding is Finding.NONE
    assert two.p is None
    assert beside == alone


def test_runs_identical_to_the_baseline_are_equivalent_to_it() -> None:
    assert judge([estimate([0.0, 0.0, 0.0])], MATTERS, True)[0].finding is Finding.EQUIVALENT


def test_the_same_difference_in_every_seed_is_no_certainty() -> None:
    assert judge([estimate([0.1, 0.1, 0.1])], MATTERS, True)[0].finding is Finding.NONE


def test_what_is_not_finite_has_no_verdict() -> None:
    assert judge([estimate([0.1, math.nan, 0.1])], MATTERS, True)[0].finding is Finding.NONE


@pytest.mark.parametrize("matters", [0.0, -0.01, math.nan])
def test_what_matters_is_above_0(matters: float) -> None:
    with pytest.raises(ValueError, match="matters must be above 0"):
        judge([estimate([0.1, 0.2, 0.3])], matters, True)


@pytest.fixture
def frozen() -> Iterator[None]:
    """Leave what is in memory out of collections: multipletests makes one at each call, a tenth of a second each."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("frozen")
def test_of_many_studies_without_a_difference_one_in_twenty_has_a_wrong_finding() -> None:
    random = np.random.default_rng(0)
    wrong = 0
    for _ in range(2000):
        # Five candidates that share the baseline's noise, as paired ones do.
        values = random.normal(0, 0.01, (5, 6))
        differences = values[:, 1:] - values[:, :1]
        judged = judge([estimate(each.tolist()) for each in differences.T], MATTERS, True)
        wrong += any(each.finding in (Finding.BETTER, Finding.WORSE) for each in judged)
    assert wrong / 2000 <= 0.06


@pytest.mark.usefixtures("frozen")
def test_of_many_studies_at_the_edge_one_in_twenty_is_wrongly_called_equivalent() -> None:
    random = np.random.default_rng(1)
    values = random.normal(MATTERS, 0.002, (2000, 5))
    wrong = sum(
        judge([estimate(each.tolist())], MATTERS, True)[0].finding is Finding.EQUIVALENT for each in values
    )
    assert wrong / 2000 <= 0.06
