"""A study's runs, read once; all that the report takes from a study's folder is taken here."""

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dropout_lab.app.config.settings import Label, settings_hash
from dropout_lab.app.errors import UserError
from dropout_lab.app.report.formatting import label_words
from dropout_lab.app.report.identical import joined, merge_identical, outcome
from dropout_lab.app.report.run_values import read_history, values_of
from dropout_lab.app.statistics.clusters import Measured, estimate_over_images
from dropout_lab.app.statistics.estimate import Estimate, estimate, paired_difference, paired_ratio
from dropout_lab.app.statistics.selection import WIDER, best_choice, cross_fitted
from dropout_lab.app.study.folder import StudyFolder
from dropout_lab.app.study.grid import Run, expand, run_settings
from dropout_lab.app.study.metrics import scale_of
from dropout_lab.app.study.outcomes import Outcomes, read_outcomes
from dropout_lab.app.study.race import RaceRecord, read_races
from dropout_lab.app.study.read_spec import read_study
from dropout_lab.app.study.run_files import REMEDY, RunResult
from dropout_lab.app.study.spec import Labels, Select, SourceCurve, Study


@dataclass(frozen=True)
class Cell:
    """A cell of a table in one metric; of each part None where there is none."""

    labels: Labels
    here: Estimate | None  # the mean over seeds
    paper: float | None  # the source's number
    difference: Estimate | None = None  # to the baseline in the same column, paired by seed
    paper_difference: float | None = None  # the source's
    time: Estimate | None = None  # of a step, relative to the reference's: to stop early is not to be fast


@dataclass(frozen=True)
class Elsewhere:
    """Where runs are from that no study here has made: their table as it was read, and what is to be said of it."""

    source: str
    rows: pd.DataFrame
    notes: Sequence[str]


