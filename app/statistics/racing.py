"""Racing: further seeds go to the candidates that may still be the one to take, until that is known.

A race has rounds, and after round n each pair of a variant and a rate that has had a run in it has n seeds. The first
is of all pairs; before each further one, those that are surely behind in validation are dropped, and of the others
those that are probably behind wait. What is taken is judged on the test split, at a few moments that are planned: so
its error does not depend on what was dropped.

All functions take many studies at once, so that their errors can be simulated: B studies, P pairs, S seeds.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

from dropout_lab.app.statistics.estimate import ROUNDING
from dropout_lab.app.statistics.judgement import ALPHA, FEWEST_SEEDS
from dropout_lab.app.statistics.selection import WIDER

# Seeds at which it is looked whether something can be taken; the last look is at all seeds.
LOOKS = (3, 5, 8, 13, 21, 34, 55, 89, 144, 233, 377, 610, 987)
# After the first round nothing is known of the spread: this share of the pairs has a second seed.
SHARE = 0.5
# One-sided error of a bound: pairs beyond it are dropped (the error of all of them together), or wait (of each).
DROPPED, WAITING = 0.05, 0.1
# A run that is no farther above chance than this share of the best one's way has learned nothing.
LEARNED = 0.05
# Residuals beyond so many robust standard deviations count as these, so that a single collapse widens no bound; that
# is settled in a few passes.
WIDEST, MAD, PASSES = 3.0, 1.4826, 4
# A variance beyond any.
UNKNOWN = 1e300
# The variant that all others are compared with.
BASELINE = 0

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Whole = NDArray[np.int_]


class Ending(Enum):
    """Why a race is over."""

    TAKE = "the leader is better than the baseline"
    NO_DIFFERENCE = "no variant is better than the baseline by what matters, on the test split"
    BEHIND = "no variant can be better than the baseline by what matters, in validation"
    SEEDS = "all seeds are used"
    NO_BASELINE = "the baseline has failed"
    NOTHING = "all variants have failed, or learned nothing"


ENDINGS = tuple(Ending)
GOES_ON = -1


@dataclass(frozen=True)
class Rules:
    """What a race is decided by, all of it fixed before the first run; of all values more is better."""

    matters: float  # the smallest difference that matters, in the metric's unit
    comparable: bool = True  # whether validation and test are of one metric, so that it matters in both
    chance: float | None = None  # what a run that has learned nothing has in validation
    alpha: float = ALPHA  # chance of a wrong "take", whatever is dropped


@dataclass(frozen=True, eq=False)
class Runs:
    """What is known of each pair's runs; seeds are in the order in which they are given out."""

    variant: Whole  # (P,): of which variant a pair is, the baseline's first
    validation: Floats  # (B, P, S)
    test: Floats  # (B, P, S)
    ended: Flags  # (B, P, S); a run that has failed has ended, without a finite value


@dataclass(frozen=True, eq=False)
class Race:
    """Where B races stand; once they are over there is nothing to do."""

    counts: Whole  # (B, P): seeds that a pair has had
    left: Flags  # (B, P): pairs that may still be taken, and the baseline's
    leader: Whole  # (B,): pair that is best in validation
    ending: Whole  # (B,): place in ENDINGS, or GOES_ON
    todo: Flags  # (B, P, S): runs that the round lacks
    rounds: list[
        tuple[Flags, Flags]
    ]  # of each that is complete: pairs that had a run in it, pairs dropped after it


def looks(seeds: int) -> list[int]:
    """Return at how many seeds a race of so many is judged; at none if there are too few for a judgement."""
    return [*(look for look in LOOKS if look < seeds), seeds] if seeds >= FEWEST_SEEDS else []


def levels(seeds: int, alpha: float = ALPHA) -> dict[int, float]:
    """Return the error that each look may have, α · n² / Σ n²: alpha together, most of it where most can be seen."""
    total = sum(look**2 for look in looks(seeds))
    return {look: alpha * look**2 / total for look in looks(seeds)}


