"""The runs of a study, as they lie on disk."""

import csv
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from pathlib import Path
from statistics import fmean

from dropout_lab.app.config.settings import Label, settings_hash
from dropout_lab.app.errors import UserError
from dropout_lab.app.report.statistics import Estimate, estimate, paired_difference, paired_ratio
from dropout_lab.app.study.folder import StudyFolder
from dropout_lab.app.study.grid import Run as Asked
from dropout_lab.app.study.grid import expand, run_settings
from dropout_lab.app.study.read_spec import read_study
from dropout_lab.app.study.run_files import RunFiles, RunResult, damaged
from dropout_lab.app.study.spec import Labels, Select, Study

FIGURES = ("train_seconds", "seconds", "steps", "epochs", "best_epoch", "best_step")


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
        labels: by axis.
        seed: its seed.
        hash: names its folder.
        values: metrics by name (``test/accuracy``), and ``train_seconds``, ``step_seconds``, ``steps``, ``epochs``,
            ``best_epoch``, ``best_step``, ``first_steps/0.6``; what was never reached is left out.
        metrics: names of the metrics among them, in order.
        stopped: why it was stopped early; None if it was not.
        versions: of the libraries, by name.
        command: that made it; empty where it was not noted.
        history: columns of its ``epochs.csv``, NaN where a row has none.
    """

    labels: Labels
    seed: int
    hash: str
    values: dict[str, float]
    metrics: tuple[str, ...]
    stopped: str | None
    versions: dict[str, str]
    command: str
    history: dict[str, list[float]]

    def value(self, name: str) -> float | None:
        """Return a value by name; None if the run has none.

        ``val/accuracy@10`` is a metric after epoch 10, counted from 1; ``val/accuracy@last20`` the mean of the last 20
        rows of ``epochs.csv`` that have it.
        """
        metric, at, place = name.partition("@")
        if not at:
            return self.values.get(name)
        rows = [row for row, value in enumerate(self.history.get(metric, ())) if math.isfinite(value)]
        if place.startswith("last"):
            count = int(place.removeprefix("last"))
            return (
                fmean(self.history[metric][row] for row in rows[-count:]) if 0 < count <= len(rows) else None
            )
        there = [row for row in rows if self.history["epoch"][row] == int(place) - 1]
        return self.history[metric][there[-1]] if there else None


@dataclass(frozen=True)
class Unfinished:
    """A run without a result: its labels, its seed, its folder's name, and why it failed if it did."""

    labels: Labels
    seed: int
    hash: str
    reason: str | None = None


@dataclass(frozen=True)
class Results:
    """A study and what there is of it.

    Attributes:
        folder: the study's.
        study: what was asked for.
        runs: what is finished, in order of the axes, then seeds.
        failed: what has failed, likewise.
        missing: what has not been run, or not to its end.
        left_over: finished runs in the folder that the study does not ask for (any more).
        commands: that have made finished runs, in the order in which they were given.
        hashes: of every combination of labels and every seed, skipped ones too: combinations with the same settings
            share a run.
    """

    folder: Path
    study: Study
    runs: tuple[Run, ...]
    failed: tuple[Unfinished, ...]
    missing: tuple[Unfinished, ...]
    left_over: int
    commands: tuple[str, ...]
    hashes: dict[tuple[tuple[Label, ...], int], str]

    @property
    def planned(self) -> int:
        """Runs that the study asks for."""
        return len(self.runs) + len(self.failed) + len(self.missing)


def read_results(folder: Path) -> Results:
    """Read a study's folder.

    Raises:
        UserError: there is no such study, nothing in it is finished, or a file is damaged.
    """
    if not folder.is_dir():
        raise UserError(f"no study folder {folder}; `study` makes one and prints its name")
    if not (folder / "study.yaml").is_file():
        raise UserError(f"no study in {folder}: it has no study.yaml; `study` makes such a folder")
    study = read_study(folder / "study.yaml")
    runs, failed, missing = [], [], []
    planned = expand(study)
    for asked in planned:
        files = StudyFolder(folder).run(asked)
        if (result := files.result()) is not None:
            runs.append(_run(asked, files, result))
        elif (reason := files.failure()) is not None:
            failed.append(Unfinished(asked.labels, asked.seed, asked.hash, reason))
        else:
            missing.append(Unfinished(asked.labels, asked.seed, asked.hash))
    if not runs:
        why = f"; the first of {len(failed)} that failed: {failed[0].reason}" if failed else ""
        raise UserError(f"no finished run in {folder / 'runs'}{why}; run `study` first")
    left_over = StudyFolder(folder).left_over(planned)
    made = {run.command for run in runs}
    commands = tuple(command for command in StudyFolder(folder).commands() if command in made)
    return Results(
        folder, study, tuple(runs), tuple(failed), tuple(missing), left_over, commands, _hashes(study)
    )


