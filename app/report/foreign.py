"""A judge for anybody's runs: a table of runs becomes a study's results, of which the same report is made."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pydantic import ValidationError

from dropout_lab.app.config.settings import Label
from dropout_lab.app.errors import UserError, shown
from dropout_lab.app.report.foreign_files import RunTable, Take, read_runs
from dropout_lab.app.report.formatting import label_words
from dropout_lab.app.report.results import Elsewhere, Results
from dropout_lab.app.study.grid import Run
from dropout_lab.app.study.read_spec import one_line
from dropout_lab.app.study.run_files import RunResult
from dropout_lab.app.study.spec import Labels, SpecError, Study

# By their names: what lies between 0 and 1, and of what less is better.
SHARE = re.compile(
    r"acc|auc|auroc|f1|precision|recall|sensitivity|specificity|top.?\d|iou|dice|map\b|err", re.I
)
LESS = re.compile(r"loss|err|nll|perplex|ppl|mse|rmse|mae|ece|brier|fid|seconds|time", re.I)
BASELINES = ("none", "baseline", "no_dropout", "nodropout", "no dropout")
PERCENT = 100.0


@dataclass(frozen=True)
class Question:
    """What ``report --from`` is asked; names are those of columns or tags."""

    source: Path
    metric: str
    group: tuple[str, ...]
    seed: str = "seed"
    baseline: str | None = None
    columns: tuple[str, ...] = ()
    select: tuple[str, ...] = ()
    by: str | None = None
    mode: str | None = None
    matters: float | None = None  # in the unit that is shown: points of a share
    chance: float | None = None
    time: str | None = None
    pattern: str | None = None
    take: Take = "last"


@dataclass(frozen=True)
class _Metric:
    """A column with numbers, as the report names and scales it."""

    name: str
    column: str
    unit: float  # of which a shown value is made: 100 where the table has percentages
    values: "pd.Series[float]"

    @property
    def is_share(self) -> bool:
        return "_share." in self.name


def read_foreign(asked: Question) -> Results:
    """Return the results that runs of any tool are.

    Raises:
        UserError: the file cannot be read, lacks a column, has two runs of one group and seed, or a value that is none:
            what, where, and the remedy.
    """
    if asked.select and asked.by is None:
        raise UserError(
            "--select needs --by, the column of a validation metric: a choice on the test split flatters"
        )
    highest = _more_is_better(asked.metric, asked.mode)
    wanted = [(asked.metric, highest)]
    wanted += [(asked.by, _more_is_better(asked.by, None))] if asked.by else []
    table = read_runs(asked.source, wanted, asked.pattern, asked.take)
    axes = {
        _axis(name): table.column(name, "--group") for name in (*asked.group, *asked.columns, *asked.select)
    }
    seed = table.column(asked.seed, "--seed")
    if len(axes) < len((*asked.group, *asked.columns, *asked.select)):
        raise UserError("--group, --columns and --select must name different columns")
    metric = _metric(table, asked.metric, "--metric", highest, "test")
    by = _metric(table, asked.by, "--by", wanted[-1][1], "val") if asked.by else metric
    used = [metric] if by is metric else [metric, by]
    rows = _with_values(table, [metric])
    labels = {axis: _labels(rows[column]) for axis, column in axes.items()}
    seeds = _seeds(table, rows, seed)
    baseline = _baseline(asked, [_axis(name) for name in asked.group], labels, table)
    study = _study(asked, table, metric, by, labels, sorted(seeds.unique()), baseline)
    runs = {str(line): _run(rows.loc[line], line, axes, labels, int(seeds[line])) for line in rows.index}
    grid = _grid(study, runs, table)
    values = {
        each.name: {str(line): float(each.values[line] / each.unit) for line in rows.index} for each in used
    }
    # Asked of every study; of these only where it was given.
    values["step_seconds"] = {}
    if asked.time:
        column = table.column(asked.time, "--time")
        values["step_seconds"] = {
            str(line): float(value) for line, value in _numbers(table, rows, column).items()
        }
    for each in used:
        lost = [run for run in runs if not math.isfinite(values[each.name][run])]
        if lost:
            table.notes.append(
                f"{len(lost)} of {len(runs)} runs have no finite {each.column}, and lose: "
                f"{label_words(runs[lost[0]].labels)}, seed {runs[lost[0]].seed} first. A mean that "
                "is not finite has no interval and no verdict."
            )
    table.notes.extend(_ragged(study, grid))
    results = _results(study, runs, grid, values, table, used)
    return results.merged()


def _more_is_better(name: str, mode: str | None) -> bool:
    return mode == "max" if mode else not LESS.search(name)


def _axis(name: str) -> str:
    """Return a column's name as a word."""
    found = re.sub(r"\W+", "_", name).strip("_")
    if found == "seed" or not found:
        raise UserError(f"--group, --columns and --select must name other columns than seeds, got {name!r}")
    return found


