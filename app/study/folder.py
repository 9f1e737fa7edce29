"""A study's folder: its file, and for each run what was asked, what was measured, or why it failed.

``NAME/study.yaml`` is the study as it is run, complete in itself; ``NAME/commands.txt`` has the commands that were
given. ``NAME/runs/<hash>/`` holds ``settings.yaml`` (as for ``fit --config``), ``run.json``, ``lock``, ``log.txt``,
``epochs.csv``, ``panels.npz`` if the report shows images, and at the end ``result.json``, the mark of a finished run,
or ``failed.json``. Nothing here imports torch.
"""

import csv
import fcntl
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import yaml

from dropout_lab.app.config.settings import Settings, merged
from dropout_lab.app.config.yaml_files import read_yaml
from dropout_lab.app.errors import UserError
from dropout_lab.app.files import folder_for, whole_file
from dropout_lab.app.study.grid import Run
from dropout_lab.app.study.spec import Labels, Study

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
        """Its curves (:class:`dropout_lab.app.run.history.EpochTable`)."""
        return self.path / "epochs.csv"

    @property
    def panels(self) -> Path:
        """Right and wrong test images, if the study's report shows such."""
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


@dataclass(frozen=True)
class StudyFolder:
    """Where a study's runs are.

    Attributes:
        path: its folder.
    """

    path: Path

    @property
    def study_file(self) -> Path:
        """The study as it is run, complete in itself."""
        return self.path / "study.yaml"

    @property
    def commands_file(self) -> Path:
        """The commands that were given, each once, in their order: a line each."""
        return self.path / "commands.txt"

    @property
    def results_file(self) -> Path:
        """A row for each run."""
        return self.path / "results.csv"

    def run(self, run: Run) -> RunFiles:
        """Return the files of a run."""
        return self.of_hash(run.hash)

    def of_hash(self, name: str) -> RunFiles:
        """Return the files of a run by its hash."""
        return RunFiles(self.path / "runs" / name)

    def write(self, study: Study) -> None:
        """Write the study.

        Raises:
            UserError: it cannot be written.
        """
        self._write(self.study_file, yaml.safe_dump(study.as_file(), sort_keys=False, allow_unicode=True))

    def commands(self) -> list[str]:
        """Return the commands that were given; none where none was noted."""
        try:
            return self.commands_file.read_text(errors="replace").splitlines()
        except FileNotFoundError:
            return []

    def note(self, command: str) -> None:
        """Note a command, unless it is there.

        Raises:
            UserError: it cannot be written.
        """
        known = self.commands()
        if command not in known:
            self._write(self.commands_file, "\n".join([*known, command]))

    def _write(self, file: Path, text: str) -> None:
        try:
            with folder_for(self.path):
                write_whole(file, text)
        except OSError as error:
            raise UserError(
                f"cannot write {file}: {error.strerror}; choose another --studies folder"
            ) from error


# Whose files are always the same.
KNOWN_FILES = {"DigitsDataModule", "MNISTDataModule", "CIFAR10DataModule"}


def check_same_data(folder: StudyFolder, done: Sequence[Run]) -> None:
    """Check that runs which are done were made with the data that are asked for.

    Args:
        folder: the study's.
        done: its runs that are not to be done again.

    Raises:
        UserError: the data were in another place.
    """
    for run in done:
        name, asked = _place(run.settings)
        _, before = _place(folder.run(run).settings())
        if name not in KNOWN_FILES and asked != before:
            raise UserError(
                f"{folder.path}: its runs were made with data.root {before}, and are asked for with {asked}: if these "
                "are other images, choose another --studies folder; if they were moved, remove the study's folder"
            )


def _place(settings: Settings) -> tuple[str, Path | None]:
    """Return the name of a data module's class, and its root."""
    data = merged(settings.get("data"), {"init_args": {}})
    root = data["init_args"].get("root")
    return str(data.get("class_path")).rpartition(".")[2], None if root is None else Path(root).absolute()


FIGURES = ("best_epoch", "best_step", "steps", "epochs", "train_seconds", "seconds", "stopped")


def finished(folder: StudyFolder, runs: Sequence[Run]) -> list[tuple[Run, RunResult]]:
    """Return the runs that have ended, in their order in the study, with what they have come to.

    The labels are those of the study as it is now; a run may have been made under others, of the same settings.
    """
    return [(run, result) for run in runs if (result := folder.run(run).result()) is not None]


def write_results(folder: StudyFolder, runs: Sequence[Run], to: Path | None = None) -> None:
    """Write the table: labels, seed, hash, metrics and figures, in the order of axes and seeds, without dates.

    Args:
        folder: the study's.
        runs: of the study, in their order.
        to: file to write; None takes the study's ``results.csv``.
    """
    done = finished(folder, runs)
    axes = list(runs[0].labels)
    metrics = sorted({name for _, result in done for name in result.metrics})
    thresholds = sorted({name for _, result in done for name in result.first_steps}, key=float)
    file = folder.results_file if to is None else to
    with whole_file(file) as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(
            [*axes, "seed", "hash", *metrics, *(f"first_steps/{name}" for name in thresholds), *FIGURES]
        )
        for run, result in done:
            figures = vars(result)
            writer.writerow(
                [
                    *(run.labels[axis] for axis in axes),
                    run.seed,
                    run.hash,
                    *(result.metrics.get(name) for name in metrics),
                    *(result.first_steps.get(name) for name in thresholds),
                    *(figures[name] for name in FIGURES),
                ]
            )
