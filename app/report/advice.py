"""Which method to take: chosen on validation, judged on the test split, with what a step costs."""

import math
from collections import Counter

from app.report.cells import Cells
from app.report.numbers import highest_is_best, label_words, mean_and_half, metric_name, number, ratio, span
from app.report.statistics import Estimate
from app.study.spec import Labels


def advice(cells: Cells, metric: str, table: Labels, column: Labels) -> list[str]:
    """Say which of the rows to take, in sentences.

    The candidate is the row that is best in the mean over seeds by the study's validation metric, and is then judged by
    its paired difference to the baseline in ``metric``: choosing by the test split would flatter what is chosen. A row
    whose mean is not finite is no candidate; of equal ones it is the baseline, or else the first.

    Args:
        cells: the chosen runs.
        metric: of the test split.
        table: labels that the whole table shares.
        column: labels of the column.
    """
    select, baseline = cells.study.select, cells.study.report.baseline
    by = select.by if select else metric.replace("test/", "val/")
    highest = select.mode == "max" if select else highest_is_best(by)
    if not baseline:
        return ["No advice: the report names no baseline to compare with."]
    found = {place: cells.estimate(table | row | column, by) for place, row in enumerate(cells.rows())}
    means = {place: each.mean for place, each in found.items() if each and math.isfinite(each.mean)}
    if not means:
        return [f"No advice: no finished run has a finite {metric_name(by)}."]
    top = max(means.values()) if highest else min(means.values())
    equal = [table | cells.rows()[place] | column for place, mean in means.items() if mean == top]
    # What is no better than the baseline is not worth its trouble.
    best = next(filter(cells.is_baseline, equal), equal[0])
    name, other = label_words({axis: best[axis] for axis in cells.study.report.rows}), label_words(baseline)
    where = f"For {label_words(table | column)}: " if table | column else ""
    reached = cells.estimate(best, by)
    assert reached is not None, "it was ranked by it"
    first = f"{where}{name}{_chosen(cells, best)} is best by {metric_name(by)}, {mean_and_half(by, reached)}"
    missing = sum(each is None for each in found.values())
    still = (
        [f"This may change: of {len(found)} candidates {missing} have no finished run."] if missing else []
    )
    if cells.is_baseline(best):
        return [f"{first}: nothing beats {other} here, so leave dropout out.", *still]
    difference = cells.difference(best, metric)
    if difference is None:
        return [f"{first}, but no seed of it can be compared with {other} yet.", *still]
    said = f"{number(metric, difference.mean, signed=True)} against {other} in {metric_name(metric)}"
    seeds = f", {difference.count} seeds" if difference.count > 1 else ""
    apart = f"{said} ({span(metric, difference)}{seeds})"
    sentences = [f"{first}.", _judgement(name, other, difference, apart, highest_is_best(metric))]
    time = cells.time_ratio(best)
    if time is not None:
        sentences.append(f"A training step costs {ratio(time)} that of {other}.")
    return [*sentences, *still]


def _judgement(name: str, other: str, difference: Estimate, apart: str, highest: bool) -> str:
    if difference.interval is None:
        needed = "more seeds are" if difference.count == 1 else "finite values of every seed are"
        return f"{apart[0].upper()}{apart[1:]}: {needed} needed before anything can be advised."
    low, high = difference.interval
    if low <= 0 <= high:
        return f"But {apart}: nothing beats {other} here for sure. More seeds would tell smaller differences apart."
    if (difference.mean > 0) == highest:
        return f"Take {name}: {apart}."
    return f"But {apart}: on the test split it is worse, so stay with {other}."


def _chosen(cells: Cells, labels: Labels) -> str:
    """Say which values of the selected axes were chosen, the commonest first; nothing where there was no choice."""
    select, group = cells.study.select, cells.of(labels)
    if select is None or not any(len(cells.candidates(labels, seed)) > 1 for seed in group):
        return ""
    counts = Counter(label_words({axis: run.labels[axis] for axis in select.over}) for run in group.values())
    return f" with {', '.join(f'{words} ({count} of {len(group)} seeds)' for words, count in counts.most_common())}"
