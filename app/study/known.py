"""Finished runs taken back from a table, ``results.csv``, so that a study goes on where another machine has left it."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from dropout_lab.app.config.settings import settings_hash
from dropout_lab.app.errors import UserError, describe_os_error, shown, suggest
from dropout_lab.app.files import read_bytes
from dropout_lab.app.run.folder import RunIsLocked
from dropout_lab.app.study.folder import FIGURES, FIRST_STEP, StudyFolder
from dropout_lab.app.study.grid import Run, combinations, run_settings
from dropout_lab.app.study.run_files import RunResult
from dropout_lab.app.study.spec import METRIC, Study

# A row has some hundred bytes.
MOST_BYTES = 100_000_000
WHOLE, SECONDS = ("best_epoch", "best_step", "steps", "epochs"), ("train_seconds", "seconds")
# Without these a run has not ended.
NEEDED = ("steps", "epochs", *SECONDS)
FIRST = FIRST_STEP.format("")


class Known(NamedTuple):
    """A row of a table, and the run of the study that it is of."""

    run: Run
    result: RunResult


class Place(NamedTuple):
    """A cell, as an error names it."""

    file: Path
    line: int
    column: str

    def error(self, text: str) -> UserError:
        """Make the error of what is wrong there."""
        return UserError(f"{self.file}: line {self.line}, column {self.column}: {text}")


class Defaults:
    """The arguments that a table's runs did not name, whose settings now do, as they have their defaults."""

    def __init__(self) -> None:
        # Most rows leave out the same.
        self._left_out: list[list[tuple[str | int, ...]]] = []

    def explain(self, run: Run, wanted: str) -> bool:
        """Return whether a run's settings have a hash without some of their defaults."""
        # The classes, and torch with them, are asked where a hash differs alone.
        from dropout_lab.app.config.defaults import left_out

        paths = left_out(run.settings, wanted, self._left_out)
        if paths is not None and paths not in self._left_out:
            self._left_out.append(paths)
        return paths is not None


def read_known(file: Path, study: Study, runs: Sequence[Run]) -> list[Known]:
    """Return the runs that a table has, as ``study`` and ``report`` write it: a row's labels and seed say which.

    Where a row has a hash, it must be that of the run's settings, or of the same without some arguments that have their
    classes' defaults, as before shipped configs named them; where it has none, the labels must do.

    Raises:
        UserError: the file cannot be read, or a row does not fit the study: the line, the column and the remedy.
            Nothing is taken then.
    """
    lines = _lines(file)
    if not lines:
        raise UserError(f"{file}: holds no table; give the results.csv of study {study.name}")
    header = lines[0][1]
    _check_header(file, header, study)
    named = _runs_by_labels(study, runs)
    found: dict[str, int] = {}
    defaults = Defaults()
    known = []
    for line, words in lines[1:]:
        if len(words) != len(header):
            raise UserError(
                f"{file}: line {line} has {len(words)} values, where there are {len(header)} columns"
            )
        row = dict(zip(header, words, strict=True))
        run = _run_of(file, line, row, study, named, defaults)
        if run.hash in found:
            raise Place(file, line, "seed").error(
                f"{run.title} stands in line {found[run.hash]} already; take one of the two out"
            )
        found[run.hash] = line
        known.append(Known(run, _result(file, line, row)))
    return known


def take(known: Sequence[Known], folder: StudyFolder, file: Path, command: str) -> list[str]:
    """Write runs into the study's folder as finished, and say of how many what has become.

    Those that are finished here already, and those that another process is at, stay as they are.
    """
    counts = {"taken": 0, "finished here before": 0, "left to the process that is at them": 0}
    for run, result in known:
        files = folder.run(run)
        try:
            with files.locked(wait=False):
                if files.result() is not None:
                    counts["finished here before"] += 1
                    continue
                files.begin(run, command)
                files.remove_checkpoints()
                files.epochs.unlink(missing_ok=True)
                files.write_result(result, str(file))
                counts["taken"] += 1
        except RunIsLocked:
            counts["left to the process that is at them"] += 1
    return [f"{count:,} {what}" for what, count in counts.items() if count]


