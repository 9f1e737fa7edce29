"""A study's folder: its file, its runs, and the table of what they have come to.

``NAME/study.yaml`` is the study as it is run, complete in itself; ``NAME/commands.txt`` has the commands that were
given, a line each, once, in their order; ``NAME/results.csv`` a row for each run. ``NAME/runs/`` has a folder for each
run, which is found by the hash at the end of its name, whatever its labels are called now. Nothing here imports torch.
"""

import csv
import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

import yaml

from dropout_lab.app.config.settings import Settings, merge
from dropout_lab.app.errors import UserError
from dropout_lab.app.files import folder_for
from dropout_lab.app.run.folder import refuse_link
from dropout_lab.app.study.grid import Run
from dropout_lab.app.study.run_files import RunFiles, RunResult
from dropout_lab.app.study.spec import Study
from dropout_lab.ground import whole_file

UNSAFE = re.compile(r"[^A-Za-z0-9_.,=+-]+")
HASH_DIGITS, LABELS_LENGTH = 10, 90
# Whose files are always the same.
KNOWN_FILES = {"DigitsDataModule", "MNISTDataModule", "CIFAR10DataModule"}
FIRST_STEP = "first_steps/{}"
FIGURES = ("best_epoch", "best_step", "steps", "epochs", "train_seconds", "seconds", "chance", "stopped")

Keep = Literal["best", "all", "none"]
"""Whose checkpoints stay: the best run's of each row, all runs', none's."""


def folder_name(run: Run) -> str:
    """Return ``variant=maldrop,rate=0.2,seed=1-HASH``: labels to read, and the hash that tells runs apart."""
    labels = ",".join(f"{name}={value}" for name, value in {**run.labels, "seed": run.seed}.items())
    return f"{UNSAFE.sub('_', labels)[:LABELS_LENGTH]}-{run.hash[:HASH_DIGITS]}"


class StudyFolder:
    """Where a study and its runs are."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.study_file = path / "study.yaml"
        self.commands_file = path / "commands.txt"
        self.results_file = path / "results.csv"
        self.race_file = path / "race.json"  # what a race has decided
        self.runs = path / "runs"
        self.report = path / "report"  # where `report` writes unless --out says otherwise

    def run(self, run: Run) -> RunFiles:
        """Return the files of a run, which may have been made under other labels."""
        path, old = self.runs / folder_name(run), self.runs / run.hash
        if path.is_dir():
            return RunFiles(path)
        # As 0.1 named them; one that it has not finished begins anew, in a folder with a name.
        if (old / "result.json").exists():
            return RunFiles(old)
        return RunFiles(next(self.runs.glob(f"*-{run.hash[:HASH_DIGITS]}"), path))

    def check_links(self) -> None:
        """Raise UserError if the runs, or one of them, are a link, behind which a study would write and delete."""
        for path in (self.runs, *self.runs.glob("*")):
            refuse_link(path)

    def write(self, study: Study) -> None:
        """Write the study; UserError if it cannot be written."""
        self._write(self.study_file, yaml.safe_dump(study.as_file(), sort_keys=False, allow_unicode=True))

    def commands(self) -> list[str]:
        """Return the commands that were given; none where none was noted."""
        file = self.commands_file
        return file.read_text("utf-8", errors="replace").splitlines() if file.is_file() else []

    def note(self, command: str) -> None:
        """Note a command, unless it is there; UserError if it cannot be written."""
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


def check_same_data(folder: StudyFolder, done: Iterable[Run]) -> None:
    """Check that runs which are done, and not to be done again, were made with the data that are asked for."""
    for run in done:
        (name, asked), (_, before) = _place(run.settings), _place(folder.run(run).settings())
        if name not in KNOWN_FILES and asked != before:
            raise UserError(
                f"{folder.path}: its runs were made with data.root {before}, and are asked for with {asked}: if these "
                "are other images, choose another --studies folder; if they were moved, remove the study's folder"
            )


def _place(settings: Settings) -> tuple[str, Path | None]:
    """Return the name of a data module's class, and its root."""
    data = merge(settings.get("data"), {"init_args": {}})
    root = data["init_args"].get("root")
    return str(data.get("class_path")).rpartition(".")[2], None if root is None else Path(root).absolute()


def finished(folder: StudyFolder, runs: Sequence[Run]) -> list[tuple[Run, RunResult]]:
    """Return the runs that have ended, in their order in the study and by its labels, with what they have come to."""
    return [(run, result) for run in runs if (result := folder.run(run).result()) is not None]


def write_results(file: Path, axes: Iterable[str], done: Sequence[tuple[Run, RunResult]]) -> None:
    """Write the table: labels, seed, hash, metrics and figures, in the order of axes and seeds, without dates."""
    metrics = sorted({name for _, result in done for name in result.metrics})
    thresholds = sorted({name for _, result in done for name in result.first_steps}, key=float)
    columns = [*axes, "seed", "hash", *metrics, *map(FIRST_STEP.format, thresholds), *FIGURES]
    with whole_file(file) as stream:
        writer = csv.DictWriter(stream, columns, lineterminator="\n")
        writer.writeheader()
        for run, result in done:
            first_steps = {FIRST_STEP.format(name): step for name, step in result.first_steps.items()}
            figures = {name: getattr(result, name) for name in FIGURES}
            about = {**run.labels, "seed": run.seed, "hash": run.hash}
            writer.writerow({**about, **result.metrics, **first_steps, **figures})


class CheckpointKeeper:
    """Removes checkpoints of finished runs as they end, so that a large study does not fill the disk.

    A row is a combination of the axes that are not selected over; its best run, of all seeds, is the best by the
    study's selection, without one by val/accuracy, at the best validation. A run that has not ended keeps its own, to
    be resumed from.
    """

    def __init__(self, folder: StudyFolder, study: Study, keep: Keep) -> None:
        self.folder = folder
        self.keep = keep
        self._selected = study.select.over if study.select else ()
        self._by = study.select.by.partition("@")[0] if study.select else "val/accuracy"
        self._sign = -1 if study.select and study.select.mode == "min" else 1
        self._best: dict[tuple[object, ...], tuple[tuple[float, bool, str], RunFiles]] = {}

    def add(self, run: Run, result: RunResult) -> None:
        """Take in a run that has ended."""
        files = self.folder.run(run)
        if self.keep == "none":
            files.remove_checkpoints()
        if self.keep != "best":
            return
        row = tuple(label for axis, label in run.labels.items() if axis not in self._selected)
        value = self._sign * result.metrics.get(self._by, math.nan)
        # Of equal ones that which still has its checkpoint. Two commands at one study, which see the runs end in
        # another order, keep the same one.
        worth = value if math.isfinite(value) else -math.inf, files.folder.checkpoints.is_dir(), run.hash
        candidate = worth, files
        best = self._best.setdefault(row, candidate)
        if worth > best[0]:
            self._best[row] = candidate
            best[1].remove_checkpoints()
        elif best is not candidate:
            files.remove_checkpoints()
