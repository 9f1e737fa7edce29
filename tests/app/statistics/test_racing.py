"""Races: how often they take what is no better, what they take, and what they save; all of many simulated studies."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.stats import t
from statsmodels.stats.multitest import multipletests

from dropout_lab.app.statistics.racing import (
    ENDINGS,
    GOES_ON,
    Ending,
    Race,
    Rules,
    Runs,
    _Fit,
    _reject,
    levels,
    looks,
    race,
)

STUDIES = 2000
MATTERS = 0.005
# Of accuracies from one seed to the next, as in docs/results/dropin-table.
SPREAD, OF_SEED = 0.012, 0.01


def simulate(
    variants: int, rates: int, seeds: int, effects: Any = 0.0, correlation: float = 0.6, studies: int = STUDIES,
    uneven: bool = False, heavy: bool = False,
) -> Runs:  # fmt: skip
    """Draw studies: what a seed does to all, and to each run; validation and test share a part of it."""
    random = np.random.default_rng(0)
    variant = np.concatenate([[0], np.repeat(np.arange(1, variants + 1), rates)])
    shape = (studies, len(variant), seeds)
    means = np.zeros(len(variant))
    means[1:] += np.asarray(effects).ravel() if np.ndim(effects) else effects
    # t(3) has the variance 3.
    draws = random.standard_t(3, (3, *shape)) / np.sqrt(3) if heavy else random.standard_normal((3, *shape))
    spread = SPREAD * (random.choice([0.5, 1, 2, 3], (studies, len(variant), 1)) if uneven else 1)
    both = means[:, None] + OF_SEED * random.standard_normal((studies, 1, seeds))
    shared, rest = np.sqrt(correlation) * draws[0], np.sqrt(1 - correlation) * draws[1:]
    validation, test = both + spread * (shared + rest[0]), both + spread * (shared + rest[1])
    return Runs(variant, validation, test, np.ones(shape, np.bool_))


def taken(found: Race) -> Any:
    return found.ending == ENDINGS.index(Ending.TAKE)


NULL: dict[str, dict[str, Any]] = {
    "usual": {"variants": 15, "rates": 3, "seeds": 10},
    "validation is test": {"variants": 15, "rates": 3, "seeds": 10, "correlation": 1.0},
    "uneven": {"variants": 15, "rates": 3, "seeds": 10, "uneven": True},
    "heavy tails": {"variants": 15, "rates": 3, "seeds": 10, "heavy": True},
    "few variants": {"variants": 3, "rates": 1, "seeds": 13},
    "many rates": {"variants": 3, "rates": 9, "seeds": 8, "correlation": 0.9},
    "one variant": {"variants": 1, "rates": 1, "seeds": 13},
    "three seeds": {"variants": 15, "rates": 3, "seeds": 3, "correlation": 0.9},
}


SLOW = {"validation is test", "uneven", "heavy tails"}


@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=[pytest.mark.slow] if case in SLOW else []) for case in NULL]
)
def test_what_is_no_better_is_taken_in_5_percent_of_studies_at_most(case: str) -> None:
    wrong = taken(race(simulate(**NULL[case]), Rules(MATTERS))).mean()
    # Two standard errors of a simulated 5 % more.
    assert wrong <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / STUDIES)


def test_what_is_worse_is_hardly_ever_taken() -> None:
    found = race(simulate(5, 3, 10, effects=-0.01), Rules(MATTERS))
    assert taken(found).mean() <= 0.002


def test_a_real_difference_is_taken_with_a_fraction_of_the_runs() -> None:
    effects = np.zeros((15, 3))
    effects[4] = [0.05, 0.045, 0.03]
    runs = simulate(15, 3, 10, effects=effects)
    found = race(runs, Rules(MATTERS))
    assert taken(found).mean() >= 0.99
    assert (runs.variant[found.leader] == 5).mean() >= 0.99
    assert found.counts.sum() / runs.ended.size <= 0.25


def test_the_leader_of_a_race_is_nearly_that_of_the_whole_grid() -> None:
    effects = np.add.outer(np.linspace(0.03, -0.03, 15), [0, -0.005, -0.02])
    runs = simulate(15, 3, 10, effects=effects)
    found = race(runs, Rules(MATTERS))
    means = np.concatenate([[0], effects.ravel()])
    whole = np.where(runs.variant == 0, -np.inf, runs.validation.mean(2)).argmax(1)
    lost = means[whole].mean() - means[found.leader].mean()
    assert lost <= MATTERS / 5
    assert found.counts.sum() / runs.ended.size <= 0.3


def test_a_race_is_the_same_however_its_runs_end() -> None:
    """Run by run in a random order, and from the beginning at each, it asks for the same runs as from a whole table."""
    effects = np.add.outer([0.05, 0.0, -0.03], [0, -0.02])
    whole = simulate(3, 2, 8, effects=effects, studies=20)
    random = np.random.default_rng(1)
    expected = race(whole, Rules(MATTERS))
    ended = np.zeros_like(whole.ended)
    while (found := race(replace(whole, ended=ended), Rules(MATTERS))).todo.any():
        lacking = np.argwhere(found.todo)
        for study, pair, seed in random.permutation(lacking)[: 1 + len(lacking) // 2]:
            ended[study, pair, seed] = True
    assert (found.counts == expected.counts).all()
    assert (found.ending == expected.ending).all()
    assert (found.leader == expected.leader).all()
    assert (ended.sum(2) == expected.counts).all()
    assert (expected.ending != GOES_ON).all()


@pytest.mark.parametrize("value", [np.nan, -np.inf, 0.1])
def test_what_fails_or_has_learned_nothing_is_out_at_once(value: float) -> None:
    runs = simulate(3, 1, 5, effects=0.0, studies=50)
    for values in (runs.validation, runs.test):
        values += 0.6
        values[:, 2, 0] = value
    found = race(runs, Rules(MATTERS, chance=0.1))
    assert (found.counts[:, 2] == 1).all()
    assert not found.left[:, 2].any()
    assert (found.leader != 2).all()
    # The others are raced as if it had not been there.
    rest = [0, 1, 3]
    others = Runs(np.array([0, 1, 2]), runs.validation[:, rest], runs.test[:, rest], runs.ended[:, rest])
    assert (found.left[:, rest] == race(others, Rules(MATTERS, chance=0.1)).left).mean() > 0.9


def test_endings() -> None:
    runs = simulate(2, 1, 5, studies=4)
    for values in (runs.validation, runs.test):
        values += 0.6
    runs.validation[0, 0] = np.nan
    runs.validation[1, 1:] = np.nan
    for values in (runs.validation, runs.test):
        values[2, 1:] = values[2, :1] - 0.3 + 0.001 * np.arange(10).reshape(2, 5)
    found = race(runs, Rules(MATTERS))
    names = [ENDINGS[ending] for ending in found.ending[:3]]
    assert names == [Ending.NO_BASELINE, Ending.NOTHING, Ending.BEHIND]
    assert found.counts[:3].sum(1).tolist() == [3, 3, 5]


def test_equivalence_on_the_test_split_ends_a_race() -> None:
    runs = simulate(1, 1, 5, studies=1)
    runs.validation[:] = 0.5 + 0.02 * np.random.default_rng(0).standard_normal(runs.validation.shape)
    runs.test[:, 1] = runs.test[:, 0] + 1e-4 * np.array([1, -1, 2, 0, 1])
    found = race(runs, Rules(MATTERS, comparable=False))
    assert ENDINGS[found.ending[0]] is Ending.NO_DIFFERENCE
    assert found.counts[0].tolist() == [3, 3]


def test_looks_share_the_error() -> None:
    assert looks(2) == []
    assert looks(3) == [3]
    assert looks(10) == [3, 5, 8, 10]
    assert looks(21) == [3, 5, 8, 13, 21]
    assert sum(levels(21).values()) == pytest.approx(0.05)
    assert levels(5) == pytest.approx({3: 0.05 * 9 / 34, 5: 0.05 * 25 / 34})


def test_the_fit_is_least_squares() -> None:
    random = np.random.default_rng(0)
    values = random.standard_normal((1, 4, 3))
    counts = np.array([[3, 3, 2, 1]])
    fit = _Fit(values, counts, 3)
    rows, observed = [], []
    for pair, count in enumerate(counts[0]):
        for seed in range(count):
            # Pairs, and seeds but the first.
            rows.append([*np.eye(4)[pair], *np.eye(3)[seed][1:]])
            observed.append(values[0, pair, seed])
    design = np.asarray(rows)
    solution, squares, _, _ = np.linalg.lstsq(design, np.asarray(observed), rcond=None)
    assert fit.pairs[0] - fit.pairs[0, 0] == pytest.approx(solution[:4] - solution[0])
    assert fit.freedom[0] == len(observed) - 6
    variance = squares[0] / fit.freedom[0]
    covariance = np.linalg.inv(design.T @ design)
    bound = fit.bound(np.array([0]), 0.1)[0]
    for pair in range(1, 4):
        apart = np.eye(6)[pair] - np.eye(6)[0]
        width = t.isf(0.1, fit.freedom[0]) * np.sqrt(variance * apart @ covariance @ apart)
        assert bound[pair] == pytest.approx(solution[pair] - solution[0] + width)
    assert bound[0] == 0


def test_a_collapse_widens_no_bound() -> None:
    runs = simulate(10, 1, 3, studies=200)
    counts = np.full((200, 11), 3)
    before = _Fit(runs.validation, counts, 3).bound(np.zeros(200, int), 0.05)
    runs.validation[:, 7, 1] -= 0.5
    after = _Fit(runs.validation, counts, 3).bound(np.zeros(200, int), 0.05)
    # By plain least squares it is 5 spreads.
    assert np.median(after[:, 3] - before[:, 3]) < 1.5 * SPREAD


def test_rejections_are_holm_s() -> None:
    # Few: statsmodels collects garbage in every call, which takes a tenth of a second.
    p = np.random.default_rng(0).random((10, 6)) ** 3
    expected = [multipletests(row, 0.05, method="holm")[0] for row in p]
    assert (_reject(p, 0.05) == np.asarray(expected)).all()
