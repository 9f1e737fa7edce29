"""Runs that are done count for the same images alone: of most data, only their place says which they are.

A run's hash leaves places out, so that a data set may be moved. That holds for data sets of known files; another folder
of one's own images would be taken for the first.
"""

from collections.abc import Sequence
from pathlib import Path

from app.errors import UserError
from app.study.folders import StudyFolder
from app.study.grid import Run
from app.study.settings import Settings, merged

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
