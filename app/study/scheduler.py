"""Runs handed to workers that stay alive from one to the next: what is the same wherever the workers are."""

from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from time import monotonic

from dropout_lab.app.study.one_run import RunTask
from dropout_lab.app.study.run_files import RunResult
from dropout_lab.app.study.worker import Busy, Event, Failed, Started

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


# A run whose worker dies is done again, once: the next death may be its own fault, as by its memory.
ATTEMPTS = 2


class Worker(ABC):
    """Does one run at a time.

    Attributes:
        task: what it has been given and has not ended.
        alive: False once it is known to have died or has been ended.
        timed_out: it was ended because its run took too long.
    """

    def __init__(self) -> None:
        """Have nothing to do."""
        self.task: RunTask | None = None
        self.alive = True
        self.timed_out = False
        self._started_at: float | None = None

    @property
    @abstractmethod
    def ready(self) -> bool:
        """Whether it can be given a run, if it has none."""

    @property
    @abstractmethod
    def cause_of_death(self) -> str:
        """What one that has died has died by."""

    @abstractmethod
    def end(self) -> None:
        """End it at once, whatever it does, and wait until it has ended; no more than once."""

    @abstractmethod
    def _send(self, task: RunTask) -> None:
        """Hand a run over; a worker that has died meanwhile is no error."""

    @abstractmethod
    def _receive(self) -> tuple[list[Event], bool]:
        """Return what it has told since it was last asked, without waiting, and whether it has died."""

    def give(self, task: RunTask) -> None:
        """Hand out a run."""
        self.task = task
        self._send(task)

    def news(self, timeout: float | None) -> list[Event]:
        """Return what has happened; end it if it has died or has taken too long.

        Args:
            timeout: seconds for a run; None: as long as it takes.
        """
        events, died = self._receive()
        for event in events:
            if isinstance(event, Started):
                self._started_at = monotonic()
            if isinstance(event, Busy | Failed | RunResult):
                self.task, self._started_at = None, None
        if timeout is not None and self._started_at is not None:
            self.timed_out = monotonic() - self._started_at > timeout
        if died or self.timed_out:
            self.end()
            self.alive = False
        return events


class Crew(ABC):
    """Where workers come from."""

    @abstractmethod
    def room(self) -> int:
        """Return how many workers there may be now.

        Raises:
            UserError: there can be none.
        """

    @abstractmethod
    def start(self) -> Worker:
        """Start another worker."""

    @abstractmethod
    def wait(self, workers: Sequence[Worker]) -> None:
        """Wait a little, or until one of them has something to tell."""


def work_off(crew: Crew, tasks: Sequence[RunTask], timeout: float | None, on_event: OnEvent) -> None:
    """Do all runs; at the end, and when interrupted, no worker is left.

    A worker that dies is replaced, and its run done again once. One that takes longer over a run than it may is
    ended, and its run has failed.

    Args:
        crew: where workers come from.
        tasks: the runs.
        timeout: seconds for a run; None: as long as it takes.
        on_event: as :meth:`dropout_lab.app.study.scheduler.Engine.run` has it.
    """
    queue, attempts = deque(tasks), Counter[str]()
    workers: list[Worker] = []
    try:
        while left := len(queue) + sum(worker.task is not None for worker in workers):
            while len(workers) < min(crew.room(), left):
                workers.append(crew.start())
            for worker in workers:
                if queue and worker.task is None and worker.ready:
                    worker.give(queue.popleft())
            crew.wait(workers)
            for worker in workers:
                task = worker.task
                for event in worker.news(timeout):
                    assert task is not None, "only of a run is there something to tell"
                    if isinstance(event, Busy):
                        # Last of all, and then with patience.
                        queue.append(replace(task, wait=True))
                    else:
                        on_event(task, event)
                if worker.task is not None and not worker.alive:
                    attempts[worker.task.run.hash] += 1
                    again = _after_death(
                        worker.task, worker, attempts[worker.task.run.hash], timeout, on_event
                    )
                    queue.extend([worker.task] if again else [])
            if not queue:
                # What they hold, others may want while the last runs go on.
                for worker in workers:
                    if worker.task is None and worker.alive:
                        worker.end()
                        worker.alive = False
            workers = [worker for worker in workers if worker.alive]
    finally:
        for worker in workers:
            if worker.alive:
                worker.end()


def _after_death(
    task: RunTask, worker: Worker, deaths: int, timeout: float | None, on_event: OnEvent
) -> bool:
    """Tell what has become of a run whose worker has died; return whether it is to be done again."""
    if worker.timed_out:
        reason = f"took longer than the {timeout:g} s of --timeout, and was killed"
    elif (result := task.files.result()) is not None:
        # It died between the result and the news of it.
        on_event(task, result)
        return False
    elif deaths < ATTEMPTS:
        return True
    else:
        reason = f"its worker died {deaths} times, the last time by {worker.cause_of_death}"
    task.files.fail(reason)
    on_event(task, Failed(reason))
    return False
