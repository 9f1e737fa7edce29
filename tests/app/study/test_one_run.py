"""A run of a study is a run like any other: resumed, tested again, shown in TensorBoard, repeated by its config."""

import csv
import json
import os
import shutil
import signal
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import pytest
import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from dropout_lab.app.main import main
from dropout_lab.app.run import autosave
from dropout_lab.app.run.signals import Interrupted
from dropout_lab.app.study.local import PoolEngine
from dropout_lab.app.study.run_files import RunResult, RunTask
from dropout_lab.models import ImageClassifier
from tests.app.study.studies import done, dropout, tasks

HERE = "tests.app.study.test_one_run"
# Four steps an epoch, three epochs.
INTERRUPTED = {
    "within an epoch": 6,
    "at the end of an epoch": 8,
    "in the first epoch": 1,
    "before the last step": 11,
}


class Interrupter(Callback):
    """Sends a signal to its process after a step, once: a file says so."""

    def __init__(self, step: int, number: int) -> None:
        self.step, self.number = step, number

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *others: object) -> None:
        if trainer.global_step == self.step and not Path("interrupted").exists():
            Path("interrupted").touch()
            os.kill(os.getpid(), self.number)


def task(folder: str, step: int = 0, number: int = signal.SIGTERM, **trainer: Any) -> RunTask:
    """Return the task of a run with dropout and curves, interrupted after a step."""
    interrupter = {"class_path": f"{HERE}.Interrupter", "init_args": {"step": step, "number": int(number)}}
    schedule = {"class_path": "RhoScheduler", "init_args": {"schedule": "Randomized"}}
    changes = {"max_epochs": 3, "callbacks": [interrupter, schedule], **trainer}
    settings = {**dropout({"class_path": "MalDrop", "init_args": {"rho": 1}}), "trainer": changes}
    (made,) = tasks(folder, grid={"method": {"maldrop": settings}}, seeds=[0])
    made.files.path.mkdir(parents=True, exist_ok=True)
    made.files.begin(made.run, "dropout-lab study tiny.yaml")
    return made


def outcome(made: RunTask, result: RunResult) -> dict[str, Any]:
    """Return all that a run has left, but for times and for what the interrupter was told."""
    with made.files.epochs.open() as stream:
        rows = [{**row, "seconds": ""} for row in csv.DictReader(stream)]
    best = torch.load(made.files.folder.best, weights_only=True)
    weights = {name: value.tolist() for name, value in best["state_dict"].items()}
    figures = {**vars(result), "train_seconds": 0, "seconds": 0}
    return {"figures": figures, "rows": rows, "weights": weights, "step": best["global_step"]}


@dataclass(frozen=True)
class Undisturbed:
    """A run that nobody has interrupted, in a folder of its own, and what it has left."""

    task: RunTask
    result: RunResult
    outcome: dict[str, Any]

    def copy(self) -> tuple[RunTask, RunResult]:
        """Return it in the current folder, where it may be changed."""
        made = task("one")
        shutil.copytree(self.task.files.path, made.files.path, dirs_exist_ok=True)
        return made, self.result


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    folder = tmp_path_factory.mktemp("undisturbed")
    with chdir(folder):
        made = task(str(folder / "one"))
        result = done(made)
        return Undisturbed(made, result, outcome(made, result))


