"""The answer of a study: one word, whom it is about, and why; and when there is none."""

from pathlib import Path

import numpy as np
import pytest

from dropout_lab.app.report.answer import Answer, Word, answers
from dropout_lab.app.report.results import Results, read_results
from dropout_lab.app.statistics.judgement import Finding
from dropout_lab.app.study.folder import StudyFolder
from dropout_lab.app.study.grid import expand
from dropout_lab.app.study.read_spec import read_study
from tests.data.studies import Labels, Metrics, study, write_run, write_study

TEST, SEEDS = "test/accuracy", 6
SPREAD = (0.002, -0.001, 0.0, 0.001, -0.002, 0.0)


def reached(**tests: float) -> Metrics:
    """Give methods their mean on test by name; the seeds' spread is each method's own, and validation says the same."""

    def metrics(labels: Labels, seed: int) -> dict[str, float]:
        method = labels["method"]
        value = tests[method] + SPREAD[(seed + len(method)) % len(SPREAD)]
        return {"val/accuracy": value, TEST: value}

    return metrics


def answer_of(folder: Path, metrics: Metrics, seeds: int = SEEDS, **changes: object) -> Answer:
    content = study(seeds=list(range(seeds)), **changes)
    content["grid"] = {**content["grid"], "layers": {2: {"model": {"hidden": [100]}}}}
    content["paper"] = []
    return answers(read_results(write_study(folder, content, metrics)))[0]


def names(answer: Answer) -> list[object]:
    return [each.labels["method"] for each in answer.candidates]


def findings(answer: Answer) -> dict[object, Finding]:
    return {each.labels["method"]: each.judgement.finding for each in answer.candidates if each.judgement}


def test_use_what_is_better(tmp_path: Path) -> None:
    answer = answer_of(tmp_path / "s", reached(none=0.80, dropin=0.79, dropout=0.83))
    assert answer.word is Word.USE
    assert answer.leader is not None
    assert answer.leader.labels == {"method": "dropout"}
    assert findings(answer) == {"dropout": Finding.BETTER, "dropin": Finding.WORSE}
    assert names(answer) == ["dropout", "none", "dropin"]


def test_no_difference_is_a_finding(tmp_path: Path) -> None:
    answer = answer_of(tmp_path / "s", reached(none=0.80, dropin=0.801, dropout=0.7995), report=_report(0.01))
    assert answer.word is Word.NO_DIFFERENCE
    assert set(findings(answer).values()) == {Finding.EQUIVALENT}


def _report(matters: float, **changes: object) -> dict[str, object]:
    return {**study()["report"], "matters": matters, **changes}


def test_the_baseline_where_all_else_is_worse(tmp_path: Path) -> None:
    answer = answer_of(tmp_path / "s", reached(none=0.80, dropin=0.70, dropout=0.60))
    assert answer.word is Word.USE
    assert answer.leader is not None
    assert answer.leader.is_baseline


def test_a_wide_spread_settles_nothing(tmp_path: Path) -> None:
    def metrics(labels: Labels, seed: int) -> dict[str, float]:
        value = 0.5 + (0.1 * (-1) ** seed if labels["method"] == "dropin" else 0.001 * seed)
        return {"val/accuracy": value, TEST: value}

    answer = answer_of(tmp_path / "s", metrics)
    assert answer.word is Word.NOT_SETTLED
    assert findings(answer)["dropin"] is Finding.OPEN


def test_two_seeds_give_no_verdict(tmp_path: Path) -> None:
    answer = answer_of(tmp_path / "s", reached(none=0.80, dropin=0.70, dropout=0.95), seeds=2)
    assert answer.word is Word.NOT_SETTLED
    assert answer.reasons == ["2 seeds give no verdict; 3 or more do."]
    assert set(findings(answer).values()) == {Finding.NONE}


def test_a_quick_form_gives_no_verdict(tmp_path: Path) -> None:
    answer = answer_of(tmp_path / "s", reached(none=0.80, dropin=0.70, dropout=0.95), form="quick")
    assert answer.word is Word.NOT_SETTLED
    assert "--quick" in answer.reasons[0]


def test_nothing_learned(tmp_path: Path) -> None:
    """31 ± 79 % of ten classes: the mean is above chance level, and the interval says nothing of it."""

    def metrics(labels: Labels, seed: int) -> dict[str, float]:
        value = {0: 0.10, 1: 0.10, 2: 0.73}[seed] + 0.001 * len(labels["method"])
        return {"val/accuracy": value, TEST: value}

    answer = answer_of(tmp_path / "s", metrics, seeds=3, report=_report(0.005, chance=0.1))
    assert answer.word is Word.NOTHING_LEARNED
    assert answer.leader is None
    assert any("chance level" in reason for reason in answer.reasons)


def test_a_variant_at_chance_level_is_named(tmp_path: Path) -> None:
    answer = answer_of(
        tmp_path / "s", reached(none=0.80, dropin=0.10, dropout=0.83), report=_report(0.005, chance=0.1)
    )
    assert answer.word is Word.USE
    assert [each.learned for each in answer.candidates] == [True, True, False]
    assert any("dropin" in reason and "chance level" in reason for reason in answer.reasons)