def race(runs: Runs, rules: Rules) -> Race:
    r"""Play a race from its first round, as far as its runs have ended.

    Of the pairs that are left, value = pair + seed + noise is fitted to validation by least squares, and the noise's
    variance pooled over pairs, large residuals cut. With :math:`d_i` how far a pair is ahead of the leader, the best of
    those with all n seeds, and :math:`s_i` its standard error, it is dropped for good if :math:`d_i + t s_i < 0` at the
    level 5 % / pairs (Bonferroni), or if it is so below the baseline + what matters. It waits if that holds at 10 % for
    itself alone. A pair with a run that failed, is not finite or has learned nothing is dropped at once.

    At each look, 3, 5, 8, 13, … seeds, a variant's differences to the baseline are those of its rate in front that the
    other half of the seeds chooses. The leader is taken if its paired two-sided t-test is significant at the level of
    the look (:func:`levels`) by Holm's method over all variants, those that were dropped with p = 1; one that
    is so worse, or equivalent (TOST), is out. Had every run been made, the chance of a false "better" at a look were
    its level at most, and at any look alpha (Bonferroni); what was not run can only take some of them away.
    """
    studies, pairs, seeds = runs.validation.shape
    usable = runs.ended & np.isfinite(runs.validation) & np.isfinite(runs.test)
    state = Race(
        np.zeros((studies, pairs), np.int_), np.ones((studies, pairs), np.bool_), np.zeros(studies, np.int_),
        np.full(studies, GOES_ON), np.zeros_like(runs.ended), [],
    )  # fmt: skip
    chosen = np.ones((studies, pairs), np.bool_)
    for number in range(1, seeds + 1):
        chosen &= (state.ending == GOES_ON)[:, None]
        place = np.flatnonzero(chosen.any(1))
        if not len(place):
            break
        state.todo[...] = chosen[:, :, None] & (np.arange(seeds) < number) & ~runs.ended
        if state.todo.any():
            break
        state.counts[chosen] = number
        before = state.left.copy()
        # What is not there, or not finite, is never looked at: its pair is lost.
        validation, test = (np.where(usable, each, 0.0)[place] for each in (runs.validation, runs.test))
        part = Runs(runs.variant, validation, test, usable[place])
        chosen[place] = _end_round(state, place, part, rules, number)
        state.rounds.append((state.counts == number, before & ~state.left))
    return state


def _end_round(state: Race, place: Whole, runs: Runs, rules: Rules, number: int) -> Flags:
    """Drop and judge after a round of the studies that go on; return who is in the next."""
    base, counts = runs.variant == BASELINE, state.counts[place]
    left = state.left[place] & ~_lost(runs, counts, rules)
    ending = np.full(len(place), GOES_ON)
    ending[~(left & ~base).any(1)] = ENDINGS.index(Ending.NOTHING)
    ending[~(left & base).any(1)] = ENDINGS.index(Ending.NO_BASELINE)
    chosen = np.zeros_like(left)
    on = np.flatnonzero(ending == GOES_ON)
    if len(on):
        runs = Runs(runs.variant, runs.validation[on], runs.test[on], runs.ended[on])
        fit = _Fit(runs.validation, np.where(left[on], counts[on], 0), number)
        leader = fit.best(~base)
        state.leader[place[on]] = leader
        left[on] &= ~_behind(fit, base, rules)
        ended = np.where((left[on] & ~base).any(1), GOES_ON, ENDINGS.index(Ending.BEHIND))
        if number in looks(runs.validation.shape[2]):
            better, out = _judge(runs, left[on] & fit.in_front, rules, number)
            left[on] &= ~(out[:, runs.variant] & ~base)
            none = ~(left[on] & ~base).any(1) & (ended == GOES_ON)
            ended[none] = ENDINGS.index(Ending.NO_DIFFERENCE)
            ended[_of(better, runs.variant[leader])] = ENDINGS.index(Ending.TAKE)
        ending[on] = ended
        chosen[on] = left[on] & fit.hopeful(base)
    if number == runs.validation.shape[2]:
        ending[ending == GOES_ON] = ENDINGS.index(Ending.SEEDS)
    state.left[place], state.ending[place] = left, ending
    return chosen


def _of(values: NDArray[Any], place: Whole) -> NDArray[Any]:
    """Return of each study's row the value at a place."""
    return np.take_along_axis(values, place[:, None], 1)[:, 0]