@pytest.fixture
def _signals_are_exceptions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a run that is interrupted raise, as its process goes on with the test."""

    def raised(stop: Interrupted) -> NoReturn:
        raise SystemExit(stop.code)

    monkeypatch.setattr(Interrupted, "end_process", raised)


@pytest.mark.usefixtures("_signals_are_exceptions")
@pytest.mark.parametrize(
    "moment",
    [
        "within an epoch",
        "at the end of an epoch",
        # As for any fit: tested with `fit --resume`.
        pytest.param("in the first epoch", marks=pytest.mark.slow),
        pytest.param("before the last step", marks=pytest.mark.slow),
    ],
)
def test_one_that_was_interrupted_goes_on_to_the_bit(moment: str, undisturbed: Undisturbed) -> None:
    interrupted = task("two", INTERRUPTED[moment])
    with pytest.raises(SystemExit, match="143"):
        done(interrupted)
    saved = torch.load(interrupted.files.folder.last, weights_only=True)
    assert saved["global_step"] == INTERRUPTED[moment]
    # As the worker does that takes the run up.
    interrupted.files.begin(interrupted.run, "dropout-lab study tiny.yaml")
    assert outcome(interrupted, done(interrupted)) == undisturbed.outcome
    assert [file.name for file in interrupted.files.folder.checkpoints.iterdir()] == ["best.ckpt"]


@pytest.mark.usefixtures("_signals_are_exceptions")
def test_its_times_are_those_of_both_parts() -> None:
    made = task("one", 6)
    with pytest.raises(SystemExit):
        done(made)
    before = torch.load(made.files.folder.last, weights_only=True)["dropout_lab"]["curves"]
    result = done(made)
    assert result.train_seconds > before["train_seconds"] > 0
    assert result.seconds > result.train_seconds


@pytest.mark.slow
def test_a_killed_worker_loses_nothing_that_it_has_saved(undisturbed: Undisturbed) -> None:
    # The worker saves, and dies by the signal; the engine gives the run to another.
    made, ends = task("two", 6), []
    PoolEngine(jobs=1, threads=1).run([made], lambda _, event: ends.append(event))
    assert Path("interrupted").exists()
    assert isinstance(ends[-1], RunResult)
    assert outcome(made, ends[-1]) == undisturbed.outcome


def test_short_runs_are_not_saved(monkeypatch: pytest.MonkeyPatch) -> None:
    saved: list[str] = []
    monkeypatch.setattr(autosave.Autosave, "_save", lambda self, trainer, moment: saved.append(moment))
    done(task("one"))
    assert saved == []


def test_long_runs_are_saved_by_time(monkeypatch: pytest.MonkeyPatch) -> None:
    saved: list[str] = []
    monkeypatch.setattr(autosave, "STUDY_EVERY_S", 0.0)
    monkeypatch.setattr(autosave.Autosave, "_save", lambda self, trainer, moment: saved.append(moment))
    done(task("one"))
    assert set(saved) == {"within an epoch", "between epochs"}


@pytest.mark.usefixtures("_signals_are_exceptions")
@pytest.mark.parametrize("harm", ["damaged", "other data"])
def test_what_cannot_be_resumed_begins_anew(
    harm: str, undisturbed: Undisturbed, capsys: pytest.CaptureFixture[str]
) -> None:
    made = task("two", 6)
    with pytest.raises(SystemExit):
        done(made)
    last = made.files.folder.last
    if harm == "damaged":
        last.write_bytes(last.read_bytes()[:-100])
        (last.parent / "previous.ckpt").unlink(missing_ok=True)
    else:
        content = torch.load(last, weights_only=True)
        content["dropout_lab"]["fingerprint"] = "others"
        torch.save(content, last)
    assert outcome(made, done(made)) == undisturbed.outcome
    assert "the run begins anew" in capsys.readouterr().out


def test_it_can_be_tested_and_predicted_with(
    undisturbed: Undisturbed, capsys: pytest.CaptureFixture[str]
) -> None:
    made, result = undisturbed.copy()
    main(["test", "--run", str(made.files.path)])
    main(["predict", "--run", str(made.files.path)])
    assert "not written into" not in capsys.readouterr().out
    content = json.loads((made.files.path / "result.json").read_text())
    assert content["test"]["checkpoint"] == str(made.files.folder.best)
    assert made.files.result() == result
    assert made.files.folder.predictions.read_text().count("\n") == 360
    model = ImageClassifier.load_from_checkpoint(made.files.folder.best, weights_only=True)
    assert model.network.num_classes == 10
    # What is not the run's own is shown, and not kept.
    main(["test", "--run", str(made.files.path), "--data.normalize", "none"])
    assert "not written into" in capsys.readouterr().out
    assert made.files.result() == result


def test_its_config_repeats_it(undisturbed: Undisturbed) -> None:
    made, result = undisturbed.task, undisturbed.result
    main(["fit", "--config", str(made.files.folder.config), "--name", "again"])
    fit = json.loads(Path("runs/again/version_0/result.json").read_text())["fit"]
    assert {f"val/{name}": value for name, value in fit["metrics"].items()}.items() <= result.metrics.items()
    assert (fit["steps"], fit["data"]) == (result.steps, result.data)


@pytest.mark.parametrize("asked", ["by its settings", "by the command"])
def test_tensorboard_where_it_is_asked_for(asked: str) -> None:
    made = task("one", logger=True) if asked == "by its settings" else task("one")
    if asked == "by the command":
        made = RunTask(made.run, made.files, tensorboard=True)
    result = done(made)
    pages = EventAccumulator(str(made.files.path)).Reload()
    points = pages.Scalars("val/accuracy")
    assert [point.step for point in points] == [3, 7, 11]
    (tested,) = pages.Scalars("test/accuracy")
    assert tested.step == result.best_step
    assert tested.value == pytest.approx(result.metrics["test/accuracy"])
    assert pages.Scalars("hp/val_accuracy")[-1].value == pytest.approx(result.metrics["val/accuracy"])
    assert pages.Tags()["graph"]
    assert (made.files.path / "hparams.yaml").is_file()


def test_no_events_where_nobody_has_asked(undisturbed: Undisturbed) -> None:
    assert {path.name for path in undisturbed.task.files.path.iterdir()} == {
        "run.json", "config.yaml", "epochs.csv", "result.json", "outcomes.npz", "checkpoints"
    }  # fmt: skip


def test_without_checkpoints_if_the_settings_want_none() -> None:
    made = task("one", enable_checkpointing=False)
    assert "test/accuracy" in done(made).metrics
    assert not made.files.folder.checkpoints.exists()


def test_what_an_older_attempt_has_left_is_no_part_of_it(undisturbed: Undisturbed) -> None:
    made, _ = undisturbed.copy()
    shutil.copy(made.files.folder.best, made.files.folder.checkpoints / "old.ckpt")
    done(made)
    assert [file.name for file in made.files.folder.checkpoints.iterdir()] == ["best.ckpt"]