@dataclass(frozen=True, eq=False)
class Results:
    """A study and what there is of it; runs are in order of the axes, then seeds, and are named by their hash.

    ``grid`` has each combination whose run is finished, the skipped ones too: those with the same settings, as of a
    method without a p at each p, have the same run. ``values`` are no frame: a NaN in it would be a step never reached,
    or a loss that has diverged.
    """

    study: Study
    select: Select | None  # which run stands for several; None: a cell with several runs of a seed is empty
    finished: dict[str, tuple[Run, RunResult]]
    failed: list[tuple[Run, str]]  # and why
    missing: list[Run]  # have not ended
    left_over: int  # finished runs in the folder that the study does not ask for (any more)
    commands: list[str]  # that have made finished runs, in the order in which they were given
    grid: list[tuple[Labels, int, str]]  # labels, seed and run
    values: dict[str, dict[str, float]]  # by metric and run
    history: pd.DataFrame  # rows of all epochs.csv, indexed by run and row
    panels: dict[str, Path]  # test images, of the runs that have kept any
    outcomes: dict[str, Outcomes]  # which test images were right, of the runs that have kept that
    rows: list[Labels]  # of a table
    columns: list[Labels]  # of a table; a single empty one where no axis is named
    tables: list[Labels]  # what is left of the axes; a single empty one where nothing is left
    races: list[RaceRecord] = field(default_factory=list)  # where a race has decided which runs were made
    # Rows, or columns, whose runs never differ: the first stands in the tables, for all of them.
    identical: list[list[Labels]] = field(default_factory=list)
    elsewhere: Elsewhere | None = None  # of runs that were made by other means

    @classmethod
    def of_study(cls, study: Study, **parts: Any) -> "Results":
        """Return results with the rows, columns and tables that a study's axes make."""
        report = study.report
        shown = {*report.rows, *report.columns, *(study.select.over if study.select else ())}
        empty: dict[str, Any] = {"failed": [], "missing": [], "left_over": 0, "commands": [], "panels": {}}
        return cls(
            study=study,
            select=study.select,
            rows=_combinations(study, report.rows),
            columns=_combinations(study, report.columns),
            tables=_combinations(study, [axis for axis in study.axes if axis not in shown]),
            **{**empty, "outcomes": {}, **parts},
        )

    @property
    def every_row(self) -> list[Labels]:
        """All rows, those for which others stand too."""
        return _combinations(self.study, self.study.report.rows)

    @property
    def without_curves(self) -> list[Run]:
        """Finished runs without an ``epochs.csv``, as those that were taken from a table."""
        there = {*self.history.index.unique("run")}
        return [run for name, (run, _) in self.finished.items() if name not in there]

    @property
    def time_reference(self) -> Labels:
        """Labels of the runs that times are relative to; none where there are no such runs."""
        time, baseline = self.study.report.time, self.study.report.baseline
        return time if isinstance(time, dict) else baseline

    def shown(self, labels: Labels) -> Labels:
        """Return labels as they are shown: those of rows that never differ as one, ``a = b``."""
        for group in self.identical:
            if group[0].items() <= labels.items():
                labels = {**labels, **joined(group)}
        return labels

    def words(self, labels: Labels) -> str:
        """Write labels as they are shown."""
        return label_words(self.shown(labels))

    def merged(self) -> "Results":
        """Return these results with rows, and columns, whose runs never differ as one."""
        curves = {str(run): frame for run, frame in self.history.groupby("run")}
        ends = {run: outcome(result, curves.get(run)) for run, (_, result) in self.finished.items()}
        kept: list[list[Labels]] = []
        identical: list[list[Labels]] = []
        for places, others in ((self.rows, self.columns), (self.columns, self.rows)):
            runs = [
                [self.candidates(table | other | place) for table in self.tables for other in others]
                for place in places
            ]
            groups = merge_identical(runs, ends, [self._rank(place) for place in places])
            first = sorted(group[0] for group in groups)
            kept.append([places[number] for number in first])
            identical += [[places[number] for number in group] for group in groups if len(group) > 1]
        rows, columns = kept
        return replace(self, rows=rows, columns=columns, identical=identical)

    def _rank(self, place: Labels) -> int | None:
        source = [*(row.labels for row in self.study.paper), *(curve.labels for curve in self.study.curves)]
        if any(place.keys() & labels.keys() and _agree(place, labels) for labels in source):
            return None
        return int(_agree(place, self.study.report.baseline))

    def candidates(self, labels: Labels) -> dict[int, list[str]]:
        """Return the finished runs with these labels by seed, each once."""
        found: dict[int, dict[str, None]] = {}
        for each, seed, run in self.grid:
            if labels.items() <= each.items():
                found.setdefault(seed, {})[run] = None
        return {seed: list(found[seed]) for seed in sorted(found)}

    def of(self, labels: Labels) -> dict[int, str]:
        """Return the run with these labels by seed; of several that of the labels which are :meth:`chosen`."""
        if self.select is None:
            return {seed: runs[0] for seed, runs in self.candidates(labels).items() if len(runs) == 1}
        choices = self._choices(labels)
        best = best_choice(self._validation(choices), self.select.mode == "max")
        return {} if best is None else choices[best]

    def judged(self, labels: Labels) -> dict[int, str]:
        """Return the run by seed that is judged: of several that of the labels which the other seeds choose."""
        if self.select is None or not self.chosen(labels):
            return self.of(labels)
        choices = self._choices(labels)
        found = cross_fitted(self._validation(choices), self.select.mode == "max")
        return {seed: choices[choice][seed] for seed, choice in found.items() if seed in choices[choice]}

    def chosen(self, labels: Labels) -> Labels:
        """Return the selected axes' labels that stand for these, one for all seeds; empty where there is no choice."""
        choices = self._choices(labels) if self.select else {}
        if self.select is None or len({frozenset(runs.values()) for runs in choices.values()}) < 2:
            return {}
        best = best_choice(self._validation(choices), self.select.mode == "max")
        return {} if best is None else dict(zip(self.select.over, best, strict=True))

    def _choices(self, labels: Labels) -> dict[tuple[Label, ...], dict[int, str]]:
        """Return the finished runs with these labels, by the labels that are selected over and by seed."""
        assert self.select is not None, "asked only where there is a selection"
        found: dict[tuple[Label, ...], dict[int, str]] = {}
        for each, seed, run in self.grid:
            if labels.items() <= each.items():
                found.setdefault(tuple(each[axis] for axis in self.select.over), {})[seed] = run
        return found

    def _validation(
        self, choices: dict[tuple[Label, ...], dict[int, str]]
    ) -> dict[tuple[Label, ...], dict[int, float]]:
        # One that has collapsed before its first validation has no value, and loses.
        assert self.select is not None, "asked only where there is a selection"
        found = self.metric(self.select.by, "select.by")
        return {
            choice: {seed: found.get(run, math.nan) for seed, run in runs.items()}
            for choice, runs in choices.items()
        }

    def best(self, runs: Sequence[str], by: str, mode: str) -> str:
        """Return the run that is best by a metric of validation, ``max`` or ``min``; of equal ones the first.

        A value that is not finite loses, and so does a run that has collapsed before its first validation.
        """
        found, sign = self.metric(by, "select.by"), 1 if mode == "max" else -1
        finite = {run: sign * found[run] for run in runs if math.isfinite(found.get(run, math.nan))}
        return max(runs, key=lambda run: finite.get(run, -math.inf))

    def metric(self, name: str, option: str = "report.metric") -> dict[str, float]:
        """Return a metric by run; runs without it, as those that never reached a step or an epoch, are left out.

        ``val/accuracy@10`` is a metric after epoch 10, counted from 1; ``val/accuracy@last20`` the mean of the last 20
        rows of ``epochs.csv`` that have it. If no run of the study has it, ``option`` is where it was asked for.
        """
        column, _, place = name.partition("@")
        known = {*self.values, *self.history}
        if not known & {column, name} and not name.startswith("first_steps/"):
            there = ", ".join(sorted(known))
            raise UserError(f"{option}: no result of study {self.study.name} has {name!r}; there are {there}")
        if not place or column not in self.history:
            return self.values.get(name, {})
        rows = self.history[np.isfinite(self.history[column])]
        if place.startswith("last"):
            count = int(place.removeprefix("last"))
            last = rows.groupby("run")[column].tail(count).groupby("run")
            found = last.mean()[last.size() == count]
        else:
            found = rows[rows["epoch"] == int(place) - 1].groupby("run")[column].last()
        # Of runs without curves it is known where their table has it.
        return {**self.values.get(name, {}), **{str(run): float(value) for run, value in found.items()}}

    def with_moments(self) -> list[tuple[Run, RunResult]]:
        """Return the finished runs with the study's metrics at an epoch, or of the last ones, among their own.

        A table of these holds all that the study's tables do, without the curves.
        """
        moments = {name: self.metric(name) for name in self.study.report.metrics if "@" in name}
        return [
            (run, replace(result, metrics={**result.metrics, **{
                name: found[key] for name, found in moments.items() if key in found
            }}))
            for key, (run, result) in self.finished.items()
        ]  # fmt: skip

    def by_seed(self, labels: Labels, metric: str) -> dict[int, float]:
        """Return a metric of the runs with these labels by seed: of the test split it is :meth:`judged`."""
        found = self.metric(metric)
        return {seed: found[run] for seed, run in self._runs(labels, metric).items() if run in found}

    def estimate(self, labels: Labels, metric: str) -> Estimate | None:
        """Return a metric's mean over seeds, and over test images where they are known; None without a run."""
        values = self.by_seed(labels, metric)
        if not values:
            return None
        measured, scale = self._right(labels, metric, values), scale_of(metric)
        found = (
            estimate([*values.values()], scale)
            if measured is None
            else estimate_over_images(values, measured, scale)
        )
        return found.widened(self._wider(labels, metric))

    def difference(self, labels: Labels, other: Labels, metric: str) -> Estimate | None:
        """Return the paired difference to other labels; None where there is none."""
        ours, theirs = self.by_seed(labels, metric), self.by_seed(other, metric)
        seeds = sorted(ours.keys() & theirs.keys())
        whole = scale_of(metric)
        scale = None if whole is None else (whole[0] - whole[1], whole[1] - whole[0])
        right, base = self._right(labels, metric, seeds), self._right(other, metric, seeds)
        found: Estimate | None
        if (
            seeds
            and right is not None
            and base is not None
            # Of other images they are not paired by image.
            and all(np.array_equal(right[seed].images, base[seed].images) for seed in seeds)
        ):
            values = {seed: ours[seed] - theirs[seed] for seed in seeds}
            pairs = {
                seed: Measured(right[seed].images, right[seed].values - base[seed].values) for seed in seeds
            }
            found = estimate_over_images(values, pairs, scale)
        else:
            found = paired_difference(ours, theirs, scale)
        wider = max(self._wider(labels, metric), self._wider(other, metric))
        return found and found.widened(wider)

    def _wider(self, labels: Labels, metric: str) -> float:
        """Return how many times as large the error is where a choice was made."""
        return WIDER if metric.startswith("test/") and self.chosen(labels) else 1.0

    def _runs(self, labels: Labels, metric: str) -> dict[int, str]:
        return self.judged(labels) if metric.startswith("test/") else self.of(labels)

    def _right(self, labels: Labels, metric: str, seeds: Iterable[int]) -> dict[int, Measured] | None:
        """Return by seed which test images are right; None unless the metric is made of that, and every run has it."""
        if metric != "test/accuracy" or not self.outcomes:
            return None
        runs = self._runs(labels, metric)
        if any(runs[seed] not in self.outcomes for seed in seeds):
            return None
        found = {seed: self.outcomes[runs[seed]] for seed in seeds}
        return {seed: Measured(each.images, each.right.astype(float)) for seed, each in found.items()}

    def cells(self, metric: str, table: Labels, column: Labels) -> list[Cell]:
        """Return the cells of a column, from top to bottom."""
        return [self.cell(metric, table | row | column) for row in self.rows]

    def cell(self, metric: str, labels: Labels) -> Cell:
        """Return a cell."""
        here, paper = self.estimate(labels, metric), self.paper(labels, metric)
        if not self.study.report.baseline:
            return Cell(labels, here, paper)
        other, timed = labels | self.study.report.baseline, labels | self.time_reference
        theirs = self.paper(other, metric)
        paper_difference = None if paper is None or theirs is None else paper - theirs
        time = paired_ratio(*(self.by_seed(each, "step_seconds") for each in (labels, timed)))
        return Cell(labels, here, paper, self.difference(labels, other, metric), paper_difference, time)

    def is_baseline(self, labels: Labels) -> bool:
        """Return whether these are the baseline's labels."""
        baseline = self.study.report.baseline
        return bool(baseline) and labels | baseline == labels

    def paper(self, labels: Labels, metric: str) -> float | None:
        """Return the source's number, which belongs to every cell that has all of its labels; None without one."""
        for numbers in self.study.paper:
            named = self._without_selected(numbers.labels)
            if metric in numbers.metrics and named.items() <= labels.items():
                return numbers.metrics[metric]
        return None

    def curves(self, labels: Labels, metric: str) -> list[SourceCurve]:
        """Return the source's curves of a metric, which belong to every cell that has all of their labels."""
        return [
            curve
            for curve in self.study.curves
            if metric in curve.series and self._without_selected(curve.labels).items() <= labels.items()
        ]

    def _without_selected(self, labels: Labels) -> Labels:
        over = self.study.select.over if self.study.select else ()
        return {axis: label for axis, label in labels.items() if axis not in over}

    def is_numeric(self, axis: str) -> bool:
        """Return whether an axis has numbers alone."""
        return not any(isinstance(value, str) for value in self.study.axes[axis])


