"""Runs of other tools as a table: a CSV file of one's own, of Weights & Biases or of MLflow, or TensorBoard's folders.

Nothing here knows what is compared: a row is a run, all values are texts, and what was left out is told.
"""

import ast
import io
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from dropout_lab.app.errors import UserError, describe_os_error, shown, suggest
from dropout_lab.app.files import read_bytes

MOST_BYTES = 500_000_000
EVENTS = "events.out.tfevents"
# Where tools put what a run was asked for and what it came to.
BEFORE = (
    "config.",
    "config/",
    "params.",
    "parameters.",
    "hparams.",
    "hparams/",
    "metrics.",
    "summary.",
    "tags.",
)
AFTER = (".value",)
NAMES = ("Name", "name", "run_name", "Run Name", "tags.mlflow.runName", "run", "Run", "Run ID", "run_id")
STATES = ("State", "state", "Status", "status")
FINISHED = {"finished", "complete", "completed", "done", ""}
# W&B's charts: a column for each run, and its least and most over what was thinned out.
OF_RUN, THINNED = " - ", ("__MIN", "__MAX")

Take = Literal["last", "best"]
"""Which value of a curve stands for its run."""


@dataclass
class RunTable:
    """Runs as a table of texts; ``curves`` has columns ``run`` (a row of it), ``step`` and metrics, of what has any."""

    file: Path
    rows: pd.DataFrame
    curves: pd.DataFrame | None = None
    notes: list[str] = field(default_factory=list)

    def column(self, name: str, option: str) -> str:
        """Return the column of that name, which a tool may have put a word before; UserError if there is none."""
        named = [name, *(f"{before}{name}" for before in BEFORE)]
        there = [
            each for word in named for each in (word, *(word + end for end in AFTER)) if each in self.rows
        ]
        if not there:
            known = [str(each) for each in self.rows]
            hint = suggest(name, known, f"there are {', '.join(known[:20])}")
            raise UserError(f"{option}: {self.file} has no column {name!r}; {hint}")
        if len(there) > 1 and there[0] != name:
            raise UserError(f"{option}: {self.file} has {' and '.join(there)}; give one of them in full")
        return there[0]


def read_runs(
    source: Path, metrics: Sequence[tuple[str, bool | None]], pattern: str | None, take: Take
) -> RunTable:
    """Return the runs of a CSV file or of a folder with TensorBoard's runs.

    Args:
        source: the file or folder.
        metrics: names of columns or tags, the one that is judged first, and whether more is better; the last of them
            decides which moment of a curve is the best.
        pattern: how a run's folder or name is read, such as ``{variant}/seed{seed}``; ``*`` is anything.
        take: of a curve, its last value or its best.
    """
    if source.is_dir():
        found = _read_tensorboard(source, metrics, take)
        if pattern is None:
            first = found.rows["folder"].iloc[0]
            raise UserError(
                f"--pattern is needed to read group and seed from folders such as {first!r}: give it as "
                "'{variant}/seed{seed}', where * is anything"
            )
        return _named(found, "folder", pattern)
    rows = _read_csv(source)
    wide = [name for name, _ in metrics if any(str(each).endswith(OF_RUN + name) for each in rows)]
    found = RunTable(source, rows)
    if wide and wide[0] not in rows:
        found = _of_chart(source, rows, metrics, take)
    elif {"config", "summary"} <= set(rows):
        found = RunTable(source, _spread(source, rows))
    if pattern is None:
        return _finished(found)
    name = next((each for each in NAMES if each in found.rows), None)
    if name is None:
        raise UserError(
            f"--pattern: {source} has no column with names of runs, {', '.join(NAMES)}; leave it out"
        )
    return _finished(_named(found, name, pattern))


def _read_csv(file: Path) -> pd.DataFrame:
    try:
        text = read_bytes(file, MOST_BYTES).decode("utf-8-sig")
        rows = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False, index_col=False)
    except OSError as error:
        raise UserError(f"--from: {describe_os_error(error)}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"--from: {file} is no text in UTF-8; save it as a CSV in UTF-8") from error
    except (pd.errors.ParserError, pd.errors.EmptyDataError, pd.errors.ParserWarning) as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"--from: {file} is no CSV table ({reason}); export it again with a header line"
        ) from error
    if not len(rows):
        raise UserError(f"--from: {file} has a header and no run below it")
    return rows.fillna("")


