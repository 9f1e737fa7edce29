"""Who is ahead, whether the paper's difference is found here, in sign and size, and what to take: in words."""

import math
from collections import Counter
from enum import Enum
from itertools import combinations, product
from typing import NamedTuple

from dropout_lab.app.report.formatting import label_words, mean_and_half, metric_name, number, ratio, span
from dropout_lab.app.report.results import Cell, Results
from dropout_lab.app.statistics.estimate import Estimate
from dropout_lab.app.study.metrics import highest_is_best
from dropout_lab.app.study.spec import Labels


class Verdict(Enum):
    """What a paired difference says about the paper's, in words of itself and of a pair in an order."""

    HOLDS = "the paper's ranking holds", "as in the paper"
    SIZE = "same direction, another size", "in the same direction, of another size"
    REVERSED = "the paper's ranking is reversed", "the other way round"
    OPEN = "cannot be told apart", "not to be told apart"
    SMALLER = (
        "cannot be told apart, and a difference as large as the paper's is ruled out",
        "not to be told apart where a difference as large as the paper's is ruled out",
    )
    SAME = "no difference: identical in every seed", "identical in every seed"
    TIE = "they differ, and are equal in the paper", "apart though equal in the paper"
    CONSTANT = (
        "without a spread over seeds there is no interval, so no verdict",
        "without a spread over seeds",
    )
    NOTHING = "no interval, so no verdict", "without an interval"


def verdict(paper: float, here: Estimate) -> Verdict:
    """Compare a paired difference with the paper's.

    With 0 in its interval the sign is not known. The sizes agree where the paper's difference, which is of one run,
    lies within the reach of one further run here (:attr:`Estimate.reach`).
    """
    if here.interval is None or here.reach is None:
        return Verdict.NOTHING
    if here.is_constant:
        # Seeds that are all alike are one: the width of 0 is no certainty.
        return Verdict.CONSTANT if here.mean else Verdict.SAME
    (low, high), within = here.interval, abs(paper - here.mean) <= here.reach
    if low <= 0 <= high:
        return Verdict.OPEN if within or paper == 0 else Verdict.SMALLER
    if paper == 0:
        return Verdict.TIE
    if (here.mean > 0) != (paper > 0):
        return Verdict.REVERSED
    return Verdict.HOLDS if within else Verdict.SIZE


class Order(NamedTuple):
    """The paper's order of a column's methods, the best first, and what the runs say of each pair, by their places."""

    methods: tuple[Labels, ...]
    verdicts: dict[tuple[int, int], Verdict]

    def words(self) -> str:
        """Say what becomes of the order as a whole."""
        counts, pairs = Counter(self.verdicts.values()), len(self.verdicts)
        every = "its only pair" if pairs == 1 else f"all {pairs} pairs"
        sizes = counts[Verdict.SIZE]
        if sizes and counts[Verdict.HOLDS] + sizes == pairs:
            which = "the difference is" if pairs == 1 else f"in {sizes} the difference is"
            return f"the paper's order holds in {every}, but {which} of another size"
        alike = {
            Verdict.NOTHING: "nothing can be said of the order: an interval needs finite values of two seeds or more",
            Verdict.HOLDS: f"the paper's order holds in {every}",
            Verdict.SAME: f"no difference in {every}: identical in every seed",
            Verdict.REVERSED: f"the paper's order is reversed in {every}",
            Verdict.OPEN: "no two methods can be told apart, so nothing is known of the order",
        }
        for each, words in alike.items():
            if counts[each] == pairs:
                return words
        parts = ", ".join(f"{counts[each]} {each.value[1]}" for each in Verdict if counts[each])
        start = "does not hold" if counts[Verdict.REVERSED] else "is not confirmed"
        return f"the paper's order {start} as a whole: of {pairs} pairs {parts}"


def paper_order(results: Results, metric: str, column: Labels, highest: bool) -> Order | None:
    """Return the paper's order of the methods in a column, ``highest`` first or last; None below two numbers."""
    numbers = [(column | row, results.paper(column | row, metric)) for row in results.rows]
    given = [(labels, number) for labels, number in numbers if number is not None]
    methods = sorted(given, key=lambda method: -method[1] if highest else method[1])
    verdicts = {}
    for (first, (better, more)), (second, (worse, less)) in combinations(enumerate(methods), 2):
        here = results.difference(better, worse, metric)
        if here is not None:
            verdicts[first, second] = verdict(more - less, here)
    return Order(tuple(labels for labels, _ in methods), verdicts) if len(methods) > 1 else None


def rankings(results: Results) -> dict[str, list[str]]:
    """Say of each method in each metric, and of the order of all, whether the paper's ranking holds."""
    found: dict[str, list[str]] = {}
    for metric, table in product(results.study.report.metrics, results.tables):
        lines = found.setdefault(metric_name(metric), [])
        for column in results.columns:
            lines += [
                _against_baseline(results, metric, cell, cell.difference)
                for cell in results.cells(metric, table, column)
                if cell.difference is not None and not results.is_baseline(cell.labels)
            ]
        for column in (table | each for each in results.columns):
            highest = highest_is_best(metric)
            order = None if highest is None else paper_order(results, metric, column, highest)
            if order is not None:
                methods = ", ".join(_row_words(results, labels) for labels in order.methods)
                where = f"{results.words(column)}: " if column else ""
                lines.append(f"Order of all, {where}in the paper, best first, {methods}; {order.words()}.")
    return {metric: lines for metric, lines in found.items() if lines}