def _lines(file: Path) -> list[tuple[int, list[str]]]:
    try:
        text = read_bytes(file, MOST_BYTES).decode("utf-8-sig")
    except OSError as error:
        raise UserError(f"--known: {describe_os_error(error)}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{file} is no text in UTF-8, as a results.csv is") from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        # Empty lines are none.
        return [(reader.line_num, words) for words in reader if words]
    except csv.Error as error:
        raise UserError(f"{file}: line {reader.line_num}: {error}") from error


def _check_header(file: Path, header: Sequence[str], study: Study) -> None:
    of_rows = [*study.axes, "seed", "hash"]
    needed = [*study.axes, "seed", *NEEDED]
    for place, column in enumerate(header):
        if column in header[:place]:
            raise Place(file, 1, column).error("stands twice")
        if column not in (*of_rows, *FIGURES) and not (column.startswith(FIRST) or METRIC.fullmatch(column)):
            raise Place(file, 1, shown(column)).error(
                f"is no axis of study {study.name}, and no metric; {suggest(column, of_rows, 'give its results.csv')}"
            )
    for column in needed:
        if column not in header:
            raise Place(file, 1, column).error(f"is missing; give the results.csv of study {study.name}")


def _runs_by_labels(study: Study, runs: Sequence[Run]) -> dict[tuple[str, ...], Run]:
    """Return the run of each combination, which several of them may share, by labels and seed as they are written."""
    by_hash = {run.hash: run for run in runs}
    return {
        (*map(str, labels.values()), str(seed)): by_hash[settings_hash(run_settings(study, labels, seed))]
        for labels in combinations(study)
        for seed in study.seeds
    }


def _run_of(
    file: Path,
    line: int,
    row: Mapping[str, str],
    study: Study,
    named: Mapping[tuple[str, ...], Run],
    defaults: Defaults,
) -> Run:
    values = {**study.axes, "seed": study.seeds}
    for column, labels in values.items():
        if row[column] not in map(str, labels):
            raise Place(file, line, column).error(
                f"the study has no {row[column]!r}; it has {', '.join(map(str, labels))}"
            )
    run = named.get(tuple(row[column] for column in values))
    if run is None:
        raise Place(file, line, next(iter(study.axes))).error(
            "the study's rules of skip leave this combination out"
        )
    if row.get("hash") and row["hash"] != run.hash and not defaults.explain(run, row["hash"]):
        raise Place(file, line, "hash").error(
            f"{run.title} was run with other settings ({row['hash']}, and {run.hash} is asked for): give the form and "
            "the --set of then, or take the row out to run it anew"
        )
    return run


def _result(file: Path, line: int, row: Mapping[str, str]) -> RunResult:
    places = {name: Place(file, line, name) for name in row}
    for name in NEEDED:
        if not row[name]:
            raise places[name].error("is empty: the run has not ended; take the row out")
    metrics = {
        name: value
        for name in row
        if METRIC.fullmatch(name) and not name.startswith(FIRST) and name not in FIGURES
        if (value := _number(places[name], row[name])) is not None
    }
    if not metrics:
        raise UserError(f"{file}: line {line} holds no metric; take the row out")
    return RunResult(
        metrics=metrics,
        first_steps={
            name.removeprefix(FIRST): _whole(places[name], row[name])
            for name in row
            if name.startswith(FIRST)
        },
        **{name: _whole(Place(file, line, name), row.get(name, "")) for name in WHOLE},
        **{name: _seconds(places[name], row[name]) for name in SECONDS},
        chance=_number(Place(file, line, "chance"), row.get("chance", "")),
        stopped=row.get("stopped") or None,
        versions={},
    )


def _number(place: Place, text: str) -> float | None:
    """Return the number that stands in a cell, which may be NaN; None for an empty one."""
    try:
        return float(text) if text else None
    except ValueError:
        raise place.error(f"must be a number or empty, got {shown(text)}") from None


def _whole(place: Place, text: str) -> Any:
    """Return a count, or None for an empty cell."""
    if text and not (text.isascii() and text.isdecimal()):
        raise place.error(f"must be a whole number of 0 or more, or empty, got {shown(text)}")
    return int(text) if text else None


def _seconds(place: Place, text: str) -> Any:
    value = _number(place, text)
    if value is None or not 0 <= value < math.inf:
        raise place.error(f"must be 0 seconds or more, got {shown(text)}")
    return value
