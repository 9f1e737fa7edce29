"""Which of a study's runs are done, and when: in rounds, each of which is decided by what has ended before."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

from dropout_lab.app.study.folder import StudyFolder
from dropout_lab.app.study.grid import Run
from dropout_lab.app.study.run_files import RunResult

Outcomes = Mapping[str, RunResult | None]
"""What has become of the runs that have ended, by hash; None of those that have failed."""


class Rounds(ABC):
    """Decides by outcomes alone, so that runs at a time, and interruptions, change nothing."""

    @abstractmethod
    def todo(self, outcomes: Outcomes) -> list[Run]:
        """Return the runs that the round lacks; none once all is done."""

    def before(self, outcomes: Outcomes) -> list[str]:
        """Say what the next runs are for."""
        return []

    def after(self, outcomes: Outcomes) -> list[str]:
        """Say what has come out."""
        return []

    @abstractmethod
    def note(self, folder: StudyFolder, outcomes: Outcomes) -> None:
        """Write into the study's folder what was decided, if anything was."""


class WholeGrid(Rounds):
    """All runs in one round."""

    def __init__(self, runs: Sequence[Run]) -> None:
        self._runs = runs

    def todo(self, outcomes: Outcomes) -> list[Run]:
        """Return what has not ended."""
        return [run for run in self._runs if run.hash not in outcomes]

    def note(self, folder: StudyFolder, outcomes: Outcomes) -> None:
        """Take back what a race has decided on a part of the grid, once the whole is there."""
        if not self.todo(outcomes):
            folder.race_file.unlink(missing_ok=True)
