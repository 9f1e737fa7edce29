"""The paper's ranking: held, reversed, or not to be told apart."""

import pytest

from dropout_lab.app.report.compare import Order, Verdict, paper_order, verdict
from dropout_lab.app.report.results import Results
from dropout_lab.app.report.statistics import Estimate

CLEAR = Estimate(0.05, 0.01, 0.02, 3)


@pytest.mark.parametrize(
    ("paper", "here", "expected"),
    [
        (0.03, CLEAR, Verdict.HOLDS),
        (-0.03, CLEAR, Verdict.REVERSED),
        (-0.03, Estimate(-0.05, 0.01, 0.02, 3), Verdict.HOLDS),
        (0.03, Estimate(0.05, 0.01, 0.05, 3), Verdict.OPEN),
        (-0.03, Estimate(0.05, 0.01, 0.06, 3), Verdict.OPEN),
        (0.0, CLEAR, Verdict.TIE),
        (0.03, Estimate(0.05, None, None, 1), Verdict.NOTHING),
        (0.03, Estimate(float("nan"), None, None, 3), Verdict.NOTHING),
    ],
)
def test_verdicts(paper: float, here: Estimate, expected: Verdict) -> None:
    assert verdict(paper, here) is expected


def test_each_method_against_the_baseline(results: Results) -> None:
    found = {
        (cell.labels["method"], cell.labels["layers"]): cell.paper_difference
        and cell.difference
        and verdict(cell.paper_difference, cell.difference)
        for column in results.columns
        for cell in results.cells("test/accuracy", {}, column)[1:]
    }
    assert found == {
        ("dropin", 2): Verdict.HOLDS,
        ("dropout", 2): Verdict.OPEN,
        ("dropin", 3): Verdict.REVERSED,
        ("dropout", 3): None,
    }


def test_the_order_of_all(results: Results) -> None:
    order = paper_order(results, "test/accuracy", {"layers": 2}, highest=True)
    assert order is not None
    assert [labels["method"] for labels in order.methods] == ["dropin", "none", "dropout"]
    assert order.verdicts == {(0, 1): Verdict.HOLDS, (0, 2): Verdict.HOLDS, (1, 2): Verdict.OPEN}
    assert order.words() == (
        "the paper's order is not confirmed as a whole: of 3 pairs 2 as in the paper, 1 not to be told apart"
    )


def test_less_can_be_better(results: Results) -> None:
    order = paper_order(results, "test/accuracy", {"layers": 2}, highest=False)
    assert order is not None
    assert [labels["method"] for labels in order.methods] == ["dropout", "none", "dropin"]
    # Which of two is first does not change what becomes of the pair.
    assert sorted(each.name for each in order.verdicts.values()) == ["HOLDS", "HOLDS", "OPEN"]


def test_one_number_is_no_order(results: Results) -> None:
    assert paper_order(results, "test/loss", {"layers": 2}, highest=False) is None


@pytest.mark.parametrize(
    ("verdicts", "words"),
    [
        ([Verdict.HOLDS] * 3, "the paper's order holds in all 3 pairs"),
        ([Verdict.HOLDS], "the paper's order holds in its only pair"),
        ([Verdict.REVERSED] * 3, "the paper's order is reversed in all 3 pairs"),
        ([Verdict.OPEN] * 3, "no two methods can be told apart, so nothing is known of the order"),
        (
            [Verdict.NOTHING] * 3,
            "nothing can be said of the order: an interval needs finite values of two seeds or more",
        ),
        ([], "nothing can be said of the order: an interval needs finite values of two seeds or more"),
        (
            [Verdict.HOLDS, Verdict.REVERSED, Verdict.TIE],
            "the paper's order does not hold as a whole: of 3 pairs 1 as in the paper, 1 the other way round, "
            "1 apart though equal in the paper",
        ),
    ],
)
def test_words_on_an_order(verdicts: list[Verdict], words: str) -> None:
    order = Order((), {(0, place + 1): each for place, each in enumerate(verdicts)})
    assert order.words() == words
