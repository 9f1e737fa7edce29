"""A study's folder: its file, and for each run what was asked, what was measured, or why it failed.

``NAME/study.yaml`` is the study as it is run, complete in itself; ``NAME/commands.txt`` has the commands that were
given. ``NAME/runs/<hash>/`` holds ``settings.yaml`` (as for ``fit --config``), ``run.json``, ``lock``, ``log.txt``,
``epochs.csv``, ``panels.npz`` if the report shows images, and at the end ``result.json``, the mark of a finished run,
or ``failed.json``. Nothing here imports torch.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from dropout_lab.app.config.settings import Settings, merged
from dropout_lab.app.errors import UserError
from dropout_lab.app.files import folder_for, whole_file
from dropout_lab.app.run.folder import RunFiles, RunResult, write_whole
from dropout_lab.app.study.grid import Run
from dropout_lab.app.study.spec import Study


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
