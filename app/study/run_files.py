"""The files of one run of a study: those of any run, and what only a study asks. Nothing here imports torch.

``run.json`` says what is asked, by whom and under which labels; ``log.txt`` has all that was printed; ``outcomes.npz``
which test images were classified correctly; ``panels.npz`` is there if the report shows images. The mark of a finished
run is ``result.json``, that of a failed one ``failed.json``.
"""

import shutil
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, TypeAdapter

from dropout_lab.app.config.settings import Settings
from dropout_lab.app.config.yaml_files import read_yaml
from dropout_lab.app.errors import UserError
from dropout_lab.app.records import read_record, write_record
from dropout_lab.app.run.folder import RunFolder, refuse_link
from dropout_lab.app.run.result_file import read_figures
from dropout_lab.app.study.grid import Run
from dropout_lab.app.study.spec import Labels

LOG_LINES = 15
REMEDY = "remove its folder and run `study` again"


_TIMES = ("train_seconds", "seconds")


class About(BaseModel):
    """``run.json``."""

    labels: Labels
    seed: int
    settings: Settings = {}  # of 0.1 they are in a file of their own
    hash: str
    command: str | None = None


class Failure(BaseModel):
    """``failed.json``."""

    reason: str
    log: list[str] = []


@dataclass(frozen=True)
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
    chance: float | None = None  # share of the commonest class among the test images
    known: str | None = None  # the table that it was taken from, where it was not run here

    # What may differ between two runs that are otherwise the same.
    CIRCUMSTANCES: ClassVar = {"train_seconds", "seconds", "versions", "known"}


def _result(content: dict[str, dict[str, Any]]) -> RunResult | None:
    if not {"fit", "test"} <= content.keys():
        # Other figures of its weights, as of `test --ckpt_path last`.
        return None
    fit, test = content["fit"], content["test"].get("metrics", {})
    metrics = {f"val/{name}": value for name, value in fit["metrics"].items()}
    metrics |= {name if "/" in name else f"test/{name}": value for name, value in test.items()}
    return RunResult(
        metrics={name: value for name, value in metrics.items() if value is not None},
        **{
            name: fit[name]
            for name in ("best_epoch", "best_step", "first_steps", "steps", "epochs", "stopped", "versions")
        },
        **{name: fit["time"][name] for name in _TIMES},
        data=fit.get("data"),
        chance=fit.get("chance"),
        known=fit.get("known"),
    )


class RunFiles:
    """The files of one run of a study; ``folder`` is what every run has."""

    def __init__(self, path: Path) -> None:
        self.path, self.folder = path, RunFolder(path)
        self.epochs, self.result_file = self.folder.epochs, self.folder.result_file
        self.about = path / "run.json"
        self.log = path / "log.txt"
        self.outcomes = path / "outcomes.npz"
        self.panels = path / "panels.npz"
        self.failed_file = path / "failed.json"

    def locked(self, wait: bool) -> AbstractContextManager[None]:
        """Keep other processes from this run, as :meth:`RunFolder.locked` does."""
        refuse_link(self.path)
        self.path.mkdir(parents=True, exist_ok=True)
        return self.folder.locked(wait)

    def begin(self, run: Run, command: str) -> None:
        """Write down what is asked, and by which command; an interrupted run's checkpoints stay, to resume from."""
        for left in (self.failed_file, self.outcomes, self.panels, self.result_file):
            left.unlink(missing_ok=True)
        write_record(self.about, {**vars(run), "command": command})

    def run(self) -> Run:
        """Return what was asked of a run that was begun; UserError for this and any other file that is damaged."""
        about = read_record(self.about, TypeAdapter(About), REMEDY)
        if about is None:
            raise UserError(f"{self.about} is not there; {REMEDY}")
        return Run(about.labels, about.seed, about.settings, about.hash)

    def command(self) -> str | None:
        """Return the command that has asked for the run; None where none was noted."""
        about = read_record(self.about, TypeAdapter(About), REMEDY)
        return None if about is None else about.command

    def settings(self) -> Settings:
        """Return the settings that were asked for."""
        # Of 0.1.
        old = self.path / "settings.yaml"
        return read_yaml(old) if old.is_file() else self.run().settings

    def result(self) -> RunResult | None:
        """Return what the run has come to; None if it has not ended."""
        content = read_figures(self.result_file, REMEDY)
        try:
            return _result(content)
        except KeyError as error:
            raise UserError(f"{self.result_file} is damaged (fit has no {error}); {REMEDY}") from error

    def write_result(self, result: RunResult, table: str) -> None:
        """Write what a run has come to that was made elsewhere, as ``fit`` and ``test`` write it; ``table`` says so."""
        figures = {name: value for name, value in vars(result).items() if name not in ("metrics", *_TIMES)}
        metrics = result.metrics.items()
        fit = {name.removeprefix("val/"): value for name, value in metrics if name.startswith("val/")}
        test = {name.removeprefix("test/"): value for name, value in metrics if not name.startswith("val/")}
        time = {name: getattr(result, name) for name in _TIMES}
        self.folder.add_result("fit", {**figures, "metrics": fit, "time": time, "known": table})
        self.folder.add_result("test", {"metrics": test})

    def failure(self) -> str | None:
        """Return why the run has failed; None if it has not."""
        failure = read_record(self.failed_file, TypeAdapter(Failure), REMEDY)
        return None if failure is None else failure.reason

    def fail(self, reason: str) -> None:
        """Write why the run has failed, with the last lines of its log."""
        self.path.mkdir(parents=True, exist_ok=True)
        write_record(self.failed_file, {"reason": reason, "log": self.log_end()})

    def log_end(self) -> list[str]:
        """Return the last lines of the log."""
        lines = self.log.read_text("utf-8", errors="replace").splitlines() if self.log.is_file() else []
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
