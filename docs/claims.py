"""What the sources claim, and what became of it here: the table of docs/results/README.md.

``python docs/claims.py`` prints it. Each row is a paired difference of two methods over the seeds that both have, from
``docs/results/NAME/results.csv``: mean, 95 % interval (Student's t), and the p of the paired t-test, corrected over the
rows of its table by Holm's step-down method (S. Holm, A Simple Sequentially Rejective Multiple Test Procedure, 1979).
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from dropout_lab.app.report.compare import Verdict, verdict
from dropout_lab.app.report.formatting import label_words
from dropout_lab.app.statistics.estimate import Estimate, paired_difference
from dropout_lab.app.study.read_spec import read_study
from dropout_lab.app.study.spec import FORMS, Labels

RESULTS = Path(__file__).parent / "results"
STUDIES = Path(__file__).parents[1] / "configs" / "studies"
MINUS = "−"
POINTS = 100.0
LEVEL = 0.05


class Source(NamedTuple):
    """A table of a source, as pairs of methods: one and what it is compared with."""

    name: str
    study: str
    pairs: Sequence[tuple[Labels, Labels]]
    carries: str
    """What the source's own data can carry."""
    metric: str = "test/accuracy"
    printed: str = ""
    """The source's metric, where it is another one."""
    short: str = ""
    """Why nothing follows from the runs here, if nothing does."""


def against(
    labels: Labels, axis: str, methods: Sequence[str | float], other: str | float
) -> list[tuple[Labels, Labels]]:
    """Return the pairs of some methods and one, under the same other labels."""
    return [({axis: method, **labels}, {axis: other, **labels}) for method in methods]


SOURCES = [
    Source(
        "Lerner, Drop-in",
        "dropin-table",
        [
            pair
            for layers in (2, 3, 5)
            for pair in against({"layers": layers}, "method", ("dropin", "dropout", "dropout-dropin"), "none")
        ],
        "one run, 1,000 test images: ± 3 points each",
    ),
    Source(
        "CS 6353, best validation",
        "notebook-regularization",
        against({}, "p", [0.75], 0),
        "one run, 1,000 validation images: ± 3 points each",
        metric="val/accuracy",
    ),
    Source(
        "Maris & Pashayev, MNIST",
        "maldrop-mnist-reduced",
        against({}, "dropout", ["malicious", "vanilla"], "none"),
        "one run; of which images is not said",
        printed="val/accuracy@10",
        short="3,000 of 55,000 images",
    ),
]


def by_seed(study: str, labels: Labels, metric: str) -> dict[int, float]:
    """Return a metric of the runs with these labels by seed, in points; of several p that of the best in validation."""
    runs = pd.read_csv(RESULTS / study / "results.csv")
    for axis, label in labels.items():
        runs = runs[runs[axis] == label]
    best = runs.loc[runs.groupby("seed")["val/accuracy"].idxmax()]
    return {int(seed): POINTS * value for seed, value in zip(best["seed"], best[metric], strict=True)}


def printed(source: Source, labels: Labels) -> float:
    """Return the source's number, in points, as it stands in the study file."""
    form = next((form for form in FORMS if source.study.endswith(f"-{form}")), None)
    study = read_study(STUDIES / f"{source.study.removesuffix(f'-{form}')}.yaml", form)
    metric = source.printed or source.metric
    return next(
        POINTS * each.metrics[metric]
        for each in study.paper
        if metric in each.metrics and each.labels.items() <= labels.items()
    )


def holm(values: list[float]) -> list[float]:
    """Return Holm's corrected p: of the m sorted ones max over j ≤ i of (m − j + 1)·p_(j), at most 1."""
    order = np.argsort(values)
    steps = np.maximum.accumulate(np.asarray(values)[order] * np.arange(len(values), 0, -1)).clip(max=1)
    corrected = np.empty(len(values))
    corrected[order] = steps
    return [float(each) for each in corrected]


def judged(source: Source, paper: float, here: Estimate, p: float) -> str:
    """Say what follows: nothing of runs that are too short, no difference where the corrected p allows none."""
    if source.short:
        return f"nothing follows: {source.short}"
    found = verdict(paper, here)
    if p >= LEVEL and found in (Verdict.HOLDS, Verdict.SIZE, Verdict.REVERSED, Verdict.TIE):
        return "not significant after correction"
    return found.value[0]


def signed(value: float, digits: int = 1) -> str:
    """Write points with their sign."""
    return format(value, f"+z.{digits}f").replace("-", MINUS)


def table(source: Source) -> list[str]:
    """Return the rows of a source."""
    paper, here, raw = [], [], []
    for pair in source.pairs:
        one, other = (by_seed(source.study, labels, source.metric) for labels in pair)
        difference = paired_difference(one, other)
        assert difference is not None, pair
        shared = sorted(one.keys() & other.keys())
        raw.append(
            float(stats.ttest_rel([one[each] for each in shared], [other[each] for each in shared]).pvalue)
        )
        its, others = (printed(source, labels) for labels in pair)
        paper.append(its - others)
        here.append(difference)
    rows = []
    for (labels, other_labels), its, found, p in zip(source.pairs, paper, here, holm(raw), strict=True):
        axis = next(iter(other_labels))
        low, high = map(signed, found.interval or (math.nan, math.nan))
        rows.append(
            f"| {label_words(labels)} against {label_words({axis: other_labels[axis]})} | {signed(its, 2)} | "
            f"{signed(found.mean)} ({low} to {high}), {found.count} seeds | {p:.2g} | "
            f"{judged(source, its, found, p)} |"
        )
    return rows


def main() -> None:
    """Print a table for each source."""
    for source in SOURCES:
        print(
            f"\n**{source.name}.** The source: {source.carries}. Here: [{source.study}]({source.study}/report.md).\n"
        )
        print("| claim | the source | here, points (95 % interval) | p, Holm | verdict |")
        print("|---|---:|---:|---:|---|")
        print("\n".join(table(source)))


if __name__ == "__main__":
    main()
