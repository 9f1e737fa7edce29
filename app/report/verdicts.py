"""Whether the paper's ranking holds here, in words."""

from dataclasses import dataclass
from enum import Enum
from itertools import combinations

from app.report.cells import Cells
from app.report.statistics import Estimate
from app.study.spec import Labels


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
