"""A plan: what a study takes, and what its seeds can show, by the spread of runs that are finished. No torch here."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from scipy.special import gammaincinv

from dropout_lab.app.errors import UserError
from dropout_lab.app.statistics.estimate import Estimate, paired_difference
from dropout_lab.app.statistics.judgement import ALPHA, FEWEST_SEEDS
from dropout_lab.app.statistics.power import seeds_needed, smallest_difference
from dropout_lab.app.statistics.racing import BASELINE, levels
from dropout_lab.app.statistics.selection import cross_fitted
from dropout_lab.app.study.folder import StudyFolder
from dropout_lab.app.study.grid import Run
from dropout_lab.app.study.lanes import Lane, Yardstick, label_line, lanes
from dropout_lab.app.study.metrics import is_share, scaled
from dropout_lab.app.study.rounds import Outcomes, Rounds
from dropout_lab.app.study.spec import Study

# What the lines are about, in times what matters.
SIZES = (1, 2, 4)


@dataclass(frozen=True)
class RowSpread:
    """How much the paired differences of a row to the baseline vary between seeds."""

    name: str
    difference: Estimate | None  # None where fewer than three seeds have a finite value of both

    @property
    def deviation(self) -> float | None:
        """Standard deviation of the differences, in the metric's unit; None where it is not known."""
        found = self.difference
        known = found is not None and found.count >= FEWEST_SEEDS and found.interval is not None
        return found.deviation if found is not None and known else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % interval of the deviation, by the law χ²(n − 1) of its square."""
        if self.deviation is None or self.difference is None:
            return None
        freedom = self.difference.count - 1
        low, high = (
            math.sqrt(freedom / (2 * float(gammaincinv(freedom / 2, tail)))) for tail in (0.975, 0.025)
        )
        return self.deviation * low, self.deviation * high


class Plan(Rounds):
    """Three seeds of the baseline and of each row that has no such runs yet, and what follows from all that there is.

    A pilot's runs are real ones, and the study's first: nothing of them is lost. Of the values that are selected over
    it takes the middle one.

    Args:
        study: of which the plan is; UserError if nothing can be compared in it, or with fewer than three seeds.
        runs: of it.
        jobs: runs at a time.
        raced: whether the plan is of a race, which has its looks to pay for.
    """

    def __init__(self, study: Study, runs: Sequence[Run], jobs: int, raced: bool) -> None:
        self._study, self._jobs, self._raced = study, jobs, raced
        self._by = Yardstick(study, "a plan")
        self._lanes = lanes(study, runs)
        self._runs = {run.hash: run for run in runs}
        self._seeds = len(self._lanes[0].pairs[0].runs)
        if self._seeds < FEWEST_SEEDS:
            raise UserError(
                f"study {study.name}: {self._seeds} seeds show nothing, so that there is nothing to plan; give it "
                f"{FEWEST_SEEDS} or more"
            )

    def todo(self, outcomes: Outcomes) -> list[Run]:
        """Return the pilot's runs."""
        found: dict[str, Run] = {}
        for lane in self._lanes:
            for variant in range(len(lane.variants)):
                pairs = [pair.runs[:FEWEST_SEEDS] for pair in lane.pairs if pair.variant == variant]
                if not any(all(run.hash in outcomes for run in first) for first in pairs):
                    found |= {run.hash: run for run in pairs[len(pairs) // 2] if run.hash not in outcomes}
        return list(found.values())

    def before(self, outcomes: Outcomes) -> list[str]:
        """Say what the pilot is, and how long it takes where that is known."""
        todo = self.todo(outcomes)
        known = _seconds(todo, outcomes)
        time = "" if known is None else f", about {_words(len(todo) * known / self._jobs)}"
        return [
            f"pilot: {len(todo):,} runs{time}: {FEWEST_SEEDS} seeds of each row that has none, kept as the study's own"
        ]

    def after(self, outcomes: Outcomes) -> list[str]:
        """Say what the study takes and shows, by lane."""
        return [line for lane in self._lanes for line in self._lines(lane, outcomes)]

    def note(self, folder: StudyFolder, outcomes: Outcomes) -> None:
        """Write nothing: a plan decides nothing."""

    def _lines(self, lane: Lane, outcomes: Outcomes) -> list[str]:
        spreads = self.spreads(lane, outcomes)
        tests = len(spreads)
        runs = {run.hash: run for pair in lane.pairs for run in pair.runs}
        second = _seconds(list(runs.values()), outcomes)
        where = f"{label_line(lane.where)}: " if lane.where else ""
        most = "at most " if self._raced else ""
        first = f"plan     {where}{len(runs):,} runs of {self._seeds} seeds"
        if second is None:
            return [f"{first}; no run is finished, so that nothing is known of them"]
        lines = [
            f"{first}, {second:.1f} s each, {self._jobs} at a time: {most}{_words(len(runs) * second / self._jobs)}",
            f"  {self._by.metric}, paired by seed; alpha {ALPHA:g} by Holm's method over {tests} rows"
            + (", less at a race's looks" if self._raced else ""),
        ]
        width = max(len(each.name) for each in spreads)
        for each in spreads:
            name, deviation, ends = each.name.ljust(width), each.deviation, each.interval
            if deviation is None or ends is None or each.difference is None:
                lines.append(f"  {name}  no spread: fewer than {FEWEST_SEEDS} seeds have a finite difference")
                continue
            shown = smallest_difference(deviation, self._seeds, self._alpha(self._seeds, tests))
            low, high = (self._number(end) for end in ends)
            lines.append(
                f"  {name}  spread {self._size(deviation)} ({low} to {high}, {each.difference.count} seeds); "
                f"{self._seeds} seeds show {self._size(shown)}"
            )
        known = [each.deviation for each in spreads if each.deviation is not None]
        if known:
            pooled = math.sqrt(sum(value**2 for value in known) / len(known))
            lines += self._needs(pooled, tests, len(runs) / self._seeds * second / self._jobs)
        return lines

    def _needs(self, deviation: float, tests: int, of_seed: float) -> list[str]:
        """Say what the seeds show, and what further sizes need, by a spread and the time of a seed of all rows."""
        shown = smallest_difference(deviation, self._seeds, self._alpha(self._seeds, tests))
        lines = [
            f"{self._seeds} seeds show {self._size(shown)} with a power of 80 %, by the rows' mean spread"
        ]
        for size in SIZES:
            difference = size * self._study.report.matters
            # A race's last look has the larger part of alpha, which hardly depends on how many seeds there are.
            needed = seeds_needed(deviation, difference, self._alpha(self._seeds, tests))
            many = "more than a million" if needed is None else f"{needed:,}"
            time = "" if needed is None else f", {_words(needed * of_seed)}"
            matters = ", what matters," if size == 1 else ""
            lines.append(f"{self._size(difference)}{matters} needs {many} seeds{time}")
        return lines

    def spreads(self, lane: Lane, outcomes: Outcomes) -> list[RowSpread]:
        """Return the spread of each row's differences, the rate chosen on the other seeds where there is a choice."""
        figures = []
        for variant in range(len(lane.variants)):
            pairs = [pair.runs for pair in lane.pairs if pair.variant == variant]
            by, test = (
                {
                    place: {
                        run.seed: result.metrics.get(name, math.nan)
                        for run in runs
                        if (result := outcomes.get(run.hash)) is not None
                    }
                    for place, runs in enumerate(pairs)
                }
                for name in (self._by.by, self._by.metric)
            )
            chosen = cross_fitted(by, self._by.by_highest)
            figures.append({seed: test[place][seed] for seed, place in chosen.items() if seed in test[place]})
        return [
            RowSpread(
                label_line(lane.variants[variant]), paired_difference(figures[variant], figures[BASELINE])
            )
            for variant in range(1, len(figures))
        ]

    def _alpha(self, seeds: int, tests: int) -> float:
        return (levels(seeds).get(seeds, ALPHA) if self._raced else ALPHA) / tests

    def _number(self, value: float) -> str:
        return f"{scaled(self._by.metric, value):.2g}" if math.isfinite(value) else "nothing"

    def _size(self, value: float) -> str:
        number = self._number(value)
        if not is_share(self._by.metric) or not math.isfinite(value):
            return number
        return f"{number} point{'' if number == '1' else 's'}"


def _seconds(runs: Sequence[Run], outcomes: Outcomes) -> float | None:
    """Return the mean seconds of a run, of those that are asked for if any is finished, else of all."""
    ended = {hash: result.seconds for hash, result in outcomes.items() if result is not None}
    mine = [ended[run.hash] for run in runs if run.hash in ended] or list(ended.values())
    return sum(mine) / len(mine) if mine else None


def _words(seconds: float) -> str:
    """Write a time as one says it: ``45 s``, ``12 min``, ``4.5 h``."""
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= 1.5 * size:
            return (
                f"{seconds / size:.2g} {unit}"
                if seconds < 100 * size
                else f"{timedelta(seconds=round(seconds))}"
            )
    return f"{seconds:.0f} s"