def _against_baseline(results: Results, metric: str, cell: Cell, here: Estimate) -> str:
    baseline, labels = results.study.report.baseline, results.shown(cell.labels)
    method = {axis: label for axis, label in labels.items() if axis in baseline}
    where = label_words({axis: label for axis, label in labels.items() if axis not in baseline})
    found = verdict(cell.paper_difference or 0.0, here)
    said, _ = found.value
    if cell.paper_difference is None:
        # There is nothing that a verdict could be on.
        alone = {Verdict.TIE: "they differ", Verdict.NOTHING: "no verdict", Verdict.CONSTANT: "no verdict"}
        said = alone.get(found, said)
    else:
        said = f"in the paper {number(metric, cell.paper_difference, signed=True)}: {said}"
    start = f"{label_words(method)} against {label_words(baseline)}{f' ({where})' if where else ''}"
    return f"{start}: {number(metric, here.mean, signed=True)}, {span(metric, here)}; {said}."


def recommendations(results: Results) -> list[str]:
    """Return the advice of each column where the study asks for it."""
    report = results.study.report
    places = product(results.tables, results.columns) if report.recommend else ()
    return [" ".join(advice(results, report.metrics[0], *place)) for place in places]


def advice(results: Results, metric: str, table: Labels, column: Labels) -> list[str]:
    """Say which of a column's rows to take, in sentences.

    The candidate is the row that is best in the mean over seeds by the study's validation metric, and is then judged by
    its paired difference to the baseline in ``metric``: choosing by the test split would flatter what is chosen. A row
    whose mean is not finite is no candidate; of equal ones it is the baseline, or else the first.
    """
    select, baseline = results.study.select, results.study.report.baseline
    by = select.by if select else metric.replace("test/", "val/")
    highest = select.mode == "max" if select else highest_is_best(by)
    if not baseline:
        return ["No advice: the report names no baseline to compare with."]
    for each, better in ((metric, highest_is_best(metric)), (by, highest)):
        if better is None:
            return [f"No advice: of {metric_name(each)} neither more nor less is better."]
    cells = results.cells(by, table, column)
    means = {place: cell.here.mean if highest else -cell.here.mean for place, cell in enumerate(cells)
             if cell.here and math.isfinite(cell.here.mean)}  # fmt: skip
    if not means:
        return [f"No advice: no finished run has a finite {metric_name(by)}."]
    # Of equal ones the baseline: what is no better is not worth its trouble.
    best = max(means, key=lambda place: (means[place], results.is_baseline(cells[place].labels)))
    labels, reached = cells[best].labels, mean_and_half(by, cells[best].here)
    name, other = _row_words(results, labels), label_words(baseline)
    where = f"For {results.words(table | column)}: " if table | column else ""
    values = results.chosen(labels)
    chosen = label_words(values)
    first = f"{where}{name}{f' with {chosen}' if chosen else ''} is best by {metric_name(by)}, {reached}"
    missing = sum(cell.here is None for cell in cells)
    last = [f"This may change: of {len(cells)} candidates {missing} have no finished run."] if missing else []
    if results.is_baseline(labels):
        return [f"{first}: no candidate is better than {other} in the mean, so keep it.", *last]
    judged = results.cells(metric, table, column)[best]
    if judged.difference is None:
        return [f"{first}, but no seed of it can be compared with {other} yet.", *last]
    reference = label_words(results.time_reference)
    cost = [f"A training step costs {ratio(judged.time)} that of {reference}."] if judged.time else []
    return [f"{first}.", _judgement(name, other, metric, judged.difference), *cost, *last]


def _judgement(name: str, other: str, metric: str, difference: Estimate) -> str:
    seeds = f", {difference.count} seeds" if difference.count > 1 else ""
    apart = (
        f"{number(metric, difference.mean, signed=True)} against {other} in {metric_name(metric)} "
        f"({span(metric, difference)}{seeds})"
    )
    if difference.interval is None:
        needed = "more seeds are" if difference.count == 1 else "finite values of every seed are"
        return f"{apart[0].upper()}{apart[1:]}: {needed} needed before anything can be advised."
    if difference.is_constant and difference.mean:
        return f"{apart[0].upper()}{apart[1:]}: seeds that are all alike are one, so nothing can be advised."
    low, high = difference.interval
    if low <= 0 <= high:
        return f"But {apart}: no significant difference from {other}. More seeds would resolve smaller differences."
    if (difference.mean > 0) == highest_is_best(metric):
        return f"Take {name}: {apart}."
    return f"But {apart}: on the test split it is worse, so stay with {other}."


def _row_words(results: Results, labels: Labels) -> str:
    return results.words({axis: labels[axis] for axis in results.study.report.rows})