def describe(labels: Labels, seed: int) -> str:
    """Return labels and seed in words: ``method none, layers 2, seed 0``."""
    return ", ".join([*(f"{axis} {label}" for axis, label in labels.items()), f"seed {seed}"])


def versions_of(runs: tuple[Run, ...]) -> list[str]:
    """Return each library with the versions that runs were made with, the commonest first."""
    counts: dict[str, Counter[str]] = {}
    for run in runs:
        for name, version in run.versions.items():
            counts.setdefault(name, Counter())[version] += 1
    return [
        f"{name} {', '.join(version for version, _ in found.most_common())}"
        for name, found in sorted(counts.items())
    ]


def _hashes(study: Study) -> dict[tuple[tuple[Label, ...], int], str]:
    found = {}
    for labels in product(*study.axes.values()):
        for seed in study.seeds:
            settings = run_settings(study, dict(zip(study.axes, labels, strict=True)), seed)
            found[labels, seed] = settings_hash(settings)
    return found


def _run(asked: Asked, files: RunFiles, result: RunResult) -> Run:
    values = dict(result.metrics)
    values |= {name: float(value) for name in FIGURES if (value := getattr(result, name)) is not None}
    values |= {
        f"first_steps/{threshold}": float(step)
        for threshold, step in result.first_steps.items()
        if step is not None
    }
    if result.steps:
        values["step_seconds"] = result.train_seconds / result.steps
    history = _read_history(files.epochs)
    metrics = tuple(sorted(result.metrics))
    stopped, versions = result.stopped or None, result.versions
    return Run(
        asked.labels, asked.seed, asked.hash, values, metrics, stopped, versions, files.command(), history
    )


def _read_history(file: Path) -> dict[str, list[float]]:
    if not file.is_file():
        return {}
    try:
        with file.open(newline="") as stream:
            rows = list(csv.DictReader(stream))
        if rows and "epoch" not in rows[0]:
            raise KeyError("no column epoch")
        names = rows[0] if rows else ()
        return {name: [float(row[name]) if row[name] else math.nan for row in rows] for name in names}
    except (csv.Error, KeyError, OSError, TypeError, ValueError) as error:
        raise damaged(file, error) from error


Group = Mapping[int, Run]


def select_best(runs: Iterable[Run], select: Select) -> Run:
    """Return the run that is best by the selection's metric, which is one of validation: the test split has no say.

    Of equal ones it is the first. A value that is not finite loses, and so does a run without one, as one that has
    collapsed before its first validation.
    """
    return max(runs, key=lambda run: _worth(run, select))


def _worth(run: Run, select: Select) -> float:
    value = run.value(select.by)
    if value is None or not math.isfinite(value):
        return -math.inf
    return value if select.mode == "max" else -value


