"""Who does the runs: what every engine offers."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from app.study.one_run import RunTask
from app.study.worker import Event

OnEvent = Callable[[RunTask, Event], None]


class Engine(ABC):
    """Does runs, in whatever order and wherever; the numbers of a run do not depend on it."""

    @abstractmethod
    def run(self, tasks: Sequence[RunTask], on_event: OnEvent) -> None:
        """Do all runs, whatever happens to some of them.

        Args:
            tasks: the runs.
            on_event: called in this process: :class:`Started` any number of times for a run, then a result or
                :class:`Failed` once.
        """
