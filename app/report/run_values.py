"""What the files of one run hold, as numbers."""

from pathlib import Path

import pandas as pd

from dropout_lab.app.records import damaged
from dropout_lab.app.study.run_files import REMEDY, RunResult

NUMBERS = ("train_seconds", "seconds", "steps", "epochs", "best_epoch", "best_step")


def values_of(result: RunResult) -> dict[str, float]:
    """Return all of a run's metrics and figures that are there, and the time of a step."""
    first = {f"first_steps/{threshold}": step for threshold, step in result.first_steps.items()}
    found = {**result.metrics, **first, **{name: getattr(result, name) for name in NUMBERS}}
    values = {name: float(value) for name, value in found.items() if value is not None}
    if values.get("steps"):
        values["step_seconds"] = values["train_seconds"] / values["steps"]
    return values


def read_history(file: Path) -> pd.DataFrame:
    """Return the rows of an ``epochs.csv``, none if there is no such file; UserError if it is damaged."""
    if not file.is_file() or not file.stat().st_size:
        return pd.DataFrame({"epoch": []}, dtype=float)
    try:
        history = pd.read_csv(file, dtype=float)
        if "epoch" not in history:
            raise KeyError("no column epoch")
        if not isinstance(history.index, pd.RangeIndex):
            raise ValueError("a row has more values than there are columns")
    except (KeyError, OSError, ValueError) as error:
        raise damaged(file, error, REMEDY) from error
    return history