@dataclass(frozen=True)
class Cells:
    """The runs of a study by labels; those that only the selected axes tell apart stand for one another.

    Attributes:
        results: all runs.
        select: None: no selection.
    """

    results: Results
    select: Select | None

    @property
    def study(self) -> Study:
        """What was asked for."""
        return self.results.study

    @cached_property
    def by_hash(self) -> dict[str, Run]:
        """Finished runs by their folder's name."""
        return {run.hash: run for run in self.results.runs}

    @cached_property
    def known(self) -> set[str]:
        """Names of all that some run has a value of."""
        return {name for run in self.results.runs for name in (*run.values, *run.history)}

    def candidates(self, labels: Labels, seed: int) -> list[Run]:
        """Return the finished runs with these labels and this seed, in order of the axes, each once.

        Combinations that are one and the same, as of a method without a p at each p, share their run.
        """
        chosen = (
            (labels[axis],) if axis in labels else tuple(values) for axis, values in self.study.axes.items()
        )
        hashes = dict.fromkeys(self.results.hashes[every, seed] for every in product(*chosen))
        return [self.by_hash[name] for name in hashes if name in self.by_hash]

    def of(self, labels: Labels) -> Group:
        """Return the run with these labels of each seed, chosen where there is a selection; empty if there is none.

        Labels that leave several runs of a seed, and no selection among them, name no cell: it is empty.

        Raises:
            UserError: no run of the study has the metric of the selection.
        """
        if self.select is not None:
            self._check("select.by", self.select.by)
        group = {}
        for seed in self.study.seeds:
            runs = self.candidates(labels, seed)
            if self.select is not None and runs:
                group[seed] = select_best(runs, self.select)
            elif len(runs) == 1:
                group[seed] = runs[0]
        return group

    def baseline(self, labels: Labels) -> Group:
        """Return the runs that those with these labels are compared with."""
        baseline = self.study.report.baseline
        return self.of(labels | baseline) if baseline else {}

    def is_baseline(self, labels: Labels) -> bool:
        """Return whether these are the baseline's labels."""
        baseline = self.study.report.baseline
        return bool(baseline) and labels | baseline == labels

    def values(self, group: Group, metric: str) -> dict[int, float]:
        """Return a metric by seed; a step that was never reached, or an epoch that was not, is left out.

        Raises:
            UserError: no run of the study has such a metric.
        """
        self._check("report.metric", metric)
        found = {seed: run.value(metric) for seed, run in group.items()}
        return {seed: value for seed, value in found.items() if value is not None}

    def estimate(self, labels: Labels, metric: str) -> Estimate | None:
        """Return a metric's mean over seeds; None without a run."""
        values = self.values(self.of(labels), metric)
        return estimate([values[seed] for seed in sorted(values)]) if values else None

    def difference(self, labels: Labels, metric: str, to: Labels | None = None) -> Estimate | None:
        """Return the paired difference to the baseline, or to other labels; None where there is none."""
        other = self.baseline(labels) if to is None else self.of(to)
        return paired_difference(self.values(self.of(labels), metric), self.values(other, metric))

    def time_ratio(self, labels: Labels) -> Estimate | None:
        """Return the training time of a step relative to the baseline's, paired; None where there is none.

        Of a step, since a run that was stopped early is not a fast one.
        """
        ours, theirs = self.of(labels), self.baseline(labels)
        return paired_ratio(self.values(ours, "step_seconds"), self.values(theirs, "step_seconds"))

    def paper(self, labels: Labels, metric: str) -> float | None:
        """Return the source's number; None where it gives none.

        A number of the source belongs to every cell that has all of its labels.
        """
        for numbers in self.study.paper:
            named = {axis: label for axis, label in numbers.labels.items() if axis not in self._selected()}
            if metric in numbers.metrics and named.items() <= labels.items():
                return numbers.metrics[metric]
        return None

    def rows(self) -> list[Labels]:
        """Return the labels of a table's rows."""
        return self._products(self.study.report.rows)

    def columns(self) -> list[Labels]:
        """Return the labels of a table's columns; a single empty one where no axis is named."""
        return self._products(self.study.report.columns)

    def others(self) -> list[Labels]:
        """Return what is left of the axes: a table for each; a single empty one where nothing is left."""
        shown = {*self.study.report.rows, *self.study.report.columns, *self._selected()}
        return self._products(tuple(axis for axis in self.study.axes if axis not in shown))

    def _check(self, where: str, metric: str) -> None:
        if metric.split("@")[0] not in self.known and not metric.startswith("first_steps/"):
            raise UserError(
                f"{where}: no result of study {self.study.name} has {metric!r}; "
                f"there are {', '.join(sorted(self.known))}"
            )

    def _selected(self) -> tuple[str, ...]:
        return self.study.select.over if self.study.select else ()

    def _products(self, axes: tuple[str, ...]) -> list[Labels]:
        return [
            dict(zip(axes, labels, strict=True))
            for labels in product(*(self.study.axes[axis] for axis in axes))
        ]
