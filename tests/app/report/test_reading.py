"""What is read of a study's folder, and what is said of one that cannot be read."""

import json
from pathlib import Path

import pytest

from dropout_lab.app.errors import UserError
from dropout_lab.app.report.formatting import run_words
from dropout_lab.app.report.results import read_results
from tests.data.studies import run_folder, study, write_failure, write_run, write_study

NONE = {"method": "none", "layers": 2, "p": 0.25}
DROPIN = {"method": "dropin", "layers": 2, "p": 0.5}


def test_a_finished_study(folder: Path) -> None:
    results = read_results(folder)
    # Two depths, three seeds; two methods at three p, and one at one.
    assert len(results.finished) == 42
    assert (results.failed, results.missing, results.left_over) == ([], [], 0)
    runs = [run for run, _ in results.finished.values()]
    assert [run.seed for run in runs[:3]] == [0, 1, 2]
    assert runs[0].labels == NONE


def test_the_values_of_a_run(folder: Path) -> None:
    results = read_results(folder)
    run = next(iter(results.finished))
    assert results.metric("test/accuracy")[run] == 0.38
    assert results.metric("step_seconds")[run] == 12 / 60
    assert results.metric("first_steps/0.3")[run] == 20
    assert run not in results.metric("first_steps/0.9")


def test_a_metric_after_an_epoch_and_of_the_last_rows(folder: Path) -> None:
    results = read_results(folder)
    run = next(iter(results.finished))
    column = results.history.xs(run)["val/accuracy"].tolist()
    assert results.metric("val/accuracy@1")[run] == column[0]
    assert results.metric("val/accuracy@6")[run] == column[-1]
    assert run not in results.metric("val/accuracy@7")
    assert results.metric("val/accuracy@last2")[run] == pytest.approx((column[-1] + column[-2]) / 2)
    assert run not in results.metric("val/accuracy@last7")
    # The first row has none of training.
    assert run not in results.metric("train/accuracy@1")
    assert run in results.metric("train/accuracy@last5")


def test_what_is_missing_and_what_has_failed(tmp_path: Path) -> None:
    folder = write_study(tmp_path / "s", keep=lambda labels, seed: labels["method"] == "none")
    write_failure(folder, DROPIN, 1, "killed")
    results = read_results(folder)
    assert (len(results.finished), len(results.failed), len(results.missing)) == (6, 1, 35)
    ((run, reason),) = results.failed
    assert reason == "killed"
    assert run_words(run) == "method dropin, layers 2, p 0.5, seed 1"


def test_a_run_that_was_tried_again_is_finished(folder: Path) -> None:
    (run_folder(folder, NONE, 0) / "failed.json").write_text('{"reason": "of the first try"}')
    assert not read_results(folder).failed


def test_runs_of_other_settings_are_left_out(folder: Path) -> None:
    other = folder / "runs" / "0123456789"
    other.mkdir()
    (other / "result.json").write_text((run_folder(folder, NONE, 0) / "result.json").read_text())
    results = read_results(folder)
    assert (len(results.finished), results.left_over) == (42, 1)


def test_a_run_without_curves(folder: Path) -> None:
    (run_folder(folder, NONE, 0) / "epochs.csv").unlink()
    (run_folder(folder, NONE, 1) / "epochs.csv").write_text("")
    results = read_results(folder)
    runs = list(results.finished)
    assert not {runs[0], runs[1]} & set(results.history.index.get_level_values("run"))
    assert runs[2] in results.history.index.get_level_values("run")


def test_no_folder_no_study_no_run(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no study folder .*nowhere; `study` makes one"):
        read_results(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"no study in .*: it has no study.yaml"):
        read_results(tmp_path)
    folder = write_study(tmp_path / "s", keep=lambda labels, seed: False)
    with pytest.raises(UserError, match=r"no finished run in .*s/runs; run `study` first"):
        read_results(folder)
    write_failure(folder, DROPIN, 1, "no images")
    with pytest.raises(UserError, match=r"the first of 1 that failed: no images; run `study` first"):
        read_results(folder)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"metrics": 3}',
        '{"metrics": {"val/loss": "low"}}',
        '{"metrics": {}, "versions": 1}',
    ],
)
def test_a_damaged_result_is_named(folder: Path, content: str) -> None:
    file = run_folder(folder, DROPIN, 2) / "result.json"
    file.write_text(content)
    with pytest.raises(UserError) as caught:
        read_results(folder)
    message = str(caught.value)
    assert message.startswith(f"{file} is damaged (")
    assert message.endswith("remove its folder and run `study` again")
    assert "\n" not in message


@pytest.mark.parametrize(
    "content",
    [
        b"epoch,step\n0,ten\n",
        b"epoch,step\n0\n",
        b"epoch,step\n0,1,2\n",
        b"step,val/loss\n0,1\n",
        b"\xff\xfe,\x01",
    ],
)
def test_damaged_curves_are_named(folder: Path, content: bytes) -> None:
    file = run_folder(folder, DROPIN, 2) / "epochs.csv"
    file.write_bytes(content)
    if content.endswith(b"0\n"):
        # A column that a row lacks is one without a value.
        assert len(read_results(folder).finished) == 42
        return
    with pytest.raises(UserError, match=f"{file} is damaged"):
        read_results(folder)


def test_the_commands_that_made_the_runs(folder: Path) -> None:
    assert read_results(folder).commands == []
    (folder / "commands.txt").write_bytes(b"\xff\xfe")
    assert read_results(folder).commands == []
    (folder / "commands.txt").write_text("study b --only seed=0\nstudy of left over runs\nstudy a\n")
    for labels, command in ((NONE, "study a"), (DROPIN, "study b --only seed=0")):
        file = run_folder(folder, labels, 0) / "run.json"
        file.write_text(json.dumps({"labels": labels, "seed": 0, "hash": "", "command": command}))
    assert read_results(folder).commands == ["study b --only seed=0", "study a"]


def test_a_stopped_run_says_why(folder: Path) -> None:
    path = write_run(folder, NONE, 0, {"test/accuracy": 0.1}, stopped="the loss is at ln 10")
    assert json.loads((path / "result.json").read_text())["fit"]["stopped"]
    _, result = next(iter(read_results(folder).finished.values()))
    assert result.stopped == "the loss is at ln 10"


def test_the_flags_of_a_report(tmp_path: Path) -> None:
    content = study()
    content["report"] |= {"recommend": True, "time": False}
    report = read_results(write_study(tmp_path / "s", content)).study.report
    assert (report.recommend, report.time) == (True, False)
    content["report"]["recommend"] = "yes please"
    with pytest.raises(UserError, match=r"report.recommend: must be true or false, got 'yes please'"):
        write_study(tmp_path / "t", content)