def read_results(folder: Path) -> Results:
    """Read a study's folder in which something is finished."""
    if not folder.is_dir():
        raise UserError(f"no study folder {folder}; `study` makes one and prints its name")
    if not (folder / "study.yaml").is_file():
        raise UserError(f"no study in {folder}: it has no study.yaml; `study` makes such a folder")
    study, place = read_study(folder / "study.yaml"), StudyFolder(folder)
    files, failed, missing = {}, [], []
    finished: dict[str, tuple[Run, RunResult]] = {}
    values: dict[str, dict[str, float]] = {}
    for run in expand(study):
        file = files[run.hash] = place.run(run)
        if (result := file.result()) is not None:
            finished[run.hash] = run, result
            for name, value in values_of(result).items():
                values.setdefault(name, {})[run.hash] = value
        elif (reason := file.failure()) is not None:
            failed.append((run, reason))
        else:
            missing.append(run)
    if not finished:
        why = f"; the first of {len(failed)} that failed: {failed[0][1]}" if failed else ""
        raise UserError(f"no finished run in {place.runs}{why}; run `study` first")
    known = {each.result_file for each in files.values()}
    made = {files[run].command() for run in finished}
    every = product(_combinations(study, study.axes), study.seeds)
    grid = [(labels, seed, settings_hash(run_settings(study, labels, seed))) for labels, seed in every]
    return Results.of_study(
        study, finished=finished, failed=failed, missing=missing,
        left_over=sum(each not in known for each in place.runs.glob("*/result.json")),
        commands=[command for command in place.commands() if command in made],
        grid=[each for each in grid if each[2] in finished],
        values=values,
        history=pd.concat({run: read_history(files[run].epochs) for run in finished}, names=["run", "row"]),
        panels={run: files[run].panels for run in finished if files[run].panels.is_file()},
        outcomes={
            run: read_outcomes(files[run].outcomes, REMEDY) for run in finished if files[run].outcomes.is_file()
        },
        races=read_races(place),
    ).merged()  # fmt: skip


def _agree(place: Labels, labels: Labels) -> bool:
    """Return whether labels have nothing else on the axes of a place."""
    return all(labels.get(axis, label) == label for axis, label in place.items())


def _combinations(study: Study, axes: Collection[str]) -> list[Labels]:
    return [dict(zip(axes, labels, strict=True)) for labels in product(*(study.axes[axis] for axis in axes))]