def _lost(runs: Runs, counts: Whole, rules: Rules) -> Flags:
    """Return the pairs with a run that failed, is not finite or has learned nothing; the baseline may learn nothing."""
    had = np.arange(runs.ended.shape[2]) < counts[:, :, None]
    lost = had & ~runs.ended
    if rules.chance is not None and rules.comparable:
        best = np.where(had & runs.ended, runs.validation, rules.chance).max((1, 2), keepdims=True)
        worthless = runs.validation <= rules.chance + LEARNED * (best - rules.chance)
        lost |= had & worthless & (runs.variant != BASELINE)[:, None]
    return np.asarray(lost.any(2))


class _Fit:
    """Value = pair + seed + noise by least squares, of pairs that have had their first ``counts`` seeds (0: left out).

    With the pairs' effects taken out, the seeds' b solve M b = r, M = diag(nₛ) − NᵀA, where N (P, n) says which pair
    has which seed and A = N / counts. M is singular, since only differences of seeds matter: M + 11ᵀ/n is not. Large
    residuals are cut and the fit repeated (P. J. Huber, Robust Statistics, 1981, section 7.8).
    """

    def __init__(self, values: Floats, counts: Whole, number: int) -> None:
        self.number, self.there = number, counts > 0
        self.in_front = counts == number
        self._counts = np.maximum(counts, 1)
        mask = np.arange(number) < counts[:, :, None]
        values = np.where(mask, values[:, :, :number], 0.0)
        means = values.sum(2) / self._counts
        self._share = mask / self._counts[:, :, None]
        normal = np.eye(number) * mask.sum(1)[:, None, :] - mask.transpose(0, 2, 1) @ self._share
        self._inverse = np.linalg.inv(normal + 1 / number) - 1 / number
        self.freedom = mask.sum((1, 2)) - self.there.sum(1) - (number - 1)
        kept = values
        for _ in range(PASSES):
            middles = kept.sum(2) / self._counts
            right = ((kept - middles[:, :, None]) * mask).sum(1)
            seeds = (self._inverse @ right[:, :, None])[:, :, 0]
            fitted = (middles - (self._share @ seeds[:, :, None])[:, :, 0])[:, :, None] + seeds[:, None]
            cut = _widest(np.where(mask & (counts[:, :, None] > 1), kept - fitted, np.nan), self.freedom)
            residuals = np.clip(values - fitted, -cut, cut) * mask
            kept = np.where(mask, fitted + residuals, 0.0)
        # What a seed does is told by what is kept, a pair's own value by all that it has come to.
        self.pairs = means - (self._share @ seeds[:, :, None])[:, :, 0]
        squares = (residuals**2 * (counts > 1)[:, :, None]).sum((1, 2))
        self._variance = np.where(self.freedom > 0, squares / np.maximum(self.freedom, 1), UNKNOWN)

    def best(self, group: Flags) -> Whole:
        """Return the best pair of a group, of those in front unless none of them is left."""
        there = self.there & group
        front = there & self.in_front
        there = np.where(front.any(1, keepdims=True), front, there)
        return np.asarray(np.where(there, self.pairs, -np.inf).argmax(1))

    def bound(self, other: Whole, error: Floats | float) -> Floats:
        """Return the upper bound, of this one-sided error, of how far each pair is ahead of another."""
        apart = self._share - self._share[np.arange(len(other)), other][:, None]
        leverage = 1 / self._counts + 1 / _of(self._counts, other)[:, None]
        leverage += ((apart @ self._inverse) * apart).sum(2)
        leverage[np.arange(len(other)), other] = 0
        factor = stdtrit(np.maximum(self.freedom, 1), 1 - np.asarray(error))
        width = factor[:, None] * np.sqrt(self._variance[:, None] * leverage.clip(min=0))
        ahead = self.pairs - _of(self.pairs, other)[:, None]
        return np.where(self.there, ahead + width, -np.inf)

    def hopeful(self, base: Flags) -> Flags:
        """Return the pairs that are not probably behind the best of theirs; after one seed the better part of them."""
        found = np.zeros_like(self.there)
        for group in (base, ~base):
            if self.number > 1:
                found |= group & (self.bound(self.best(group), WAITING) >= 0)
                continue
            mine = self.there & group
            rank = np.argsort(np.argsort(np.where(mine, -self.pairs, np.inf), axis=1, kind="stable"), axis=1)
            found |= mine & (rank < np.ceil(SHARE * mine.sum(1))[:, None])
        return np.asarray(found)


