"""A study as a race: which of its runs are next, from those that have ended, and why it is over.

The race is played anew from its first round whenever runs have ended, so that it takes the same decisions however many
runs there are at a time, and after an interruption; a finished table replays it. Nothing here imports torch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, TypeAdapter

from dropout_lab.app.records import read_record, write_record
from dropout_lab.app.statistics.racing import ENDINGS, GOES_ON, Ending, Race, Rules, Runs, levels, race
from dropout_lab.app.study.folder import StudyFolder
from dropout_lab.app.study.grid import Run
from dropout_lab.app.study.lanes import Lane, Yardstick, label_line, lanes
from dropout_lab.app.study.metrics import own_name
from dropout_lab.app.study.rounds import Outcomes, Rounds
from dropout_lab.app.study.run_files import REMEDY
from dropout_lab.app.study.spec import Labels, Study


@dataclass(frozen=True)
class Standing:
    """A lane, and where its race stands."""

    lane: Lane
    race: Race
    level: float | None  # error of the last look; None before the first

    @property
    def ending(self) -> Ending | None:
        """Why the race is over; None while it goes on."""
        ending = int(self.race.ending[0])
        return None if ending == GOES_ON else ENDINGS[ending]

    @property
    def leader(self) -> Labels | None:
        """Labels of the pair that is best in validation; None before the first round is complete."""
        return self.lane.pairs[int(self.race.leader[0])].labels if self.race.rounds else None

    @property
    def runs(self) -> int:
        """Runs that the race has asked for."""
        return int(self.race.counts.sum())

    @property
    def size(self) -> int:
        """Runs of the full grid."""
        return int(self.race.todo.size)

    @property
    def todo(self) -> list[Run]:
        """The runs that the round lacks, seed by seed."""
        lacking = np.argwhere(self.race.todo[0].T)
        return [self.lane.pairs[pair].runs[seed] for seed, pair in lacking]

    def as_record(self) -> dict[str, Any]:
        """Return all that there is to say."""
        ending = self.ending
        return {
            "where": self.lane.where,
            "ending": None if ending is None else ending.name.lower(),
            "leader": self.leader,
            "level": self.level,
            "variants": len(self.lane.variants) - 1,
            "runs": self.runs,
            "of": self.size,
            "rounds": [
                {"pairs": self._labels(ran[0]), "dropped": self._labels(out[0])}
                for ran, out in self.race.rounds
            ],
        }

    def _labels(self, chosen: NDArray[np.bool_]) -> list[Labels]:
        return [self.lane.pairs[pair].labels for pair in np.flatnonzero(chosen)]


class RaceRecord(BaseModel):
    """What ``race.json`` says of a lane, as far as a report needs it."""

    where: Labels
    ending: str | None
    level: float | None
    variants: int
    runs: int
    of: int


class _RaceFile(BaseModel):
    races: list[RaceRecord] = []


def read_races(folder: StudyFolder) -> list[RaceRecord]:
    """Return what the study's race has decided, by lane; none where it was no race."""
    found = read_record(folder.race_file, TypeAdapter(_RaceFile), REMEDY)
    return [] if found is None else found.races


class StudyRace(Rounds):
    """The races of a study, one a lane; UserError if nothing can be compared."""

    def __init__(self, study: Study, runs: Sequence[Run]) -> None:
        self._by, self._report = Yardstick(study, "a race"), study.report
        self._lanes = lanes(study, runs)
        self._levels = levels(len(self._lanes[0].pairs[0].runs))

    def standings(self, outcomes: Outcomes) -> list[Standing]:
        """Return where the races stand."""
        found = []
        for lane in self._lanes:
            played = race(self._known(lane, outcomes), self._rules(lane, outcomes))
            looked = [level for look, level in self._levels.items() if look <= len(played.rounds)]
            found.append(Standing(lane, played, looked[-1] if looked else None))
        return found

    def todo(self, outcomes: Outcomes) -> list[Run]:
        """Return what the rounds lack that go on, of all lanes."""
        runs = [run for each in self.standings(outcomes) for run in each.todo]
        return list({run.hash: run for run in runs}.values())

    def before(self, outcomes: Outcomes) -> list[str]:
        """Say who is in the round: ``round 2: 14 pairs of 31 left, 9 dropped``."""
        standings = self.standings(outcomes)
        on = [each for each in standings if each.ending is None]
        pairs = sum(int(each.race.todo.any(2).sum()) for each in on)
        left = sum(int(each.race.left.sum()) for each in on)
        dropped = sum(int((~each.race.left).sum()) for each in standings)
        number = max(len(each.race.rounds) for each in on) + 1
        return [f"round {number}: {pairs:,} pairs of {left:,} left, {dropped:,} dropped"]

    def after(self, outcomes: Outcomes) -> list[str]:
        """Say of each lane why its race is over, or that it is not."""
        return [_end_line(each) for each in self.standings(outcomes)]

    def note(self, folder: StudyFolder, outcomes: Outcomes) -> None:
        """Write ``race.json``: how often it was looked, and who was dropped, is part of what a report may say."""
        write_record(folder.race_file, {"races": [each.as_record() for each in self.standings(outcomes)]})

    def _known(self, lane: Lane, outcomes: Outcomes) -> Runs:
        def values(name: str, highest: bool) -> NDArray[np.float64]:
            ended = [[outcomes.get(run.hash) for run in pair.runs] for pair in lane.pairs]
            found = [[one.metrics.get(name, np.nan) if one else np.nan for one in row] for row in ended]
            return np.asarray([found], np.float64) * (1 if highest else -1)

        return Runs(
            np.asarray([pair.variant for pair in lane.pairs]),
            values(self._by.by, self._by.by_highest),
            values(self._by.metric, self._by.highest),
            np.asarray([[[run.hash in outcomes for run in pair.runs] for pair in lane.pairs]]),
        )

    def _rules(self, lane: Lane, outcomes: Outcomes) -> Rules:
        # Of the first round alone: what ends later must not change what it has decided.
        first = [outcomes.get(pair.runs[0].hash) for pair in lane.pairs]
        chance = max((one.chance for one in first if one and one.chance is not None), default=None)
        if own_name(self._by.metric) != "accuracy":
            chance = None
        if self._report.chance is not None:
            chance = self._report.chance if self._by.highest else -self._report.chance
        return Rules(self._report.matters, comparable=self._by.same, chance=chance)


def _end_line(standing: Standing) -> str:
    where = f" {label_line(standing.lane.where)}" if standing.lane.where else ""
    why = "not settled yet" if standing.ending is None else standing.ending.value
    leader, rounds = standing.leader, len(standing.race.rounds)
    ahead = "" if leader is None else f"; best in validation is {label_line(leader)}"
    return (
        f"race{where}: {why}{ahead}; {rounds} round{'' if rounds == 1 else 's'}, "
        f"{standing.runs:,} of {standing.size:,} runs"
    )
