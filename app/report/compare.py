"""Whether a difference of the source is found here, in sign and size, and its order of methods: in words."""

from collections import Counter
from enum import Enum
from itertools import combinations, product
from typing import NamedTuple

from dropout_lab.app.report.formatting import label_words, metric_name, number, span
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


def _row_words(results: Results, labels: Labels) -> str:
    return results.words({axis: labels[axis] for axis in results.study.report.rows})
