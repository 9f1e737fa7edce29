"""What a report recommends, and when it does not."""

import math
from pathlib import Path

import pytest

from dropout_lab.app.report.compare import advice
from dropout_lab.app.report.results import Results, read_results
from tests.data.studies import Labels, Metrics, metrics_of, study, write_study

TEST = "test/accuracy"


def cells_of(folder: Path, metrics: Metrics = metrics_of, seeds: tuple[int, ...] = (0, 1, 2)) -> Results:
    return read_results(write_study(folder, study(seeds=list(seeds)), metrics))


def reached(**tests: tuple[float, float, float]) -> Metrics:
    """Give methods their test accuracy by seed; dropin is always best on validation."""

    def metrics(labels: Labels, seed: int) -> dict[str, float]:
        val = {"dropin": 0.6, "none": 0.5, "dropout": 0.4}[labels["method"]]
        return {"val/accuracy": val, TEST: tests[labels["method"]][seed]}

    return metrics


def test_takes_what_is_better_for_sure(results: Results) -> None:
    first, judgement, cost = advice(results, TEST, {}, {"layers": 2})
    assert first == (
        "For layers 2: dropin with p 0.5 (3 of 3 seeds) is best by validation accuracy (%), 46.00 ± 4.72."
    )
    assert judgement == (
        "Take dropin: +5.00 against none in test accuracy (%) (95 % interval +4.75 to +5.25, 3 seeds)."
    )
    assert cost == "A training step costs ×2.00 ± 1.24 that of none."


def test_no_significant_difference_from_the_baseline(tmp_path: Path) -> None:
    flat = (0.4, 0.4, 0.4)
    results = cells_of(tmp_path / "s", reached(none=flat, dropin=(0.3, 0.5, 0.41), dropout=flat))
    judgement = advice(results, TEST, {}, {"layers": 2})[1]
    assert judgement.startswith("But +0.33 against none")
    assert "no significant difference from none" in judgement


def test_worse_on_test_than_no_dropout(tmp_path: Path) -> None:
    flat = (0.4, 0.4, 0.4)
    # Dropout is far the best on test, and yet not taken: validation does not say so.
    results = cells_of(tmp_path / "s", reached(none=flat, dropin=(0.3, 0.3, 0.31), dropout=(0.9, 0.9, 0.9)))
    assert advice(results, TEST, {}, {"layers": 2})[1].endswith(
        "on the test split it is worse, so stay with none."
    )


def test_no_dropout_is_best_on_validation(tmp_path: Path) -> None:
    def metrics(labels: Labels, seed: int) -> dict[str, float]:
        return metrics_of(labels, seed) | {"val/accuracy": 0.9 if labels["method"] == "none" else 0.1}

    results = cells_of(tmp_path / "s", metrics)
    assert advice(results, TEST, {}, {"layers": 3}) == [
        "For layers 3: none is best by validation accuracy (%), 90.00 ± 0.00: no candidate is better than none "
        "in the mean, so keep it."
    ]


def test_one_seed_is_no_ground_for_advice(tmp_path: Path) -> None:
    judgement = advice(cells_of(tmp_path / "s", seeds=(0,)), TEST, {}, {"layers": 2})[1]
    assert "no interval: one seed" in judgement
    assert judgement.endswith("more seeds are needed before anything can be advised.")


@pytest.mark.parametrize("baseline", [{}, None])
def test_no_baseline(tmp_path: Path, baseline: dict[str, str] | None) -> None:
    content = study()
    content["report"]["baseline"] = baseline
    results = read_results(write_study(tmp_path / "s", content))
    assert advice(results, TEST, {}, {"layers": 2}) == [
        "No advice: the report names no baseline to compare with."
    ]


def by_method(tests: dict[str, float], **vals: float) -> Metrics:
    def metrics(labels: Labels, seed: int) -> dict[str, float]:
        return {"val/accuracy": vals[labels["method"]], TEST: tests.get(labels["method"], 0.4)}

    return metrics


def test_what_is_not_finite_is_no_candidate(tmp_path: Path) -> None:
    results = cells_of(tmp_path / "s", by_method({"none": math.nan}, none=math.nan, dropin=0.5, dropout=0.4))
    first, judgement, _ = advice(results, TEST, {}, {"layers": 2})
    assert first.startswith("For layers 2: dropin")
    assert judgement == (
        "Nan against none in test accuracy (%) (no interval: a value is not finite, 3 seeds): finite values of every "
        "seed are needed before anything can be advised."
    )
    nothing = cells_of(tmp_path / "t", by_method({}, none=math.nan, dropin=math.nan, dropout=math.nan))
    assert advice(nothing, TEST, {}, {"layers": 2}) == [
        "No advice: no finished run has a finite validation accuracy (%)."
    ]


def test_of_equal_ones_it_is_the_baseline(tmp_path: Path) -> None:
    content = study()
    content["grid"]["method"] = dict(reversed(content["grid"]["method"].items()))
    results = read_results(
        write_study(tmp_path / "s", content, by_method({}, none=0.5, dropin=0.5, dropout=0.4))
    )
    (only,) = advice(results, TEST, {}, {"layers": 2})
    assert only.startswith("For layers 2: none is best")


def test_what_has_no_run_yet_is_told(tmp_path: Path) -> None:
    folder = write_study(tmp_path / "s", keep=lambda labels, seed: labels["method"] == "none")
    results = read_results(folder)
    last = advice(results, TEST, {}, {"layers": 2})[-1]
    assert last == "This may change: of 3 candidates 2 have no finished run."