def test_the_runs_themselves_know_the_chance_level(tmp_path: Path) -> None:
    folder = write_study(tmp_path / "s", study(paper=[]), reached(none=0.1, dropin=0.1, dropout=0.1))
    for run in expand(read_study(folder / "study.yaml")):
        value = 0.1 + SPREAD[run.seed] + 0.001 * float(run.labels["layers"])
        write_run(folder, run.labels, run.seed, {"val/accuracy": value, TEST: value}, chance=0.11)
    found = answers(read_results(folder))
    assert [each.chance for each in found] == [0.11, 0.11]
    assert {each.word for each in found} == {Word.NOTHING_LEARNED}


def test_identical_to_the_baseline_is_no_difference(tmp_path: Path) -> None:
    def metrics(labels: Labels, seed: int) -> dict[str, float]:
        return {"val/accuracy": 0.8 + 0.01 * seed, TEST: 0.8 + 0.01 * seed}

    answer = answer_of(tmp_path / "s", metrics)
    assert answer.word is Word.NO_DIFFERENCE
    assert answer.leader is not None
    assert answer.leader.is_baseline, "of equal ones the baseline: what is no better is not worth its trouble"


def test_a_rate_is_chosen_once_and_its_figure_is_of_the_other_half_of_the_seeds(tmp_path: Path) -> None:
    def metrics(labels: Labels, seed: int) -> dict[str, float]:
        if labels["method"] != "dropin":
            return {"val/accuracy": 0.5, TEST: 0.5}
        # Even seeds are for 0.25, odd ones for 0.5, which is best in the mean; 0.75 is best on test alone.
        val = {0.25: 0.62 - 0.04 * (seed % 2), 0.5: 0.60 + 0.03 * (seed % 2), 0.75: 0.1}[labels["p"]]
        return {"val/accuracy": val, TEST: {0.25: 0.70, 0.5: 0.74, 0.75: 0.99}[labels["p"]] + 0.001 * seed}

    answer = answer_of(tmp_path / "s", metrics, seeds=4)
    dropin = next(each for each in answer.candidates if each.labels == {"method": "dropin"})
    assert dropin.chosen == {"p": 0.5}
    assert dropin.here is not None
    # Seeds 1 and 3 judge 0.25, the choice of 0 and 2, which judge 0.5.
    assert dropin.here.mean == pytest.approx(np.mean([0.740, 0.701, 0.742, 0.703]))
    none = next(each for each in answer.candidates if each.is_baseline)
    assert none.chosen == {}


def test_of_a_loss_less_is_better(tmp_path: Path) -> None:
    def metrics(labels: Labels, seed: int) -> dict[str, float]:
        value = {"none": 0.8, "dropin": 0.9, "dropout": 0.6}[labels["method"]] + SPREAD[seed]
        value += 0.001 * len(labels["method"]) * seed
        return {"val/loss": value, "test/loss": value}

    select = {"over": "p", "by": "val/loss", "mode": "min"}
    answer = answer_of(tmp_path / "s", metrics, select=select, report=_report(0.01, metric="test/loss"))
    assert answer.word is Word.USE
    assert answer.leader is not None
    assert answer.leader.labels == {"method": "dropout"}
    assert names(answer) == ["dropout", "none", "dropin"]


def test_no_baseline_and_no_direction_have_no_answer(tmp_path: Path) -> None:
    report = {key: value for key, value in study()["report"].items() if key not in ("baseline", "time")}
    assert answers(read_results(write_study(tmp_path / "s", study(report=report)))) == []


def test_a_missing_candidate_leaves_it_open(results: Results, tmp_path: Path) -> None:
    folder = write_study(
        tmp_path / "s", study(), keep=lambda labels, seed: labels["method"] != "dropout", metrics=_as_made_up
    )
    found = answers(read_results(folder))[0]
    assert found.word is Word.NOT_SETTLED
    assert found.reasons[0] == "Of 2 candidates 1 have no finished run."


def _as_made_up(labels: Labels, seed: int) -> dict[str, float]:
    value = {"none": 0.4, "dropin": 0.45, "dropout": 0.4}[labels["method"]] + SPREAD[seed]
    return {"val/accuracy": value, TEST: value + 0.0001 * seed * len(labels["method"])}


def test_one_answer_a_column(results: Results) -> None:
    assert [each.where for each in answers(results)] == [{"layers": 2}, {"layers": 3}]


def test_test_images_are_part_of_the_interval(tmp_path: Path) -> None:
    folder = write_study(tmp_path / "s", study(paper=[]))
    before = read_results(folder).estimate({"method": "none", "layers": 2}, TEST)
    place = StudyFolder(folder)
    random = np.random.default_rng(0)
    for run in expand(read_study(folder / "study.yaml")):
        right = random.random(500) < 0.5
        np.savez_compressed(place.run(run).outcomes, images=np.arange(500, dtype=np.uint32), right=right)
    found = read_results(folder).estimate({"method": "none", "layers": 2}, TEST)
    assert before is not None
    assert found is not None
    assert found.mean == before.mean
    assert found.freedom is not None
