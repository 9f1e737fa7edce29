"""``results.csv``: a row for each run that has ended."""

import csv
from collections.abc import Sequence
from pathlib import Path

from app.study.folders import StudyFolder
from app.study.grid import Run
from app.study.run_files import RunResult
from app.whole_file import whole_file

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