def _spread(file: Path, rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of W&B's public API, whose cells are dictionaries as Python writes them, with a column a key."""
    found = []
    for line, row in zip(range(2, len(rows) + 2), rows.to_dict("records"), strict=True):
        flat = {key: value for key, value in row.items() if key not in ("config", "summary")}
        for name in ("config", "summary"):
            # Python reads numbers that are none only as texts.
            text = re.sub(r"(?<=: )(-?(?:nan|inf))(?=[,}])", r"'\1'", str(row[name]))
            try:
                content = ast.literal_eval(text)
            except (SyntaxError, ValueError) as error:
                raise UserError(
                    f"{file}: line {line}, column {name}: must be a dictionary as Python writes it, got {shown(text)}"
                ) from error
            if isinstance(content, dict):
                flat |= {f"{name}.{key}": "" if each is None else str(each) for key, each in content.items()}
        found.append(flat)
    return pd.DataFrame(found).fillna("")


def _finished(found: RunTable) -> RunTable:
    """Leave out runs that a tool says have not ended well."""
    state = next((each for each in STATES if each in found.rows), None)
    if state is None:
        return found
    kept = found.rows[state].str.lower().isin(FINISHED)
    if kept.all():
        return found
    others = ", ".join(sorted({*found.rows[state][~kept]}))
    found.notes.append(
        f"{int((~kept).sum())} of {len(kept)} runs are left out, since their {state} is {others}."
    )
    return RunTable(found.file, found.rows[kept], found.curves, found.notes)


def _of_chart(
    file: Path, rows: pd.DataFrame, metrics: Sequence[tuple[str, bool | None]], take: Take
) -> RunTable:
    """Return the runs of a chart that W&B has exported: a row a step, a column for each run and metric."""
    step = str(rows.columns[0])
    names: dict[str, None] = {}
    for column in map(str, rows.columns):
        for name, _ in metrics:
            if column.endswith(OF_RUN + name) and not column.endswith(THINNED):
                names[column.removesuffix(OF_RUN + name)] = None
    curves = []
    for place, run in enumerate(names):
        of_run = pd.DataFrame({"run": place, "step": _numbers(file, rows, step)})
        for name, _ in metrics:
            column = f"{run}{OF_RUN}{name}"
            of_run[name] = _numbers(file, rows, column) if column in rows else math.nan
        curves.append(of_run[of_run[[name for name, _ in metrics]].notna().any(axis=1)])
    return _of_curves(file, "Name", list(names), pd.concat(curves, ignore_index=True), metrics, take)


def _numbers(file: Path, rows: pd.DataFrame, column: str) -> pd.Series:
    found = pd.to_numeric(rows[column].replace("", None), errors="coerce")
    wrong = found.isna() & ~rows[column].str.strip().str.lower().isin(["", "nan"])
    if wrong.any():
        place = int(wrong.to_numpy().argmax())
        raise UserError(
            f"{file}: line {place + 2}, column {column}: must be a number or empty, got "
            f"{shown(rows[column].iloc[place])}"
        )
    return found


def _read_tensorboard(folder: Path, metrics: Sequence[tuple[str, bool | None]], take: Take) -> RunTable:
    """Return TensorBoard's runs, a folder each, of those that have the tags."""
    folders = sorted({file.parent for file in folder.rglob(f"*{EVENTS}*")})
    if not folders:
        raise UserError(f"--from: no TensorBoard run in {folder}: no file {EVENTS}… in it or its folders")
    names: list[str] = []
    curves: list[pd.DataFrame] = []
    known: set[str] = set()
    without: list[str] = []
    for each in folders:
        scalars = dict(_scalars(each))
        known |= scalars.keys()
        name = str(each.relative_to(folder))
        if metrics[0][0] not in scalars:
            without.append(name)
            continue
        series = [pd.Series(scalars.get(tag, {}), name=tag, dtype=float) for tag, _ in metrics]
        of_run = pd.concat(series, axis=1).rename_axis("step").reset_index()
        curves.append(of_run.assign(run=len(names)))
        names.append(name)
    if not names:
        tag = metrics[0][0]
        there = f"there are {', '.join(sorted(known)[:20])}"
        raise UserError(f"--metric: no run in {folder} has the tag {tag!r}; {suggest(tag, known, there)}")
    found = _of_curves(folder, "folder", names, pd.concat(curves, ignore_index=True), metrics, take)
    if without:
        found.notes.append(
            f"{len(without)} folders are left out, which have no {metrics[0][0]}: {without[0]} first."
        )
    return found


def _scalars(folder: Path) -> Iterator[tuple[str, dict[int, float]]]:
    """Yield the tags of a run, each with its values by step; of a step that was logged twice, the later."""
    # It takes a second to import.
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util import tensor_util

    events = EventAccumulator(str(folder), size_guidance={"scalars": 0, "tensors": 0}).Reload()
    tags = events.Tags()
    for tag in tags["scalars"]:
        yield tag, {event.step: event.value for event in events.Scalars(tag)}
    for tag in tags["tensors"]:
        # As TensorFlow 2 writes scalars.
        arrays = {event.step: tensor_util.make_ndarray(event.tensor_proto) for event in events.Tensors(tag)}
        if all(array.size == 1 and array.dtype.kind == "f" for array in arrays.values()):
            yield tag, {step: float(array.item()) for step, array in arrays.items()}


def _of_curves(
    file: Path, name: str, names: Sequence[str], curves: pd.DataFrame, metrics: Sequence[tuple[str, bool | None]],
    take: Take,
) -> RunTable:  # fmt: skip
    """Return runs by what their curves come to."""
    decides, highest = metrics[-1]
    rows = []
    for place, run in enumerate(names):
        curve = curves[curves["run"] == place]
        row: dict[str, Any] = {name: run}
        moment = None
        if take == "best" and curve[decides].notna().any():
            sign = -1.0 if highest is False else 1.0
            moment = float(curve["step"].iloc[int(np.nanargmax(sign * curve[decides].to_numpy(float)))])
        for metric, _ in metrics:
            reached = curve if moment is None else curve[curve["step"] <= moment]
            values = reached[metric].dropna()
            # Without a value there, as of a metric that is logged at the end alone, it is the next.
            values = values if len(values) else curve[metric].dropna()
            row[metric] = repr(float(values.iloc[-1])) if len(values) else ""
        rows.append(row)
    which = "last value" if take == "last" else f"value at the best {decides}"
    return RunTable(file, pd.DataFrame(rows), curves, [f"Of each curve its {which} counts."])


def _named(found: RunTable, column: str, pattern: str) -> RunTable:
    """Read columns from names, by a pattern in which ``{word}`` is a column, ``{seed}`` a number, ``*`` anything."""
    parts = re.split(r"(\{[A-Za-z_]\w*\}|\*)", pattern)
    words = [part[1:-1] for part in parts if part.startswith("{")]
    if not words or len({*words}) < len(words):
        raise UserError(
            f"--pattern must name columns, each once, as '{{variant}}/seed{{seed}}', got {pattern!r}"
        )
    meanings = {
        "*": ".*?",
        "{seed}": r"(?P<seed>\d+)",
        **{f"{{{word}}}": f"(?P<{word}>.+?)" for word in words if word != "seed"},
    }
    read = [meanings.get(part, re.escape(part)) for part in parts]
    matches = [re.fullmatch("".join(read), str(name)) for name in found.rows[column]]
    kept = [place for place, match in enumerate(matches) if match]
    if not kept:
        name = found.rows[column].iloc[0]
        raise UserError(
            f"--pattern: {pattern!r} fits no name in {found.file}, of which the first is {name!r}"
        )
    if len(kept) < len(matches):
        first = next(name for name, match in zip(found.rows[column], matches, strict=True) if not match)
        found.notes.append(
            f"{len(matches) - len(kept)} runs are left out, whose names do not fit {pattern}: {first} first."
        )
    said = pd.DataFrame([match.groupdict() for match in matches if match], index=found.rows.index[kept])
    rows = found.rows.iloc[kept].drop(columns=[word for word in words if word in found.rows])
    return RunTable(found.file, pd.concat([rows, said], axis=1), found.curves, found.notes)
