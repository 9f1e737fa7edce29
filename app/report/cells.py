"""Which runs belong to which cell of a table."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product

from app.errors import UserError
from app.report.reading import Results, Run
from app.report.statistics import Estimate, estimate, paired_difference, paired_ratio
from app.study.spec import Labels, Select, Study

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
