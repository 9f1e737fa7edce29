"""Which runs a cell has, and which of them are chosen."""

import math
from dataclasses import replace
from pathlib import Path

import pytest

from dropout_lab.app.errors import UserError
from dropout_lab.app.report.results import Cells, read_results, select_best
from dropout_lab.app.study.spec import Labels, Select
from tests.data.studies import metrics_of, write_study

TEST = "test/accuracy"
BY = Select(over=("p",), by="val/accuracy", mode="max")


def test_p_is_chosen_on_validation_though_another_is_better_on_test(cells: Cells) -> None:
    group = cells.of({"method": "dropin", "layers": 2})
    assert [run.labels["p"] for run in group.values()] == [0.5, 0.5, 0.5]
    on_test = max(cells.candidates({"method": "dropin", "layers": 2}, 0), key=lambda run: run.values[TEST])
    assert on_test.labels["p"] == 0.75


def test_each_seed_chooses_for_itself(tmp_path: Path) -> None:
    def metrics(labels: dict[str, object], seed: int) -> dict[str, float]:
        return metrics_of(labels, seed) | {
            "val/accuracy": 1.0 if labels["p"] == [0.25, 0.5, 0.75][seed] else 0.0
        }

    results = read_results(write_study(tmp_path / "s", metrics=metrics))
    group = Cells(results, results.study.select).of({"method": "dropin", "layers": 3})
    assert [group[seed].labels["p"] for seed in (0, 1, 2)] == [0.25, 0.5, 0.75]


def test_the_lowest_can_be_best_and_what_is_not_finite_loses(cells: Cells) -> None:
    runs = cells.candidates({"method": "dropin", "layers": 2}, 0)
    assert select_best(runs, BY).labels["p"] == 0.5
    assert select_best(runs, Select(over=("p",), by="val/accuracy", mode="min")).labels["p"] == 0.25
    lost = replace(runs[1], values=runs[1].values | {"val/accuracy": math.nan})
    assert select_best([lost, runs[0]], BY) is runs[0]


def test_of_equal_runs_the_first_is_chosen(cells: Cells) -> None:
    low, _, high = cells.candidates({"method": "dropin", "layers": 2}, 0)
    assert low.values["val/accuracy"] == high.values["val/accuracy"]
    assert select_best([low, high], BY) is low


def test_a_missing_metric_of_the_selection_is_named(cells: Cells) -> None:
    with pytest.raises(
        UserError, match=r"select.by: no result of study made-up has 'val/f1'; there are best_ep"
    ):
        Cells(cells.results, Select(over=("p",), by="val/f1", mode="max")).of(
            {"method": "dropin", "layers": 2}
        )


def test_a_run_that_was_never_validated_loses(cells: Cells) -> None:
    runs = cells.candidates({"method": "dropin", "layers": 2}, 0)
    collapsed = replace(runs[1], values={"steps": 3.0})
    assert select_best([collapsed, runs[0]], BY) is runs[0]
    assert select_best([collapsed], BY) is collapsed


def test_without_selection_a_cell_is_one_run_a_seed(cells: Cells) -> None:
    every = Cells(cells.results, None)
    assert len(every.of({"method": "dropin", "layers": 2, "p": 0.25})) == 3
    assert every.of({"method": "dropin", "layers": 2}) == {}


def test_a_skipped_combination_shares_the_run_of_the_same_settings(cells: Cells) -> None:
    every = Cells(cells.results, None)
    skipped = every.of({"method": "none", "layers": 2, "p": 0.75})
    assert skipped == every.of({"method": "none", "layers": 2, "p": 0.25})
    assert len(skipped) == 3


def test_means_and_differences_are_the_known_ones(cells: Cells) -> None:
    dropin: Labels = {"method": "dropin", "layers": 3}
    mean, difference = cells.estimate(dropin, TEST), cells.difference(dropin, TEST)
    assert mean is not None
    assert difference is not None
    assert mean.mean == pytest.approx(0.50)
    assert difference.mean == pytest.approx(0.05)
    # Seeds add −0.02, 0, 0.02 to both; dropin's own are 0.001, 0, −0.001.
    assert difference.deviation == pytest.approx(0.001)
    assert mean.deviation == pytest.approx(0.019)


def test_time_is_a_step_s_relative_to_the_baseline_s(cells: Cells) -> None:
    ratio = cells.time_ratio({"method": "dropin", "layers": 2})
    assert ratio is not None
    assert ratio.mean == pytest.approx((3 + 4 + 5) / 3 / 2)


def test_the_paper_s_numbers(cells: Cells) -> None:
    assert cells.paper({"method": "dropin", "layers": 3}, TEST) == 0.45
    assert cells.paper({"method": "dropout", "layers": 3}, TEST) is None
    assert cells.paper({"method": "dropin", "layers": 3}, "test/loss") is None


def test_a_metric_that_no_run_has(cells: Cells) -> None:
    with pytest.raises(
        UserError,
        match=r"report.metric: no result of study made-up has 'test/acuracy'; there are .*test/accuracy",
    ):
        cells.estimate({"method": "dropin", "layers": 3}, "test/acuracy")
