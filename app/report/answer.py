"""The answer to a study's question: one word, whom it is about, and all candidates in order of merit.

It is computed here and shown by the page, the terminal and the Markdown; nothing of these decides anything.
"""

import math
from collections import Counter
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from dropout_lab.app.report.formatting import label_words, mean_and_half, number
from dropout_lab.app.report.results import Results
from dropout_lab.app.statistics.estimate import Estimate
from dropout_lab.app.statistics.judgement import ALPHA, FEWEST_SEEDS, Finding, Judgement, judge
from dropout_lab.app.statistics.racing import Ending
from dropout_lab.app.study.metrics import highest_is_best
from dropout_lab.app.study.spec import Labels

CALIBRATION = "test/ece"


class Word(Enum):
    """The answer in a word."""

    USE = "Use"  # the leader is better than the baseline
    NO_DIFFERENCE = "No difference"  # every candidate is equivalent to the baseline, or worse
    NOT_SETTLED = "Not settled"
    NOTHING_LEARNED = "Nothing learned"  # the baseline and the leader are at chance level


@dataclass(frozen=True)
class Candidate:
    """A row of a table at its one rate."""

    labels: Labels  # of the row
    chosen: Labels  # what was chosen for it by validation over all seeds, as its rate; empty where there is no choice
    here: Estimate | None  # in the metric that decides, corrected for the choice
    judgement: (
        Judgement | None
    )  # against the baseline; None for the baseline itself, and where no seed is shared
    cost: Estimate | None  # time of a training step relative to the baseline's
    calibration: Estimate | None  # expected calibration error on the same split
    learned: bool | None  # above chance level; None where that is not known
    is_baseline: bool


@dataclass(frozen=True)
class Answer:
    """What a column of a study says; ``candidates`` are in order of merit, the baseline among them."""

    word: Word
    where: Labels  # table and column that it is of; empty where there is one
    metric: str  # that decides
    by: str  # metric of validation that rates, and the leader, are chosen by
    highest: bool  # whether more is better
    matters: float  # the smallest difference that matters, in the metric's unit (a share for accuracy)
    baseline: Labels
    leader: Candidate | None  # best by validation; None without a finished run
    candidates: list[Candidate]
    chance: float | None  # of the metric; None where that is not known
    reasons: list[str]  # why the word is what it is, a sentence each


def answers(results: Results) -> list[Answer]:
    """Return the answer of each table and column in the first metric, whose candidates are judged together.

    None where the study names no baseline, or of the metric neither more nor less is better.
    """
    report = results.study.report
    highest = highest_is_best(report.metrics[0])
    if not report.baseline or highest is None:
        return []
    places = [table | column for table in results.tables for column in results.columns]
    return [_answer(results, place, highest) for place in places]


def _answer(results: Results, where: Labels, highest: bool) -> Answer:
    report, select = results.study.report, results.study.select
    metric = report.metrics[0]
    by = select.by if select else report.by or metric.replace("test/", "val/")
    chance = _chance(results, metric, where)
    cells = [results.cell(metric, where | row) for row in results.rows]
    compared = [
        place
        for place, cell in enumerate(cells)
        if cell.difference is not None and not results.is_baseline(cell.labels)
    ]
    differences = [difference for place in compared if (difference := cells[place].difference) is not None]
    race = _Race.of(results, where)
    judgements = judge(differences, report.matters, highest, race.level, race.family)
    judged = dict(zip(compared, judgements, strict=True))
    candidates = [
        Candidate(
            labels=row,
            chosen=results.chosen(where | row),
            here=cell.here,
            judgement=judged.get(place),
            cost=cell.time,
            calibration=results.estimate(where | row, CALIBRATION) if CALIBRATION in results.values else None,
            learned=_learned(cell.here, chance),
            is_baseline=results.is_baseline(cell.labels),
        )
        for place, (row, cell) in enumerate(zip(results.rows, cells, strict=True))
    ]
    ranked = _by_validation(results, where, candidates, by)
    verdict = _verdict(results, ranked, candidates, metric, chance, race)
    found = [each for each in candidates if each.here is not None and math.isfinite(each.here.mean)]
    found.sort(key=lambda each: _mean(each.here), reverse=highest)
    merit = [*found, *(each for each in candidates if each not in found)]
    return Answer(
        verdict.word, where, metric, by, highest, report.matters, report.baseline, verdict.leader, merit, chance,
        verdict.reasons,
    )  # fmt: skip


class _Race(NamedTuple):
    """What a race leaves to be judged: at its last look's share of the error, and over all that were in it."""

    level: float
    family: int
    endings: frozenset[Ending | None]  # empty where there was no race

    @classmethod
    def of(cls, results: Results, where: Labels) -> "_Race":
        lanes = [lane for lane in results.races if where.items() <= lane.where.items()]
        # Before its first look a race leaves no error to be made.
        level = min((lane.level or 0.0 for lane in lanes), default=ALPHA)
        endings = frozenset(None if lane.ending is None else Ending[lane.ending.upper()] for lane in lanes)
        return cls(level, sum(lane.variants for lane in lanes), endings)

    @property
    def found_none(self) -> bool:
        """Whether nothing was left that could be better than the baseline by what matters."""
        return bool(self.endings) and self.endings <= {Ending.NO_DIFFERENCE, Ending.BEHIND}


class _Verdict(NamedTuple):
    word: Word
    leader: Candidate | None
    reasons: list[str]


