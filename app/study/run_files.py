"""The files of one run of a study: those of any run, and what only a study asks. Nothing here imports torch.

``run.json`` says what is asked, by whom and under which labels; ``log.txt`` has all that was printed; ``panels.npz`` is
there if the report shows images. The mark of a finished run is ``result.json``, that of a failed one ``failed.json``.
"""

import json
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pydantic.dataclasses

from dropout_lab.app.config.settings import Settings
from dropout_lab.app.config.yaml_files import read_yaml
from dropout_lab.app.errors import UserError
from dropout_lab.app.files import whole_file
from dropout_lab.app.run.folder import RunFolder
from dropout_lab.app.study.grid import Run

LOG_LINES = 15

T = TypeVar("T")


@pydantic.dataclasses.dataclass(frozen=True)
class RunResult:
    """What a run has come to, the figures of its ``result.json`` in one."""

    metrics: dict[str, float]  # val/… at the best validation, test/… with the weights of that moment
    best_epoch: int | None  # counted from 0; None without validation
    best_step: int | None
    first_steps: dict[str, int | None]  # the first step at or above each threshold of BestStep
    steps: int  # of the optimizer
    epochs: int  # that were begun
    train_seconds: float  # without validations
    seconds: float  # of the whole run, with building, validations and the test
    stopped: str | None  # why the fit was ended early by CollapseDetector
    versions: dict[str, str]  # of what it ran on
    data: str | None = None  # fingerprint of the images and of who is in which split


def _parse_result(content: dict[str, Any]) -> RunResult | None:
    if "metrics" in content:
        # Flat, as dropout-lab 0.1 wrote it, into a folder whose name is the hash; for one version.
        metrics = {name: value for name, value in content["metrics"].items() if value is not None}
        return RunResult(**{**content, "metrics": metrics})
    if not content or not all(isinstance(figures, dict) for figures in content.values()):
        raise TypeError("it does not hold figures by command")
    if not {"fit", "test"} <= content.keys():
        # Other figures of its weights, as of `test --ckpt_path last`.
        return None
    fit, test = content["fit"], content["test"]["metrics"]
    metrics = {f"val/{name}": value for name, value in fit["metrics"].items()}
    metrics |= {name if "/" in name else f"test/{name}": value for name, value in test.items()}
    return RunResult(**{**fit, **fit["time"], "metrics": metrics})


class RunFiles:
    """The files of one run of a study; ``folder`` is what every run has."""

    def __init__(self, path: Path) -> None:
        self.path, self.folder = path, RunFolder(path)
        self.epochs, self.result_file = self.folder.epochs, self.folder.result_file
        self.about = path / "run.json"
        self.log = path / "log.txt"
        self.panels = path / "panels.npz"
        self.failed_file = path / "failed.json"

    def locked(self, wait: bool) -> AbstractContextManager[None]:
        """Keep other processes from this run, as :meth:`RunFolder.locked` does."""
        self.path.mkdir(parents=True, exist_ok=True)
        return self.folder.locked(wait)

    def begin(self, run: Run, command: str) -> None:
        """Write down what is asked, and by which command; an interrupted run's checkpoints stay, to resume from."""
        for left in (self.failed_file, self.panels, self.result_file):
            left.unlink(missing_ok=True)
        _write_json(self.about, {**vars(run), "command": command})

    def run(self) -> Run:
        """Return what was asked of a run that was begun; UserError for this and any other file that is damaged."""
        run = _read_json(
            self.about, lambda about: Run(about["labels"], about["seed"], about["settings"], about["hash"])
        )
        if run is None:
            raise damaged(self.about, FileNotFoundError("it is not there"))
        return run

    def settings(self) -> Settings:
        """Return the settings that were asked for."""
        # Of 0.1.
        old = self.path / "settings.yaml"
        return read_yaml(old) if old.is_file() else self.run().settings

    def result(self) -> RunResult | None:
        """Return what the run has come to; None if it has not ended."""
        return _read_json(self.result_file, _parse_result)

    def failure(self) -> str | None:
        """Return why the run has failed; None if it has not."""
        return _read_json(self.failed_file, lambda content: str(content["reason"]))

    def fail(self, reason: str) -> None:
        """Write why the run has failed, with the last lines of its log."""
        self.path.mkdir(parents=True, exist_ok=True)
        _write_json(self.failed_file, {"reason": reason, "log": self.log_end()})

    def log_end(self) -> list[str]:
        """Return the last lines of the log."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log.is_file() else []
        return lines[-LOG_LINES:]

    def remove_checkpoints(self) -> None:
        """Remove all checkpoints."""
        shutil.rmtree(self.folder.checkpoints, ignore_errors=True)


@dataclass(frozen=True)
class RunTask:
    """A run to be done."""

    run: Run
    files: RunFiles
    panels: bool = False  # write right and wrong test images, too
    command: str = ""  # that asks for it
    tensorboard: bool = False  # write TensorBoard's events, too


def _read_json(file: Path, parse: Callable[[dict[str, Any]], T]) -> T | None:
    """Return what is made of a file; None if it is not there."""
    try:
        return parse(json.loads(file.read_text()))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (AttributeError, KeyError, OSError, TypeError, ValueError) as error:
        raise damaged(file, error) from error


def _write_json(file: Path, content: Any) -> None:
    with whole_file(file) as stream:
        stream.write(json.dumps(content, indent=2) + "\n")


def damaged(file: Path, error: Exception) -> UserError:
    """Make the error for a file of a run that cannot be read."""
    reason = " ".join(f"{type(error).__name__}: {error}".split())
    return UserError(f"{file} is damaged ({reason}); remove its folder and run `study` again")
