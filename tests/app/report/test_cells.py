"""Which runs a cell has, and which of them are chosen."""

import math
from collections.abc import Mapping
from dataclasses import replace

import pytest

from dropout_lab.app.errors import UserError
from dropout_lab.app.report.results import Results
from dropout_lab.app.study.spec import Labels, Select

TEST, VAL = "test/accuracy", "val/accuracy"
DROPIN: Labels = {"method": "dropin", "layers": 2}


def label(results: Results, run: str) -> object:
    return results.finished[run][0].labels["p"]


def with_values(results: Results, values: Mapping[str, float]) -> Results:
    """Return the same with other values of the validation metric."""
    return replace(results, values=results.values | {VAL: dict(values)})


def test_p_is_chosen_on_validation_though_another_is_better_on_test(results: Results) -> None:
    assert [label(results, run) for run in results.of(DROPIN).values()] == [0.5, 0.5, 0.5]
    on_test = max(results.candidates(DROPIN)[0], key=lambda run: results.values[TEST][run])
    assert label(results, on_test) == 0.75


def test_the_lowest_can_be_best_and_what_is_not_finite_loses(results: Results) -> None:
    runs = results.candidates(DROPIN)[0]
    assert label(results, results.best(runs, VAL, "max")) == 0.5
    assert label(results, results.best(runs, VAL, "min")) == 0.25
    lost = with_values(results, results.values[VAL] | {runs[1]: math.nan})
    assert lost.best([runs[1], runs[0]], VAL, "max") == runs[0]


def test_of_equal_runs_the_first_is_chosen(results: Results) -> None:
    low, _, high = results.candidates(DROPIN)[0]
    assert results.values[VAL][low] == results.values[VAL][high]
    assert results.best([low, high], VAL, "max") == low
    assert results.best([high, low], VAL, "max") == high


def test_a_missing_metric_of_the_selection_is_named(results: Results) -> None:
    with pytest.raises(
        UserError, match=r"select.by: no result of study made-up has 'val/f1'; there are best_ep"
    ):
        replace(results, select=Select(over=("p",), by="val/f1")).of(DROPIN)


def test_a_run_that_was_never_validated_loses(results: Results) -> None:
    runs = results.candidates(DROPIN)[0]
    collapsed = with_values(results, {runs[0]: results.values[VAL][runs[0]]})
    assert collapsed.best([runs[1], runs[0]], VAL, "max") == runs[0]
    assert collapsed.best([runs[1]], VAL, "max") == runs[1]


def test_without_selection_a_cell_is_one_run_a_seed(results: Results) -> None:
    every = replace(results, select=None)
    assert len(every.of({"method": "dropin", "layers": 2, "p": 0.25})) == 3
    assert every.of(DROPIN) == {}


def test_a_skipped_combination_shares_the_run_of_the_same_settings(results: Results) -> None:
    every = replace(results, select=None)
    skipped = every.of({"method": "none", "layers": 2, "p": 0.75})
    assert skipped == every.of({"method": "none", "layers": 2, "p": 0.25})
    assert len(skipped) == 3


def test_means_and_differences_are_the_known_ones(results: Results) -> None:
    dropin = results.cells(TEST, {}, {"layers": 3})[1]
    assert dropin.labels == {"method": "dropin", "layers": 3}
    assert dropin.here is not None
    assert dropin.difference is not None
    assert dropin.here.mean == pytest.approx(0.50)
    assert dropin.difference.mean == pytest.approx(0.05)
    # Seeds add −0.02, 0, 0.02 to both; dropin's own are 0.001, 0, −0.001.
    assert dropin.difference.deviation == pytest.approx(0.001)
    assert dropin.here.deviation == pytest.approx(0.019)


def test_time_is_a_step_s_relative_to_the_baseline_s(results: Results) -> None:
    ratio = results.cells(TEST, {}, {"layers": 2})[1].time
    assert ratio is not None
    assert ratio.mean == pytest.approx((3 + 4 + 5) / 3 / 2)


def test_the_paper_s_numbers(results: Results) -> None:
    assert results.paper({"method": "dropin", "layers": 3}, TEST) == 0.45
    assert results.paper({"method": "dropout", "layers": 3}, TEST) is None
    assert results.paper({"method": "dropin", "layers": 3}, "test/loss") is None


def test_a_metric_that_no_run_has(results: Results) -> None:
    with pytest.raises(
        UserError,
        match=r"report.metric: no result of study made-up has 'test/acuracy'; there are .*test/accuracy",
    ):
        results.estimate({"method": "dropin", "layers": 3}, "test/acuracy")
