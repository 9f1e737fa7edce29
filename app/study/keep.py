"""Whose checkpoints stay when a study's runs are done."""

import math
from collections.abc import Sequence
from typing import Literal

from dropout_lab.app.study.folder import StudyFolder, finished
from dropout_lab.app.study.grid import Run
from dropout_lab.app.study.run_files import RunResult
from dropout_lab.app.study.spec import Study

Keep = Literal["best", "all", "none"]
"""The best run's of each row, all runs', none's."""


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
