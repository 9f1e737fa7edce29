"""One run, in this process."""

import csv
import json
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from dropout_lab.app.errors import UserError
from dropout_lab.app.main import main
from dropout_lab.app.run import history
from dropout_lab.app.run.folder import RunIsLocked
from dropout_lab.app.study import worker
from dropout_lab.app.study.one_run import build_run
from dropout_lab.app.study.run_files import RunResult, RunTask
from dropout_lab.app.study.scheduler import Free
from tests.app.study.studies import BASE, callback, content, done, dropout, tasks

METHODS = content()["grid"]


def one(settings: dict[str, Any] | None = None) -> RunTask:
    """Return the task of a study of one run."""
    (task,) = tasks("one", grid={"only": {"it": settings or dropout("NoDropout")}}, seeds=[0],
                    report={"rows": "only", "metric": "test/accuracy"})  # fmt: skip
    return task


def but_times(result: RunResult) -> dict[str, Any]:
    return {**vars(result), "train_seconds": 0, "seconds": 0}


def test_the_same_numbers_as_a_fit_and_a_test() -> None:
    task = tasks("study")[-1]
    assert task.run.labels["method"] == "standard"
    assert task.run.seed == 1
    result = done(task)
    Path("settings.yaml").write_text(yaml.safe_dump(task.run.settings))
    main("fit --config settings.yaml --name run".split())
    main("test --run runs/run".split())
    fitted = json.loads(Path("runs/run/version_0/result.json").read_text())
    both = {f"{split}/{name}": value for command, split in (("fit", "val"), ("test", "test"))
            for name, value in fitted[command]["metrics"].items()}  # fmt: skip
    assert result.metrics == both
    assert (result.best_step, result.best_epoch) == (fitted["fit"]["best_step"], fitted["fit"]["best_epoch"])
    assert (result.steps, result.epochs, result.stopped) == (8, 2, None)


def test_numbers_do_not_depend_on_what_came_before() -> None:
    forth = {task.run.hash: but_times(done(task)) for task in tasks("forth", seeds=[0])}
    back = {task.run.hash: but_times(done(task)) for task in reversed(tasks("back", seeds=[0]))}
    assert forth == back
    assert len({json.dumps(result["metrics"]) for result in forth.values()}) == 2


def test_curves_and_times(monkeypatch: pytest.MonkeyPatch) -> None:
    # A microsecond from one look at the clock to the next: what comes after the last row may take long else.
    looks = count()
    monkeypatch.setattr(history, "seconds", lambda device: 1e-6 * next(looks))
    task = one()
    result = done(task)
    with task.files.epochs.open() as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["epoch"], row["step"]) for row in rows] == [("0", "4"), ("1", "8")]
    best = max(rows, key=lambda row: float(row["val/accuracy"]))
    assert float(best["val/accuracy"]) == result.metrics["val/accuracy"]
    assert 0 < result.train_seconds < float(rows[-1]["seconds"]) < result.seconds


def test_images_are_kept_where_they_are_asked_for_and_change_nothing() -> None:
    task = one()
    without = but_times(done(task))
    assert not task.files.panels.exists()
    assert but_times(done(replace(task, panels=True))) == without
    with np.load(task.files.panels) as arrays:
        assert arrays["right/stored"].shape == (4, 8, 8, 1)
    # Those of an interrupted run do not outlive it.
    task.files.begin(task.run, "dropout-lab study tiny.yaml")
    assert not task.files.panels.exists()
    assert json.loads((task.files.path / "run.json").read_text())["command"] == "dropout-lab study tiny.yaml"


def test_first_steps_are_kept() -> None:
    thresholds = {
        "trainer": {"callbacks+": {"class_path": "BestStep", "init_args": {"thresholds": [0.0, 1.1]}}}
    }
    assert done(one(thresholds)).first_steps == {"0.0": 4, "1.1": None}


def test_the_best_weights_are_tested_and_not_the_last() -> None:
    # After the first epoch nothing good is learned any more.
    scheduler = {"class_path": "StepLR", "init_args": {"step_size": 1, "gamma": 1e6}}
    harmed = {"model": {"scheduler": scheduler}}
    result = done(one(harmed))
    short = done(one({**harmed, "trainer": {"max_epochs": 1}}))
    assert result.best_epoch == 0
    assert result.metrics == short.metrics


def test_a_collapsed_run_is_a_result() -> None:
    scheduler = {"class_path": "StepLR", "init_args": {"step_size": 1, "gamma": 1e30}}
    detector = {"trainer": {"callbacks+": "CollapseDetector"}, "model": {"scheduler": scheduler}}
    result = done(one(detector))
    assert result.stopped is not None
    assert "is not finite" in result.stopped
    assert result.best_epoch == 0
    assert "test/accuracy" in result.metrics


def test_without_validation_the_last_weights_are_tested() -> None:
    result = done(one({"trainer": {"limit_val_batches": 0}}))
    assert result.best_step is None
    assert {name.partition("/")[0] for name in result.metrics} == {"test"}


def test_nothing_trained() -> None:
    with pytest.raises(UserError, match="nothing was trained"):
        done(one({"trainer": {"limit_train_batches": 0}}))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (dropout("NoDropou"), "no dropout variant 'NoDropou' .*did you mean NoDropout?"),
        (
            dropout({"class_path": "StandardDropout", "init_args": {"p": 1.5}}),
            r"p must be in \[0, 1\), got 1.5",
        ),
        ({"trainer": {"max_epoch": 3}}, "no option trainer.max_epoch; did you mean max_epochs?"),
        ({"trainer": {"max_epochs": "x"}}, "trainer.max_epochs: must be of type int, got 'x'"),
        (
            {"data": "DigitDataModule"},
            "no data module 'DigitDataModule' for data; did you mean DigitsDataModule?",
        ),
        ({"data": {"batch_siz": 3}}, "no option data.batch_siz; did you mean batch_size?"),
        ({"data": None}, "missing: data"),
        ({"model": {"network": None}}, "missing: model.network|model.network"),
        ({"model": {"network": {"num_classes": 3}}}, "model.network.num_classes comes from data.num_classes"),
        ({"modle": {}}, "no option modle; did you mean model?"),
        (callback("Nothing"), "Nothing"),
        (
            {"trainer": {"devices": 2, "strategy": "ddp_spawn"}},
            "trainer.strategy: a run of a study needs processes of its own, got ddp_spawn; take ddp",
        ),
        ({"trainer": {"num_nodes": 2}}, "trainer.num_nodes: a run of a study is on one machine, got 2; "),
    ],
)
def test_wrong_settings(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as raised:
        build_run(one(settings).run.settings)
    assert "\n" not in str(raised.value)


def test_data_are_kept_by_their_settings() -> None:
    first, again = (build_run(task.run.settings).data for task in tasks("kept", base={"settings": BASE})[:2])
    assert first is again
    other = build_run(one({"data": {"batch_size": 20}}).run.settings).data
    assert other is not first


def test_another_process_is_at_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "BUSY_SECONDS", 0.0)
    task = one()
    with task.files.locked(wait=False):
        assert worker.do_run(task, 1) == Free()
    assert not task.files.about.exists()


def test_a_locked_run() -> None:
    files = one().files
    with files.locked(wait=False), pytest.raises(RunIsLocked), files.locked(wait=False):
        raise AssertionError("two were at one run")
