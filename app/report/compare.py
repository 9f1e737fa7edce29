"""Whether the paper's ranking holds here, in words."""

import math
from collections import Counter
from dataclasses import dataclass
from enum import Enum
from itertools import combinations

from dropout_lab.app.report.formatting import (
    highest_is_best,
    label_words,
    mean_and_half,
    metric_name,
    number,
    ratio,
    span,
)
from dropout_lab.app.report.results import Cells
from dropout_lab.app.report.statistics import Estimate
from dropout_lab.app.study.spec import Labels


class Verdict(Enum):
    """What a paired difference says about the paper's."""

    HOLDS = "the paper's ranking holds"
    REVERSED = "the paper's ranking is reversed"
    OPEN = "cannot be told apart"
    TIE = "they differ, and are equal in the paper"
    NOTHING = "no interval, so no verdict"


def verdict(paper: float, here: Estimate) -> Verdict:
    """Return what a paired difference says about the paper's.

    Args:
        paper: the paper's difference between two methods.
        here: the paired difference between the same methods. If its interval includes 0, the two cannot be told
            apart, whatever the paper says.
    """
    if here.interval is None:
        return Verdict.NOTHING
    low, high = here.interval
    if low <= 0 <= high:
        return Verdict.OPEN
    if paper == 0:
        return Verdict.TIE
    return Verdict.HOLDS if (here.mean > 0) == (paper > 0) else Verdict.REVERSED


@dataclass(frozen=True)
class Comparison:
    """A method against the baseline, in one cell of the table.

    Attributes:
        labels: the cell's.
        here: the paired difference to the baseline.
        paper: the paper's difference; None where it gives none.
        verdict: on the paper's difference; None where it gives none.
    """

    labels: Labels
    here: Estimate
    paper: float | None
    verdict: Verdict | None


def against_baseline(cells: Cells, metric: str, table: Labels) -> list[Comparison]:
    """Compare each cell of a table with the baseline's in the same column.

    Args:
        cells: the runs.
        metric: that is compared.
        table: labels that all cells of the table share.
    """
    found = []
    for column in cells.columns():
        for row in cells.rows():
            labels = table | row | column
            here = cells.difference(labels, metric)
            if here is None or cells.is_baseline(labels):
                continue
            ours = cells.paper(labels, metric)
            theirs = cells.paper(labels | cells.study.report.baseline, metric)
            paper = None if ours is None or theirs is None else ours - theirs
            found.append(Comparison(labels, here, paper, None if paper is None else verdict(paper, here)))
    return found


@dataclass(frozen=True)
class Order:
    """The paper's order of a column's methods, and what the runs say of each pair.

    Attributes:
        column: labels that the methods share.
        methods: in the paper's order, the best first, with its numbers.
        verdicts: of each pair of methods that both have runs, by their places in ``methods``.
    """

    column: Labels
    methods: tuple[tuple[Labels, float], ...]
    verdicts: dict[tuple[int, int], Verdict]

    def count(self, which: Verdict) -> int:
        """Return how many pairs have a verdict."""
        return sum(found is which for found in self.verdicts.values())

    def words(self) -> str:
        """Say what becomes of the order as a whole."""
        pairs = len(self.verdicts)
        if pairs == 0 or self.count(Verdict.NOTHING) == pairs:
            return "nothing can be said of the order: an interval needs finite values of two seeds or more"
        if self.count(Verdict.HOLDS) == pairs:
            return f"the paper's order holds in {_pairs(pairs)}"
        if self.count(Verdict.REVERSED) == pairs:
            return f"the paper's order is reversed in {_pairs(pairs)}"
        if self.count(Verdict.OPEN) == pairs:
            return "no two methods can be told apart, so nothing is known of the order"
        counts = {
            "as in the paper": Verdict.HOLDS,
            "the other way round": Verdict.REVERSED,
            "not to be told apart": Verdict.OPEN,
            "apart though equal in the paper": Verdict.TIE,
            "without an interval": Verdict.NOTHING,
        }
        parts = [f"{self.count(kind)} {words}" for words, kind in counts.items() if self.count(kind)]
        start = "is not confirmed" if self.count(Verdict.REVERSED) == 0 else "does not hold"
        return f"the paper's order {start} as a whole: of {pairs} pairs {', '.join(parts)}"