def _metric(table: RunTable, name: str, option: str, highest: bool, split: str) -> _Metric:
    """Return a column of numbers: a share where its name says so and its values allow it, and in what unit it is."""
    column = table.column(name, option)
    values = _numbers(table, table.rows, column)
    finite = values[np.isfinite(values)]
    least, most = (finite.min(), finite.max()) if len(finite) else (0.0, 0.0)
    is_share, unit = bool(SHARE.search(name)) and least >= 0 and most <= PERCENT, 1.0
    if is_share and most > 1:
        unit = PERCENT
        table.notes.append(
            f"{column} is read as a percentage: by its name it is a share, and some values exceed 1."
        )
    elif is_share:
        table.notes.append(
            f"{column} is read as a share, and shown in percent: all its values lie between 0 and 1."
        )
    kind = f"{'more' if highest else 'less'}_{'share' if is_share else 'number'}"
    table.notes.append(f"Of {column} {'more' if highest else 'less'} is better.")
    word = re.sub(r"[^\w.#/]+", "_", name).strip("/")
    return _Metric(f"{split}/{kind}.{word}", column, unit, values)


def _numbers(table: RunTable, rows: pd.DataFrame, column: str) -> "pd.Series[float]":
    """Return a column's numbers, NaN where it has that or nothing; UserError where it has a text."""
    found = pd.to_numeric(rows[column].replace("", "nan"), errors="coerce").astype(float)
    wrong = found.isna() & ~rows[column].str.strip().str.lower().isin(["", "nan"])
    for line in rows.index[wrong][:1]:
        text = shown(rows[column][line])
        raise UserError(
            f"{table.file}: line {line + 2}, column {column}: must be a number, NaN or empty, got {text}"
        )
    return found


def _with_values(table: RunTable, metrics: Sequence[_Metric]) -> pd.DataFrame:
    """Leave out the runs that have nothing where a metric should be."""
    empty = np.zeros(len(table.rows), dtype=bool)
    for metric in metrics:
        empty |= (table.rows[metric.column].str.strip() == "").to_numpy()
    if empty.all():
        raise UserError(f"--metric: no run in {table.file} has a value of {metrics[0].column}")
    if empty.any():
        first = int(table.rows.index[empty][0]) + 2
        table.notes.append(
            f"{empty.sum()} of {len(empty)} runs are left out, which have no {metrics[0].column}: line {first} first."
        )
    return table.rows[~empty]


def _labels(column: "pd.Series[str]") -> dict[str, Label]:
    """Return the labels of a column by its texts, numbers where all are; what is empty is of every label."""
    texts = [text for text in dict.fromkeys(column) if text.strip()]
    numbers = pd.to_numeric(pd.Series(texts, dtype=str), errors="coerce")
    if not len(texts) or not np.isfinite(numbers).all():
        return {text: text for text in texts}
    found: dict[str, Label] = {}
    for text, number in zip(texts, numbers.tolist(), strict=True):
        found[text] = int(number) if float(number).is_integer() else float(number)
    return dict(sorted(found.items(), key=lambda pair: float(pair[1])))


def _seeds(table: RunTable, rows: pd.DataFrame, column: str) -> "pd.Series[int]":
    numbers = pd.to_numeric(rows[column], errors="coerce")
    wrong = ~(np.isfinite(numbers) & (numbers >= 0) & (numbers % 1 == 0))
    for line in rows.index[wrong][:1]:
        text = shown(rows[column][line])
        raise UserError(
            f"{table.file}: line {line + 2}, column {column}: a seed must be a whole number of 0 or more, got {text}"
        )
    return numbers.astype(int)


def _baseline(
    asked: Question, group: Sequence[str], labels: dict[str, dict[str, Label]], table: RunTable
) -> Labels:
    """Return the labels that all else is compared with; none where none was named and none is called so."""
    if asked.baseline is None:
        first = labels[group[0]].values()
        known = next((each for each in first if str(each).lower() in BASELINES), None)
        if known is None:
            table.notes.append("There is no verdict without a baseline: name one, as --baseline none.")
            return {}
        return {group[0]: known}
    found: Labels = {}
    for word in asked.baseline.split(","):
        axis, equals, text = word.partition("=")
        axis, text = (_axis(axis), text) if equals else (group[0], word)
        if axis not in group:
            raise UserError(f"--baseline: {axis} is no column of --group, {', '.join(group)}")
        known = next((label for each, label in labels[axis].items() if text in (each, str(label))), None)
        if known is None:
            there = ", ".join(map(str, labels[axis].values()))
            raise UserError(f"--baseline: {table.file} has no {text!r} in {axis}; there are {there}")
        found[axis] = known
    return found


