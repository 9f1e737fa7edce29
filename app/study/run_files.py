"""What there is of one run of a study on disk, and what it has come to. Nothing here imports torch."""

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import yaml

from app.errors import UserError
from app.study.grid import Run
from app.study.settings import Settings, read_yaml
from app.study.spec import Labels
from app.whole_file import whole_file

LOG_LINES = 15


class RunIsLocked(Exception):  # noqa: N818 - no mistake of anybody's
    """Another process is at this run."""


@dataclass(frozen=True)
class RunResult:
    """What a run has come to.

    Attributes:
        labels: where it stands in the grid.
        seed: of it.
        hash: of its settings.
        metrics: ``val/…`` at the best validation, ``test/…`` with the weights of that moment.
        best_epoch: where validation was best, counted from 0; None without validation.
        best_step: the step of it.
        first_steps: the first step at or above each threshold of BestStep, by the threshold as text.
        steps: of the optimizer.
        epochs: that were begun.
        train_seconds: of training, without validations.
        seconds: of the whole run, with building, validations and the test.
        stopped: why the fit was ended early by CollapseDetector.
        versions: of what it ran on.
    """

    labels: Labels
    seed: int
    hash: str
    metrics: dict[str, float]
    best_epoch: int | None
    best_step: int | None
    first_steps: dict[str, int | None]
    steps: int
    epochs: int
    train_seconds: float
    seconds: float
    stopped: str | None
    versions: dict[str, str]


@dataclass(frozen=True)
class RunFiles:
    """The files of one run of a study.

    Attributes:
        path: their folder.
    """

    path: Path

    @property
    def settings_file(self) -> Path:
        """What is asked, as for ``fit --config``."""
        return self.path / "settings.yaml"

    @property
    def log(self) -> Path:
        """All that the run has printed."""
        return self.path / "log.txt"

    @property
    def epochs(self) -> Path:
        """Its curves (:class:`app.study.epoch_table.EpochTable`)."""
        return self.path / "epochs.csv"

    @property
    def panels(self) -> Path:
        """Right and wrong test images (:class:`app.study.panel_file.PanelFile`), if the study's report shows such."""
        return self.path / "panels.npz"

    @property
    def result_file(self) -> Path:
        """The mark of a finished run."""
        return self.path / "result.json"

    @property
    def failed_file(self) -> Path:
        """The mark of a run that has failed."""
        return self.path / "failed.json"

    @contextmanager
    def locked(self, wait: bool) -> Iterator[None]:
        """Keep other processes from this run; the kernel lets go when this one dies.

        Raises:
            RunIsLocked: another process is at it, and ``wait`` is not set.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                raise RunIsLocked(self.path.name) from None
            yield

    def begin(self, run: Run, command: str) -> None:
        """Remove what an interrupted run has left, and write down what is asked, and by which command."""
        for left in (self.failed_file, self.epochs, self.panels):
            left.unlink(missing_ok=True)
        self.settings_file.write_text(yaml.safe_dump(run.settings, sort_keys=False))
        about = {"labels": run.labels, "seed": run.seed, "hash": run.hash, "command": command}
        write_whole(self.path / "run.json", json.dumps(about, indent=2))

    def settings(self) -> Settings:
        """Return what was asked of a run that was begun.

        Raises:
            UserError: the file is missing or damaged.
        """
        return read_yaml(self.settings_file)

    def result(self) -> RunResult | None:
        """Return what the run has come to; None if it has not ended.

        Raises:
            UserError: the file is damaged.
        """
        try:
            return RunResult(**json.loads(self.result_file.read_text()))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, TypeError, ValueError) as error:
            raise damaged(self.result_file, error) from error

    def end(self, result: RunResult) -> None:
        """Write the result, all or nothing."""
        self.failed_file.unlink(missing_ok=True)
        write_whole(self.result_file, json.dumps(vars(result), indent=2))

    def failure(self) -> str | None:
        """Return why the run has failed; None if it has not.

        Raises:
            UserError: the file is damaged.
        """
        try:
            return str(json.loads(self.failed_file.read_text())["reason"])
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (KeyError, OSError, TypeError, ValueError) as error:
            raise damaged(self.failed_file, error) from error

    def fail(self, reason: str) -> None:
        """Write why the run has failed, with the last lines of its log."""
        self.path.mkdir(parents=True, exist_ok=True)
        write_whole(self.failed_file, json.dumps({"reason": reason, "log": self.log_end()}, indent=2))

    def log_end(self) -> list[str]:
        """Return the last lines of the log."""
        with suppress(FileNotFoundError):
            return self.log.read_text(errors="replace").splitlines()[-LOG_LINES:]
        return []


def write_whole(file: Path, text: str) -> None:
    """Write a file, all or nothing."""
    with whole_file(file) as stream:
        stream.write(text + "\n")


def damaged(file: Path, error: Exception) -> UserError:
    """Make the error for a file of a run that cannot be read."""
    reason = " ".join(f"{type(error).__name__}: {error}".split())
    return UserError(f"{file} is damaged ({reason}); remove its folder and run `study` again")
