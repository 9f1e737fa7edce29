"""A study's folder: its file, its runs, and the table of what they have come to.

``NAME/study.yaml`` is the study as it is run, complete in itself; ``NAME/commands.txt`` has the commands that were
given. ``NAME/runs/`` has a folder for each run, which is found by the hash at the end of its name, whatever its labels
are called now. Nothing here imports torch.
"""

import csv
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import yaml

from dropout_lab.app.config.settings import Settings, merged
from dropout_lab.app.errors import UserError
from dropout_lab.app.files import folder_for, whole_file
from dropout_lab.app.study.grid import Run
from dropout_lab.app.study.run_files import RunFiles, RunResult
from dropout_lab.app.study.spec import Study

UNSAFE = re.compile(r"[^A-Za-z0-9_.,=+-]+")
HASH_DIGITS, LABELS_LENGTH = 10, 90
# Whose files are always the same.
KNOWN_FILES = {"DigitsDataModule", "MNISTDataModule", "CIFAR10DataModule"}
FIGURES = ("best_epoch", "best_step", "steps", "epochs", "train_seconds", "seconds", "stopped")


def folder_name(run: Run) -> str:
    """Return ``variant=maldrop,rate=0.2,seed=1-HASH``: labels to read, and the hash that tells runs apart."""
    labels = ",".join(f"{name}={value}" for name, value in {**run.labels, "seed": run.seed}.items())
    return f"{UNSAFE.sub('_', labels)[:LABELS_LENGTH]}-{run.hash[:HASH_DIGITS]}"


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

    @property
    def runs(self) -> Path:
        """Folder of all runs."""
        return self.path / "runs"

    def run(self, run: Run) -> RunFiles:
        """Return the files of a run, which may have been made under other labels."""
        path = self.runs / folder_name(run)
        return RunFiles(path if path.is_dir() else self._found(run.hash) or path)

    def of_hash(self, name: str) -> RunFiles:
        """Return the files of a run that was begun, by its hash."""
        return RunFiles(self._found(name) or self.runs / name)

    def left_over(self, runs: Sequence[Run]) -> int:
        """Return how many finished runs there are that are none of these."""
        asked = {self.run(run).path.name for run in runs}
        return sum(file.parent.name not in asked for file in self.runs.glob("*/result.json"))

    def _found(self, name: str) -> Path | None:
        # As 0.1 named them; one that it has not finished begins anew, in a folder with a name.
        old = self.runs / name
        if (old / "result.json").exists():
            return old
        return next(self.runs.glob(f"*-{name[:HASH_DIGITS]}"), None)

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
            with folder_for(self.path), whole_file(file) as stream:
                stream.write(text + "\n")
        except OSError as error:
            raise UserError(
                f"cannot write {file}: {error.strerror}; choose another --studies folder"
            ) from error


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


Keep = Literal["best", "all", "none"]
"""Whose checkpoints stay when a study's runs are done: the best run's of each row, all runs', none's."""


def prune_checkpoints(folder: StudyFolder, study: Study, runs: Sequence[Run], keep: Keep) -> None:
    """Remove checkpoints of finished runs; a run that is not finished may have to be resumed from its own.

    A row is a combination of the axes that are not selected over; its best run, of all seeds, is the best by the
    study's selection, without one by val/accuracy, at the best validation. It can be called whenever a run has ended.

    Args:
        folder: the study's.
        study: says what is selected over, and by what.
        runs: of the study.
        keep: whose checkpoints stay.
    """
    done = finished(folder, runs)
    kept = {run.hash for run, _ in done} if keep == "all" else set()
    if keep == "best":
        selected = study.select.over if study.select else ()
        rows: dict[tuple[object, ...], list[tuple[Run, RunResult]]] = {}
        for run, result in done:
            row = tuple(label for axis, label in run.labels.items() if axis not in selected)
            rows.setdefault(row, []).append((run, result))
        kept = {max(row, key=lambda each: _worth(study, each[1]))[0].hash for row in rows.values()}
    for run, _ in done:
        if run.hash not in kept:
            folder.run(run).remove_checkpoints()


def _worth(study: Study, result: RunResult) -> float:
    by, mode = (study.select.by, study.select.mode) if study.select else ("val/accuracy", "max")
    value = result.metrics.get(by.partition("@")[0])
    if value is None or not math.isfinite(value):
        return -math.inf
    return value if mode == "max" else -value