def _widest(residuals: Floats, freedom: Whole) -> Floats:
    """Return how large a residual may be, in robust standard deviations of all; without freedom as large as it is."""
    size = np.abs(residuals).reshape(len(residuals), -1)
    widest = np.full(len(size), np.inf)
    place = np.flatnonzero(freedom > 0)
    if len(place):
        used = np.isfinite(size[place]).sum(1)
        deviation = np.nanmedian(size[place], axis=1) * MAD * np.sqrt(used / freedom[place])
        widest[place] = WIDEST * deviation
    return widest[:, None, None]


def _behind(fit: _Fit, base: Flags, rules: Rules) -> Flags:
    """Return the pairs that are surely behind the best of theirs, or cannot be better than the baseline by enough."""
    behind: Flags = np.zeros_like(fit.in_front)
    if fit.number == 1:
        return behind
    for group in (base, ~base):
        together = DROPPED / np.maximum((fit.there & group).sum(1) - 1, 1)
        behind = behind | (group & (fit.bound(fit.best(group), together) < 0))
    if rules.comparable:
        together = DROPPED / np.maximum((fit.there & ~base).sum(1), 1)
        behind = behind | (~base & (fit.bound(fit.best(base), together) < rules.matters))
    return behind


def _judge(runs: Runs, front: Flags, rules: Rules, number: int) -> tuple[Flags, Flags]:
    """Return which variants (B, V) are better than the baseline, and which are worse or equivalent."""
    studies, variants = len(front), int(runs.variant.max()) + 1
    figures = np.zeros((studies, variants, number))
    for variant in range(variants):
        mine = runs.variant == variant
        figures[:, variant] = _cross_fitted(
            runs.validation[:, mine, :number], runs.test[:, mine, :number], front[:, mine]
        )
    difference = figures - figures[:, :1]
    wider = np.stack([_choices(front[:, runs.variant == variant]) for variant in range(variants)], axis=1)
    mean, error = difference.mean(2), wider * difference.std(2, ddof=1) / np.sqrt(number)
    # Seeds that are all alike are one, unless there is no difference at all.
    known = error > ROUNDING * np.abs(mean)
    with np.errstate(divide="ignore", invalid="ignore"):
        sign = np.where(known, 2 * stdtr(number - 1, -np.abs(mean) / error), 1.0)
        size = np.where(known, stdtr(number - 1, (np.abs(mean) - rules.matters) / error), mean != 0)
    judged = np.stack([front[:, runs.variant == variant].any(1) for variant in range(variants)], axis=1)
    level = levels(runs.validation.shape[2], rules.alpha)[number]
    apart = _reject(np.where(judged, sign, 1.0)[:, 1:], level)
    alike = _reject(np.where(judged, size, 1.0)[:, 1:], level)
    none = np.zeros((studies, 1), np.bool_)
    better = np.hstack([none, apart & ~alike & (mean[:, 1:] > 0)])
    return better, np.hstack([none, alike | (apart & (mean[:, 1:] < 0))])


def _cross_fitted(validation: Floats, test: Floats, there: Flags) -> Floats:
    """Return (B, n) the test of the rate that the other half of the seeds chooses, of rates that are there."""
    found = np.empty((len(test), test.shape[2]))
    for choosing in (0, 1):
        sums = np.where(there, validation[:, :, choosing::2].sum(2), -np.inf)
        judged = test[:, :, 1 - choosing :: 2]
        found[:, 1 - choosing :: 2] = np.take_along_axis(judged, sums.argmax(1)[:, None, None], 1)[:, 0]
    return found


def _choices(there: Flags) -> Floats:
    """Return how many times as large the error is, (B,): where there are several rates to choose from."""
    return np.where(there.sum(1) > 1, WIDER, 1.0)


def _reject(p: Floats, level: float) -> Flags:
    """Return which hypotheses of each row Holm's method (1979) rejects: the smallest p, as long as p ≤ level / left."""
    order = np.argsort(p, axis=1)
    holds = np.take_along_axis(p, order, 1) <= level / np.arange(p.shape[1], 0, -1)
    rejected = np.zeros_like(holds)
    np.put_along_axis(rejected, order, np.logical_and.accumulate(holds, axis=1), 1)
    return rejected