def _by_validation(results: Results, where: Labels, candidates: list[Candidate], by: str) -> list[Candidate]:
    """Return the candidates with a finite mean in validation, the best first; of equal ones the baseline."""
    best = results.study.select.mode == "max" if results.study.select else highest_is_best(by)
    means = [results.estimate(where | each.labels, by) for each in candidates]
    known = [
        (mean.mean, each)
        for mean, each in zip(means, candidates, strict=True)
        if mean is not None and math.isfinite(mean.mean)
    ]
    sign = 1 if best else -1
    known.sort(key=lambda pair: (sign * pair[0], pair[1].is_baseline), reverse=True)
    return [each for _, each in known]


def _verdict(
    results: Results,
    ranked: list[Candidate],
    candidates: list[Candidate],
    metric: str,
    chance: float | None,
    race: _Race,
) -> _Verdict:
    """Return the word, whom it is about, and why."""
    if not ranked:
        return _Verdict(Word.NOT_SETTLED, None, ["No finished run has a finite value in validation."])
    leader, baseline = ranked[0], next((each for each in candidates if each.is_baseline), None)
    other = label_words(results.study.report.baseline)
    at_chance = [each for each in (leader, baseline) if each is not None and each.learned is False]
    if leader.learned is False and (baseline is None or baseline.learned is not True):
        return _Verdict(
            Word.NOTHING_LEARNED,
            None,
            [
                f"{name_of(results, each)} is not above chance level: {mean_and_half(metric, each.here)}, and always "
                f"predicting the commonest class reaches {number(metric, chance)}."
                for each in at_chance
            ],
        )
    # Ahead in validation, and worse on test, is none to look at first.
    leader = next((each for each in ranked if _finding(each) is not Finding.WORSE), leader)
    others = [each for each in candidates if not each.is_baseline]
    taken = next((each for each in ranked if _finding(each) is Finding.BETTER), None)
    reasons = [f"{name_of(results, each)} is at chance level." for each in others if each.learned is False]
    if race.found_none and taken is None:
        matters = number(metric, results.study.report.matters)
        reason = f"No candidate can be better than {other} by what matters, {matters}."
        return _Verdict(Word.NO_DIFFERENCE, leader, [reason, *reasons])
    doubt = _why_no_verdict(results, others, baseline, raced=bool(race.endings))
    if doubt:
        return _Verdict(Word.NOT_SETTLED, leader, [*doubt, *reasons])
    if taken is not None:
        return _Verdict(Word.USE, taken, [*_ahead_of(results, ranked, taken), *reasons])
    counts = Counter(_finding(each) for each in others)
    if counts[Finding.WORSE] == len(others):
        return _Verdict(Word.USE, baseline, [f"Every candidate is worse than {other}.", *reasons])
    if counts[Finding.WORSE] + counts[Finding.EQUIVALENT] == len(others):
        matters = number(metric, results.study.report.matters)
        alike = f"{counts[Finding.EQUIVALENT]} of {len(others)} candidates differ from {other} by less than {matters}"
        rest = f", {counts[Finding.WORSE]} are worse" if counts[Finding.WORSE] else ""
        return _Verdict(Word.NO_DIFFERENCE, leader, [f"{alike}{rest}; none is better.", *reasons])
    unsettled = counts[Finding.OPEN] + counts[Finding.NONE]
    return _Verdict(
        Word.NOT_SETTLED,
        leader,
        [
            f"Of {len(others)} candidates {unsettled} can neither be told from {other} nor be called equivalent to it; "
            "more seeds would tell.",
            *reasons,
        ],
    )


def _why_no_verdict(
    results: Results, others: list[Candidate], baseline: Candidate | None, raced: bool
) -> list[str]:
    """Say why these runs cannot carry a verdict; empty where they can."""
    if results.study.form == "quick":
        return ["A quick form shows that all works, and gives no verdict: run the study without --quick."]
    if baseline is None or baseline.here is None:
        return [f"{label_words(results.study.report.baseline)}, the baseline, has no finished run."]
    counts = [each.judgement.difference.count for each in others if each.judgement]
    if max(counts, default=0) < FEWEST_SEEDS:
        seeds = max(counts, default=0)
        return [f"{seeds} seed{' gives' if seeds == 1 else 's give'} no verdict; {FEWEST_SEEDS} or more do."]
    # In a race they had their chance.
    missing = 0 if raced else sum(each.here is None for each in others)
    return [f"Of {len(others)} candidates {missing} have no finished run."] if missing else []


def _ahead_of(results: Results, ranked: list[Candidate], taken: Candidate) -> list[str]:
    ahead = [name_of(results, each) for each in ranked[: ranked.index(taken)]]
    if not ahead:
        return []
    return [
        f"By validation alone {', '.join(ahead)} would be ahead of it, which is not significantly better."
    ]


def _finding(candidate: Candidate) -> Finding:
    return candidate.judgement.finding if candidate.judgement else Finding.NONE


def name_of(results: Results, candidate: Candidate) -> str:
    """Write a candidate's labels, and those that were chosen for it."""
    return results.words({**candidate.labels, **candidate.chosen})


def _mean(found: Estimate | None) -> float:
    return math.nan if found is None else found.mean


def _chance(results: Results, metric: str, where: Labels) -> float | None:
    """Return the accuracy without having learned: as the study says, else the share of the commonest test class."""
    if results.study.report.chance is not None:
        return results.study.report.chance
    if metric not in ("test/accuracy", "val/accuracy"):
        return None
    known = [
        result.chance
        for run, result in results.finished.values()
        if result.chance is not None and where.items() <= run.labels.items()
    ]
    return max(known, default=None)


def _learned(here: Estimate | None, chance: float | None) -> bool | None:
    """Return whether a mean is above chance level, by the lower end of its interval; None where that is not known."""
    if here is None or chance is None or not math.isfinite(here.mean):
        return None
    if here.interval is None:
        return None if here.mean > chance else False
    return here.interval[0] > chance
