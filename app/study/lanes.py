"""What competes in a study: rows that are compared with one baseline, and the values that are selected over."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from dropout_lab.app.config.settings import settings_hash
from dropout_lab.app.errors import UserError
from dropout_lab.app.statistics.racing import BASELINE
from dropout_lab.app.study.grid import Run, combinations, run_settings
from dropout_lab.app.study.metrics import highest_is_best, own_name
from dropout_lab.app.study.spec import Labels, Study


class Pair(NamedTuple):
    """A variant at one of the values that are selected over, such as a rate."""

    variant: int  # of the lane's
    labels: Labels
    runs: list[Run]  # one a seed


@dataclass
class Lane:
    """What competes with each other, the baseline first, and the labels that are the same in all of it."""

    where: Labels
    variants: list[Labels] = field(default_factory=list)
    pairs: list[Pair] = field(default_factory=list)


class Yardstick:
    """The metric that a study decides by, and that of validation by which it selects.

    Raises:
        UserError: the study names no baseline, or of a metric neither more nor less is better.
    """

    def __init__(self, study: Study, what: str) -> None:
        report, select = study.report, study.select
        self.metric = report.metrics[0]
        self.by = select.by if select else self.metric.replace("test/", "val/")
        if not report.baseline:
            raise UserError(
                f"study {study.name}: {what} needs a baseline; name one in report.baseline, such as {{method: none}}"
            )
        for name in (self.metric, self.by):
            if "@" in name or highest_is_best(name) is None:
                why = "is of a moment" if "@" in name else "has no better and worse"
                raise UserError(
                    f"study {study.name}: {what} needs a metric of the whole run to rank by, and {name} {why}; put "
                    "test/accuracy first in report.metric, and select by val/accuracy"
                )
        self.highest = bool(highest_is_best(self.metric))
        self.by_highest = select.mode == "max" if select else bool(highest_is_best(self.by))
        self.same = own_name(self.metric) == own_name(self.by)


def lanes(study: Study, runs: Sequence[Run]) -> list[Lane]:
    """Return who is compared with whom, of the runs that are wanted; combinations with the same runs are one pair.

    A lane is a combination of the axes that neither the baseline names nor the selection chooses over.

    Raises:
        UserError: the runs lack the baseline, or have nothing else.
    """
    by_hash = {run.hash: run for run in runs}
    present = {run.seed for run in runs}
    seeds = [seed for seed in study.seeds if seed in present]
    baseline, over = study.report.baseline, study.select.over if study.select else ()
    found: dict[str, Lane] = {}
    for labels in combinations(study):
        hashes = [settings_hash(run_settings(study, labels, seed)) for seed in seeds]
        if not all(each in by_hash for each in hashes):
            continue
        mine = [by_hash[each] for each in hashes]
        where = {axis: label for axis, label in labels.items() if axis not in (*baseline, *over)}
        lane = found.setdefault(repr(where), Lane(where, [baseline]))
        name = {axis: labels[axis] for axis in baseline}
        if name not in lane.variants:
            lane.variants.append(name)
        variant = lane.variants.index(name)
        if not any(pair.variant == variant and pair.runs == mine for pair in lane.pairs):
            lane.pairs.append(Pair(variant, labels, mine))
    for lane in found.values():
        lane.pairs.sort(key=lambda pair: pair.variant)
        words = label_line(lane.where) or "what is asked for"
        if lane.pairs[0].variant != BASELINE:
            raise UserError(f"{words} lacks the baseline, {label_line(baseline)}; take it in")
        if len(lane.variants) == 1:
            raise UserError(
                f"{words} has nothing but the baseline, {label_line(baseline)}; take more in with --only"
            )
    if not found:
        raise UserError("no combination has all of its seeds; take more in with --only")
    return list(found.values())


def label_line(labels: Labels) -> str:
    """Write labels in a line, as a run's title does."""
    return "  ".join(f"{axis}={label}" for axis, label in labels.items())
