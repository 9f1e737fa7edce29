"""Whose checkpoints stay when a study's runs are done."""

import math
from typing import Literal

from dropout_lab.app.study.folder import StudyFolder
from dropout_lab.app.study.grid import Run
from dropout_lab.app.study.run_files import RunFiles, RunResult
from dropout_lab.app.study.spec import Study

Keep = Literal["best", "all", "none"]
"""The best run's of each row, all runs', none's."""


class CheckpointKeeper:
    """Removes checkpoints of finished runs as they end, so that a large study does not fill the disk.

    A row is a combination of the axes that are not selected over; its best run, of all seeds, is the best by the
    study's selection, without one by val/accuracy, at the best validation. A run that has not ended keeps its own, to
    be resumed from.

    Args:
        folder: the study's.
        study: says what is selected over, and by what.
        keep: whose checkpoints stay.
    """

    def __init__(self, folder: StudyFolder, study: Study, keep: Keep) -> None:
        self.folder = folder
        self.keep = keep
        self._selected = study.select.over if study.select else ()
        self._by, self._mode = (
            (study.select.by, study.select.mode) if study.select else ("val/accuracy", "max")
        )
        self._best: dict[tuple[object, ...], tuple[tuple[float, bool], RunFiles]] = {}

    def add(self, run: Run, result: RunResult) -> None:
        """Take in a run that has ended."""
        files = self.folder.run(run)
        if self.keep == "none":
            files.remove_checkpoints()
        if self.keep != "best":
            return
        row = tuple(label for axis, label in run.labels.items() if axis not in self._selected)
        # Of equal ones that which still has its checkpoint.
        worth = self._worth(result), files.folder.checkpoints.is_dir()
        before = self._best.get(row)
        if before is None or worth > before[0]:
            self._best[row] = worth, files
            if before is not None:
                before[1].remove_checkpoints()
        else:
            files.remove_checkpoints()

    def _worth(self, result: RunResult) -> float:
        value = result.metrics.get(self._by.partition("@")[0])
        if value is None or not math.isfinite(value):
            return -math.inf
        return value if self._mode == "max" else -value
