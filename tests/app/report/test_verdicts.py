"""The paper's ranking: held, reversed, or not to be told apart."""

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from dropout_lab.app.report.compare import Order, Verdict, paper_order, rankings, verdict
from dropout_lab.app.report.results import Results, read_results
from dropout_lab.app.statistics.estimate import Estimate, estimate
from tests.data.studies import study, write_study

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
        # Three seeds: the reach is twice the half-width, here 0.04.
        (0.0101, CLEAR, Verdict.HOLDS),
        (0.0099, CLEAR, Verdict.SIZE),
        (0.0899, CLEAR, Verdict.HOLDS),
        (0.0901, CLEAR, Verdict.SIZE),
        (-0.006, Estimate(-0.76, 0.006, 0.015, 3), Verdict.SIZE),
        (0.05, Estimate(0.001, 0.002, 0.005, 3), Verdict.SMALLER),
        (-0.05, Estimate(0.001, 0.002, 0.005, 3), Verdict.SMALLER),
        (0.0, Estimate(0.001, 0.002, 0.005, 3), Verdict.OPEN),
        (0.03, estimate([0.0, 0.0, 0.0]), Verdict.SAME),
        (0.0, estimate([0.0, 0.0]), Verdict.SAME),
        # Equal up to rounding.
        (0.03, estimate([0.3 - 0.1, 0.2, 0.2]), Verdict.CONSTANT),
        (-0.03, estimate([0.2, 0.2]), Verdict.CONSTANT),
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
        # 5.0 ± 0.2 points, where the paper has 3.1.
        ("dropin", 2): Verdict.SIZE,
        ("dropout", 2): Verdict.OPEN,
        ("dropin", 3): Verdict.REVERSED,
        ("dropout", 3): None,
    }


def test_the_order_of_all(results: Results) -> None:
    order = paper_order(results, "test/accuracy", {"layers": 2}, highest=True)
    assert order is not None
    assert [labels["method"] for labels in order.methods] == ["dropin", "none", "dropout"]
    assert order.verdicts == {(0, 1): Verdict.SIZE, (0, 2): Verdict.HOLDS, (1, 2): Verdict.OPEN}
    assert order.words() == (
        "the paper's order is not confirmed as a whole: of 3 pairs 1 as in the paper, 1 in the same direction, of "
        "another size, 1 not to be told apart"
    )


def test_less_can_be_better(results: Results) -> None:
    order = paper_order(results, "test/accuracy", {"layers": 2}, highest=False)
    assert order is not None
    assert [labels["method"] for labels in order.methods] == ["dropout", "none", "dropin"]
    # Which of two is first does not change what becomes of the pair.
    assert sorted(each.name for each in order.verdicts.values()) == ["HOLDS", "OPEN", "SIZE"]


def test_one_number_is_no_order(results: Results) -> None:
    assert paper_order(results, "test/loss", {"layers": 2}, highest=False) is None


@pytest.mark.parametrize(
    ("verdicts", "words"),
    [
        ([Verdict.HOLDS] * 3, "the paper's order holds in all 3 pairs"),
        ([Verdict.HOLDS], "the paper's order holds in its only pair"),
        ([Verdict.SIZE], "the paper's order holds in its only pair, but the difference is of another size"),
        (
            [Verdict.SIZE, Verdict.HOLDS, Verdict.SIZE],
            "the paper's order holds in all 3 pairs, but in 2 the difference is of another size",
        ),
        ([Verdict.SAME] * 3, "no difference in all 3 pairs: identical in every seed"),
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


def test_another_size_is_said(tmp_path: Path) -> None:
    content = study()
    # Here dropin is ahead by 5 points, with seeds 0.1 apart.
    content["paper"] = [
        {"method": "none", "layers": 2, "test/accuracy": 0.4},
        {"method": "dropin", "layers": 2, "test/accuracy": 0.401},
    ]
    lines = rankings(read_results(write_study(tmp_path / "s", content)))["test accuracy (%)"]
    assert "in the paper +0.10: same direction, another size." in lines[0]
    assert lines[-1].endswith(
        "the paper's order holds in its only pair, but the difference is of another size."
    )


def test_the_reach_is_a_prediction_interval() -> None:
    values = [0.1, 0.4, 0.2, 0.7]
    found = estimate(values)
    spread = stats.t.ppf(0.975, 3) * np.std(values, ddof=1) * np.sqrt(1 + 1 / 4)
    assert found.reach == pytest.approx(spread)
    assert estimate([0.1]).reach is None
