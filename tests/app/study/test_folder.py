"""A study's folder: names that can be read, runs found again, checkpoints that stay, folders of version 0.1."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dropout_lab.app.main import main
from dropout_lab.app.study.folder import CheckpointKeeper, Keep, StudyFolder, finished, folder_name
from dropout_lab.app.study.grid import Run, expand
from dropout_lab.app.study.read_spec import read_study
from dropout_lab.app.study.run_files import RunResult
from tests.app.study.studies import dropout, rows, write_study
from tests.data.studies import write_result

FOLDER = StudyFolder(Path("studies/tiny"))
RUN = Run({"variant": "maldrop", "rate": 0.2}, 1, {}, "0123456789abcdef0123")


def result(accuracy: float) -> RunResult:
    metrics = {"val/accuracy": accuracy, "val/loss": 1 - accuracy, "test/accuracy": 0.5}
    return RunResult(metrics, 1, 8, {"0.5": None}, 8, 2, 1.5, 2.5, None, {})


def test_a_name_says_what_the_run_is() -> None:
    assert folder_name(RUN) == "variant=maldrop,rate=0.2,seed=1-0123456789"


@pytest.mark.parametrize("label", ["../..", "a/b\\c", "ä ö:*?", "x" * 300, "-", ".", "$(rm)", "a-b"])
def test_names_are_safe_and_bounded(label: str) -> None:
    name = folder_name(replace(RUN, labels={"variant": label, "rate": 0.2}))
    assert len(name) <= 101
    assert name.endswith("-0123456789")
    assert not set(name) - set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.,=+-")
    assert Path(name).name == name


def test_a_run_is_found_by_its_hash_whatever_its_labels_are_now() -> None:
    files = FOLDER.run(RUN)
    files.path.mkdir(parents=True)
    files.begin(RUN, "")
    write_result(files, result(0.25))
    renamed = replace(RUN, labels={"method": "malicious", "rate": 0.2})
    assert FOLDER.run(renamed).path == files.path
    ((run, found),) = finished(FOLDER, [renamed])
    assert (run, found.metrics["val/accuracy"]) == (renamed, 0.25)


def test_renamed_labels_do_not_run_again(capsys: pytest.CaptureFixture[str]) -> None:
    grid = {"method": {"none": dropout("NoDropout")}}
    main(["study", str(write_study(grid=grid, seeds=[0])), "--jobs", "1"])
    (folder,) = FOLDER.runs.iterdir()
    assert [file.name for file in (folder / "checkpoints").iterdir()] == ["best.ckpt"]
    grid = {"method": {"without": dropout("NoDropout")}}
    main(["study", str(write_study(grid=grid, seeds=[0])), "--jobs", "1", "--keep", "none"])
    assert not (folder / "checkpoints").exists()
    assert "1 runs, 1 done before" in capsys.readouterr().out
    assert [row["method"] for row in rows(FOLDER.results_file)] == ["without"]
    assert list(FOLDER.runs.iterdir()) == [folder]
    assert folder.name.startswith("method=none,seed=0-")


def test_a_result_reads_back() -> None:
    files = FOLDER.run(RUN)
    files.path.mkdir(parents=True)
    assert files.result() is None
    files.begin(RUN, "dropout-lab study x.yaml")
    assert files.result() is None
    written = replace(result(0.75), data="abc", stopped="the loss is not finite", best_epoch=None)
    write_result(files, written)
    assert files.result() == written
    content = json.loads(files.result_file.read_text())
    assert content["fit"]["metrics"] == {"accuracy": 0.75, "loss": 0.25}
    assert content["test"]["metrics"] == {"accuracy": 0.5}
    assert files.run() == RUN
    # Begun again, nothing of it stands.
    files.begin(RUN, "")
    assert files.result() is None


PRUNED: dict[str, tuple[dict[str, Any], Keep, set[tuple[str, float, int]]]] = {
    "all": ({}, "all", {("none", 0.25, 0), ("none", 0.25, 1), ("none", 0.5, 0), ("none", 0.5, 1),
                        ("standard", 0.25, 0), ("standard", 0.25, 1), ("standard", 0.5, 0)}),
    "none": ({}, "none", set()),
    "a row is each combination": ({}, "best", {("none", 0.25, 1), ("standard", 0.25, 1), ("standard", 0.5, 0)}),
    "what is selected over is of one row": (
        {"select": {"over": "p", "by": "val/accuracy", "mode": "max"}}, "best",
        {("none", 0.25, 1), ("standard", 0.5, 0)},
    ),
    "by the selection's metric": (
        {"select": {"over": "p", "by": "val/loss", "mode": "max"}}, "best",
        {("none", 0.25, 0), ("standard", 0.25, 0)},
    ),
}  # fmt: skip
ACCURACY = {("none", 0.25): (0.1, 0.3), ("standard", 0.25): (0.2, 0.4), ("standard", 0.5): (0.9, None)}


@pytest.mark.parametrize("case", PRUNED)
def test_whose_checkpoints_stay(case: str) -> None:
    changes, keep, expected = PRUNED[case]
    expected = {each for each in expected if (each[0], each[1]) in ACCURACY}
    study = read_study(write_study(grid={"method": {"none": dropout("NoDropout"), "standard": dropout(
        {"class_path": "StandardDropout", "init_args": {"p": "${p}"}})}, "p": [0.25, 0.5]}, **changes))  # fmt: skip
    runs = expand(study)
    places = {}
    for run in runs:
        place = (str(run.labels["method"]), float(run.labels["p"]))
        files, accuracy = FOLDER.run(run), ACCURACY[place][run.seed]
        places[files.path] = (*place, run.seed)
        files.folder.checkpoints.mkdir(parents=True)
        files.begin(run, "")
        if accuracy is not None:
            write_result(files, result(accuracy))
    # Twice, as when the study is taken up: it must not change its mind.
    for _ in range(2):
        keeper = CheckpointKeeper(FOLDER, study, keep)
        for run, ended in finished(FOLDER, runs):
            keeper.add(run, ended)
    # The one that has not ended is resumed from its own.
    left = {places[path] for path in places if (path / "checkpoints").is_dir()} - {("standard", 0.5, 1)}
    assert left == expected
    assert FOLDER.run(runs[-1]).folder.checkpoints.is_dir()


def test_of_equal_ones_that_which_has_its_checkpoint() -> None:
    study = read_study(write_study(grid={"method": {"none": dropout("NoDropout")}}))
    first, second = expand(study)
    for run in (first, second):
        FOLDER.run(run).folder.checkpoints.mkdir(parents=True)
    # The second has ended first.
    keeper = CheckpointKeeper(FOLDER, study, "best")
    for run in (second, first):
        keeper.add(run, result(0.5))
    keeper = CheckpointKeeper(FOLDER, study, "best")
    for run in (first, second):
        keeper.add(run, result(0.5))
    assert [FOLDER.run(run).folder.checkpoints.is_dir() for run in (first, second)] == [False, True]


def test_of_equal_ones_two_commands_keep_the_same() -> None:
    study = read_study(write_study(grid={"method": {"none": dropout("NoDropout")}}))
    one, other = expand(study)
    for run in (one, other):
        FOLDER.run(run).folder.checkpoints.mkdir(parents=True)
    mine, theirs = (CheckpointKeeper(FOLDER, study, "best") for _ in range(2))
    # Each command sees its own run end before that of the other.
    mine.add(one, result(0.5))
    theirs.add(other, result(0.5))
    mine.add(other, result(0.5))
    theirs.add(one, result(0.5))
    assert [FOLDER.run(run).folder.checkpoints.is_dir() for run in (one, other)].count(True) == 1


SETTINGS_OF_0_1 = """\
seed_everything: 0
data: {class_path: DigitsDataModule, init_args: {batch_size: 50, train_limit: 200}}
"""
RESULT_OF_0_1 = """\
{
  "labels": {"method": "none"},
  "seed": 0,
  "hash": "HASH",
  "metrics": {"test/accuracy": 0.875, "test/loss": 0.5, "val/accuracy": 0.75, "val/loss": 1.25},
  "best_epoch": 1,
  "best_step": 8,
  "first_steps": {"0.5": 4, "0.9": null},
  "steps": 8,
  "epochs": 2,
  "train_seconds": 0.5,
  "seconds": 1.5,
  "stopped": null,
  "versions": {"python": "3.11.13", "torch": "2.15.0", "pytorch_lightning": "2.6.1"}
}
"""


def test_folders_of_0_1_are_read(capsys: pytest.CaptureFixture[str]) -> None:
    file = write_study(grid={"method": {"none": dropout("NoDropout")}}, seeds=[0])
    (run,) = expand(read_study(file))
    old = FOLDER.runs / run.hash
    old.mkdir(parents=True)
    (old / "settings.yaml").write_text(SETTINGS_OF_0_1)
    (old / "result.json").write_text(RESULT_OF_0_1.replace("HASH", run.hash))
    (old / "run.json").write_text(
        json.dumps({"labels": run.labels, "seed": 0, "hash": run.hash, "command": "x"})
    )
    main(["study", str(file), "--jobs", "1"])
    assert "1 runs, 1 done before" in capsys.readouterr().out
    ((_, found),) = finished(FOLDER, [run])
    assert found.metrics["test/accuracy"] == 0.875
    assert (found.best_step, found.first_steps, found.data) == (8, {"0.5": 4, "0.9": None}, None)
    assert [row["test/accuracy"] for row in rows(FOLDER.results_file)] == ["0.875"]
    assert FOLDER.run(run).settings()["seed_everything"] == 0


def test_what_0_1_has_not_finished_begins_anew_beside_it() -> None:
    old = FOLDER.runs / RUN.hash
    old.mkdir(parents=True)
    (old / "settings.yaml").write_text(SETTINGS_OF_0_1)
    assert FOLDER.run(RUN).path == FOLDER.runs / folder_name(RUN)