def _study(
    asked: Question, table: RunTable, metric: _Metric, by: _Metric, labels: dict[str, dict[str, Label]],
    seeds: Sequence[int], baseline: Labels,
) -> Study:  # fmt: skip
    shown_unit = PERCENT if metric.is_share else 1.0
    if asked.matters is None and not metric.is_share:
        raise UserError(
            f"--matters is needed: the smallest difference of {metric.column} that matters, in its unit"
        )
    report: dict[str, Any] = {
        "rows": [_axis(name) for name in asked.group],
        "columns": [_axis(name) for name in asked.columns],
        "metric": [metric.name],
        "by": by.name,
        "baseline": baseline,
        "figures": ["bars"],
        "time": bool(asked.time and baseline),
    }
    if asked.matters is not None:
        report["matters"] = asked.matters / shown_unit
    if asked.chance is not None:
        report["chance"] = asked.chance / shown_unit
    content: dict[str, Any] = {
        "name": re.sub(r"[^\w.-]+", "-", table.file.resolve().stem).lstrip(".-") or "runs",
        "title": f"{metric.column} of the runs in {table.file.name or table.file}",
        "base": {},
        "grid": {axis: list(of_axis.values()) for axis, of_axis in labels.items()},
        "seeds": [int(seed) for seed in seeds],
        "report": report,
    }
    if asked.select:
        over = [_axis(name) for name in asked.select]
        more = _more_is_better(asked.by or "", None)
        content["select"] = {"over": over, "by": by.name, "mode": "max" if more else "min"}
        if len(over) == 1 and not any(isinstance(label, str) for label in labels[over[0]].values()):
            report["figures"].append("sweep")
    try:
        return Study.model_validate(content, context={"beside": Path()})
    except (SpecError, ValidationError) as error:
        raise UserError(f"{table.file}: {one_line(error)}") from error


def _run(
    row: "pd.Series[str]", line: int, axes: dict[str, str], labels: dict[str, dict[str, Label]], seed: int
) -> Run:
    """Return a row as a run; of an axis where it has nothing, it has no label."""
    found = {axis: labels[axis][row[column]] for axis, column in axes.items() if row[column].strip()}
    return Run(found, seed, {}, str(line))


def _grid(study: Study, runs: dict[str, Run], table: RunTable) -> list[tuple[Labels, int, str]]:
    """Return each combination that has a run, by axes and seed: one without a label is of every value of that axis."""
    found: dict[tuple[tuple[Label, ...], int], str] = {}
    for name, run in runs.items():
        every = ([run.labels[axis]] if axis in run.labels else [*study.axes[axis]] for axis in study.axes)
        for labels in product(*every):
            before = found.setdefault((labels, run.seed), name)
            if before != name:
                raise UserError(_twice(table, study, int(before), int(name), run))
    return [
        (dict(zip(study.axes, labels, strict=True)), seed, found[labels, seed])
        for labels in product(*study.axes.values())
        for seed in study.seeds
        if (labels, seed) in found
    ]


def _twice(table: RunTable, study: Study, one: int, other: int, run: Run) -> str:
    """Say which two runs are of one group and seed, and what may set them apart."""
    rows = table.rows
    apart = [
        str(column)
        for column in rows
        if rows[column][one] != rows[column][other] and 1 < rows[column].nunique() <= max(2, len(rows) // 2)
    ]
    hint = (
        f"name what sets them apart with --group, as {' or '.join(apart[:3])}"
        if apart
        else "take one of them out"
    )
    words = f"{label_words(run.labels)}, seed {run.seed}"
    return f"{table.file}: lines {one + 2} and {other + 2} are both {words}; {hint}"


def _ragged(study: Study, grid: Sequence[tuple[Labels, int, str]]) -> list[str]:
    """Say which rows lack seeds that others have."""
    report, found = study.report, []
    shown_axes = (*report.rows, *report.columns)
    seeds: dict[tuple[Label, ...], set[int]] = {}
    for labels, seed, _ in grid:
        seeds.setdefault(tuple(labels[axis] for axis in shown_axes), set()).add(seed)
    every = set(study.seeds)
    for of_row, there in seeds.items():
        if there != every:
            words = label_words(dict(zip(shown_axes, of_row, strict=True)))
            lacks = ", ".join(map(str, sorted(every - there)))
            found.append(
                f"{words} has no seed {lacks}: its differences are of the seeds that it shares with the baseline."
            )
    return found


def _results(
    study: Study, runs: dict[str, Run], grid: list[tuple[Labels, int, str]], values: dict[str, dict[str, float]],
    table: RunTable, used: Sequence[_Metric],
) -> Results:  # fmt: skip
    finished = {
        name: (run, _result({each.column: float(each.values[int(name)]) for each in used}))
        for name, run in runs.items()
    }
    curves = {}
    for name in runs:
        there = None if table.curves is None else table.curves[table.curves["run"] == int(name)]
        curve = pd.DataFrame({"epoch": []}, dtype=float)
        if there is not None and len(there) > 1:
            columns = {each.name: there[each.column].to_numpy(float) / each.unit for each in used}
            curve = pd.DataFrame({"epoch": 0.0, "step": there["step"].to_numpy(float), **columns})
        curves[name] = curve
    return Results.of_study(
        study, finished=finished, grid=grid, values=values,
        history=pd.concat(curves, names=["run", "row"]),
        elsewhere=Elsewhere(str(table.file), table.rows.loc[[int(name) for name in runs]], table.notes),
    )  # fmt: skip


def _result(metrics: dict[str, float]) -> RunResult:
    return RunResult(
        metrics, best_epoch=None, best_step=None, first_steps={}, steps=0, epochs=0, train_seconds=0.0, seconds=0.0,
        stopped=None, versions={},
    )  # fmt: skip