def paper_order(cells: Cells, metric: str, column: Labels, highest: bool) -> Order | None:
    """Return the paper's order of the methods in a column; None where it gives fewer than two numbers.

    Args:
        cells: the runs.
        metric: by which they are ordered.
        column: labels that the methods share.
        highest: whether more is better.
    """
    numbers = [(labels, cells.paper(labels, metric)) for labels in (column | row for row in cells.rows())]
    given = [(labels, number) for labels, number in numbers if number is not None]
    if len(given) < 2:
        return None
    methods = sorted(given, key=lambda method: -method[1] if highest else method[1])
    verdicts = {}
    for (first, (better, more)), (second, (worse, less)) in combinations(enumerate(methods), 2):
        here = cells.difference(better, metric, to=worse)
        if here is not None:
            verdicts[first, second] = verdict(more - less, here)
    return Order(column, tuple(methods), verdicts)


def _pairs(count: int) -> str:
    return "its only pair" if count == 1 else f"all {count} pairs"


def advice(cells: Cells, metric: str, table: Labels, column: Labels) -> list[str]:
    """Say which of the rows to take, in sentences.

    The candidate is the row that is best in the mean over seeds by the study's validation metric, and is then judged by
    its paired difference to the baseline in ``metric``: choosing by the test split would flatter what is chosen. A row
    whose mean is not finite is no candidate; of equal ones it is the baseline, or else the first.

    Args:
        cells: the chosen runs.
        metric: of the test split.
        table: labels that the whole table shares.
        column: labels of the column.
    """
    select, baseline = cells.study.select, cells.study.report.baseline
    by = select.by if select else metric.replace("test/", "val/")
    highest = select.mode == "max" if select else highest_is_best(by)
    if not baseline:
        return ["No advice: the report names no baseline to compare with."]
    found = {place: cells.estimate(table | row | column, by) for place, row in enumerate(cells.rows())}
    means = {place: each.mean for place, each in found.items() if each and math.isfinite(each.mean)}
    if not means:
        return [f"No advice: no finished run has a finite {metric_name(by)}."]
    top = max(means.values()) if highest else min(means.values())
    equal = [table | cells.rows()[place] | column for place, mean in means.items() if mean == top]
    # What is no better than the baseline is not worth its trouble.
    best = next(filter(cells.is_baseline, equal), equal[0])
    name, other = label_words({axis: best[axis] for axis in cells.study.report.rows}), label_words(baseline)
    where = f"For {label_words(table | column)}: " if table | column else ""
    reached = cells.estimate(best, by)
    assert reached is not None, "it was ranked by it"
    first = f"{where}{name}{_chosen(cells, best)} is best by {metric_name(by)}, {mean_and_half(by, reached)}"
    missing = sum(each is None for each in found.values())
    still = (
        [f"This may change: of {len(found)} candidates {missing} have no finished run."] if missing else []
    )
    if cells.is_baseline(best):
        return [f"{first}: nothing beats {other} here, so leave dropout out.", *still]
    difference = cells.difference(best, metric)
    if difference is None:
        return [f"{first}, but no seed of it can be compared with {other} yet.", *still]
    said = f"{number(metric, difference.mean, signed=True)} against {other} in {metric_name(metric)}"
    seeds = f", {difference.count} seeds" if difference.count > 1 else ""
    apart = f"{said} ({span(metric, difference)}{seeds})"
    sentences = [f"{first}.", _judgement(name, other, difference, apart, highest_is_best(metric))]
    time = cells.time_ratio(best)
    if time is not None:
        sentences.append(f"A training step costs {ratio(time)} that of {other}.")
    return [*sentences, *still]


def _judgement(name: str, other: str, difference: Estimate, apart: str, highest: bool) -> str:
    if difference.interval is None:
        needed = "more seeds are" if difference.count == 1 else "finite values of every seed are"
        return f"{apart[0].upper()}{apart[1:]}: {needed} needed before anything can be advised."
    low, high = difference.interval
    if low <= 0 <= high:
        return f"But {apart}: nothing beats {other} here for sure. More seeds would tell smaller differences apart."
    if (difference.mean > 0) == highest:
        return f"Take {name}: {apart}."
    return f"But {apart}: on the test split it is worse, so stay with {other}."


def _chosen(cells: Cells, labels: Labels) -> str:
    """Say which values of the selected axes were chosen, the commonest first; nothing where there was no choice."""
    select, group = cells.study.select, cells.of(labels)
    if select is None or not any(len(cells.candidates(labels, seed)) > 1 for seed in group):
        return ""
    counts = Counter(label_words({axis: run.labels[axis] for axis in select.over}) for run in group.values())
    return f" with {', '.join(f'{words} ({count} of {len(group)} seeds)' for words, count in counts.most_common())}"
