"""A tiny study on the embedded digits, and callbacks that give its runs trouble."""

import csv
import os
import signal
import threading
from pathlib import Path
from time import sleep
from typing import Any

import yaml
from pytorch_lightning import Callback, LightningModule, Trainer

from dropout_lab.app.study.folder import StudyFolder
from dropout_lab.app.study.grid import Run, expand
from dropout_lab.app.study.one_run import run_one
from dropout_lab.app.study.read_spec import read_study
from dropout_lab.app.study.run_files import RunResult, RunTask
from dropout_lab.app.study.scheduler import Engine, Event

HERE = "tests.app.study.studies"
REPOSITORY = Path(__file__).resolve().parents[3]
# What differs from one time to the next.
TIMES = ("seconds", "train_seconds")
BASE = {
    "data": {"class_path": "DigitsDataModule", "init_args": {"batch_size": 50, "train_limit": 200}},
    "model": {"network": {"class_path": "FullyConnected", "init_args": {"hidden": [8]}}},
    "trainer": {"max_epochs": 2, "accelerator": "cpu"},
}


def dropout(spec: Any) -> dict[str, Any]:
    return {"model": {"network": {"init_args": {"dropout": spec}}}}


def callback(name: str, **arguments: Any) -> dict[str, Any]:
    return {"trainer": {"callbacks+": {"class_path": f"{HERE}.{name}", "init_args": arguments}}}


def content(**changes: Any) -> dict[str, Any]:
    """Return a study of 2 methods × 2 seeds with some of its keys changed."""
    return {
        "name": "tiny",
        "title": "Tiny",
        "base": {"settings": BASE},
        "grid": {
            "method": {
                "none": dropout("NoDropout"),
                "standard": dropout({"class_path": "StandardDropout", "init_args": {"p": "${p}"}}),
            },
            "p": [0.25],
        },
        "seeds": [0, 1],
        "report": {"rows": "method", "metric": "test/accuracy"},
        **changes,
    }


def write_study(**changes: Any) -> Path:
    file = Path("tiny.yaml")
    file.write_text(yaml.safe_dump(content(**changes), sort_keys=False))
    return file


def tasks(folder: str, **changes: Any) -> list[RunTask]:
    """Return the tasks of the study, in a folder."""
    where = StudyFolder(Path(folder))
    return [RunTask(run, where.run(run)) for run in runs(**changes)]


def done(task: RunTask) -> RunResult:
    task.files.path.mkdir(parents=True, exist_ok=True)
    run_one(task)
    result = task.files.result()
    assert result is not None
    return result


def runs(**changes: Any) -> list[Run]:
    return expand(read_study(write_study(**changes)))


def rows(file: Path) -> list[dict[str, str]]:
    with file.open() as stream:
        return [{key: row[key] for key in row if key not in TIMES} for row in csv.DictReader(stream)]


def trouble(**values: Any) -> dict[str, Any]:
    return {
        "grid": {"trouble": values},
        "seeds": [0],
        "report": {"rows": "trouble", "metric": "test/accuracy"},
    }


def events_of(engine: Engine, todo: list[RunTask]) -> list[tuple[str, Event]]:
    events: list[tuple[str, Event]] = []
    engine.run(todo, lambda task, event: events.append((str(next(iter(task.run.labels.values()))), event)))
    return events


class Raises(Callback):
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        print("a word before the end")
        raise RuntimeError("no luck\nand no second line")


class Dies(Callback):
    """Kills its process: always, or as long as a file is not there, which it then makes."""

    def __init__(self, unless: str | None = None) -> None:
        self.unless = unless

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.unless is not None:
            if Path(self.unless).exists():
                return
            Path(self.unless).touch()
        os.kill(os.getpid(), signal.SIGKILL)


class Leaves(Callback):
    """Ends its process as if all were well."""

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        os._exit(0)


class Hangs(Callback):
    """Never goes on, as long as there is a named pipe, to which it says so."""

    def __init__(self, pipe: str | None = None) -> None:
        self.pipe = pipe

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.pipe is not None:
            if not Path(self.pipe).exists():
                return
            Path(self.pipe).write_text("here")
        threading.Event().wait()


class Says(Callback):
    """Says to a named pipe that an epoch is over, once, and goes on."""

    def __init__(self, pipe: str) -> None:
        self.pipe = pipe

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.current_epoch == 0:
            Path(self.pipe).write_text("here")


class TellsGPU(Callback):
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        print(os.environ["CUDA_VISIBLE_DEVICES"])


class Waits(Callback):
    """Goes on once there is a file."""

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        while not Path("go").exists():
            sleep(0.05)
