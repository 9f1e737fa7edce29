"""The answer to a study's question: one word, whom it is about, and all candidates in order of merit.

It is computed here and shown by the page, the terminal and the Markdown; nothing of these decides anything.
"""

from dataclasses import dataclass
from enum import Enum

from dropout_lab.app.report.results import Results
from dropout_lab.app.statistics.estimate import Estimate
from dropout_lab.app.statistics.judgement import Judgement
from dropout_lab.app.study.spec import Labels


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
    planned: bool  # metric, baseline and what matters were fixed before the runs


def answers(results: Results) -> list[Answer]:
    """Return the answer of each table and column; none where the study names no baseline."""
    raise NotImplementedError
