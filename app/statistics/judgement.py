"""Differences to a baseline, judged: by sign, by size, and together, so that many of them mislead no more than one."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from scipy.special import stdtr
from statsmodels.stats.multitest import multipletests

from dropout_lab.app.statistics.estimate import Estimate

ALPHA = 0.05
# With fewer seeds the spread is a guess, and what comes out a matter of luck.
FEWEST_SEEDS = 3


class Finding(Enum):
    """What a difference to the baseline is known to be."""

    BETTER = "better"
    EQUIVALENT = "equivalent"  # smaller than what matters, whatever its sign
    WORSE = "worse"
    OPEN = "not settled"  # more seeds would say
    NONE = "no verdict"  # too few seeds, or a value that is not finite


@dataclass(frozen=True)
class Judgement:
    """A paired difference to the baseline and what it is known to be; p is None where there is no verdict.

    ``p`` is of the two-sided paired t-test of a difference of 0, ``p_equivalent`` of the two one-sided tests of a
    difference that matters; ``holm`` and ``holm_equivalent`` are these corrected over all that were judged together.
    """

    difference: Estimate  # candidate − baseline
    finding: Finding
    p: float | None = None
    holm: float | None = None
    p_equivalent: float | None = None
    holm_equivalent: float | None = None


def judge(
    differences: Sequence[Estimate], matters: float, highest: bool, alpha: float = ALPHA, family: int = 0
) -> list[Judgement]:
    r"""Judge paired differences to one baseline together; those of too few seeds are no part of the family.

    A difference :math:`\bar d` over n seeds with standard error s has t = d̄ / s under "no difference", and
    t± = (d̄ ± m) / s under "as large as what matters", m. It is *equivalent* where both one-sided tests of ±m are
    rejected (TOST; Schuirmann 1987), whether or not its sign is known; else *better* or *worse* where the two-sided
    test of 0 is rejected; else *not settled*. Either family of p-values is corrected by Holm's method (1979): the
    chance of one false "better" or "worse" among all is ``alpha`` at most, and so is that of one false "equivalent".

    Args:
        differences: candidate − baseline, in the metric's unit.
        matters: the smallest difference that matters, above 0, in the same unit.
        highest: whether more is better.
        alpha: error of each family.
        family: how many comparisons there are, at least, where some are not among ``differences``, as those that a race
            has dropped; each has p = 1.
    """
    if not matters > 0:
        raise ValueError(f"matters must be above 0, got {matters}")
    tested = [place for place, each in enumerate(differences) if _is_testable(each)]
    raw = {place: _p_values(differences[place], matters) for place in tested}
    holm = _holm([raw[place][0] for place in tested], family)
    holm_equivalent = _holm([raw[place][1] for place in tested], family)
    judged = [Judgement(each, Finding.NONE) for each in differences]
    for place, corrected, equivalent in zip(tested, holm, holm_equivalent, strict=True):
        each = differences[place]
        if equivalent <= alpha:
            finding = Finding.EQUIVALENT
        elif corrected <= alpha:
            finding = Finding.BETTER if (each.mean > 0) == highest else Finding.WORSE
        else:
            finding = Finding.OPEN
        judged[place] = Judgement(each, finding, raw[place][0], corrected, raw[place][1], equivalent)
    return judged


def _is_testable(difference: Estimate) -> bool:
    # Seeds that are all alike are one: a spread of 0 is no certainty. Identical runs are a finding all the same.
    same = difference.is_constant and difference.mean == 0
    return (
        difference.count >= FEWEST_SEEDS
        and difference.interval is not None
        and (same or not difference.is_constant)
    )


def _p_values(difference: Estimate, matters: float) -> tuple[float, float]:
    assert difference.error is not None, "only those with an interval are tested"
    if difference.error == 0:
        return 1.0, 0.0
    freedom, error = difference.degrees_of_freedom, difference.error
    two_sided = 2 * float(stdtr(freedom, -abs(difference.mean) / error))
    equivalent = float(stdtr(freedom, (abs(difference.mean) - matters) / error))
    return two_sided, equivalent


def _holm(p_values: Sequence[float], family: int) -> list[float]:
    if not p_values:
        return []
    whole = [*p_values, *[1.0] * (family - len(p_values))]
    return [float(p) for p in multipletests(whole, method="holm")[1][: len(p_values)]]
