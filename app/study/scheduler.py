"""Runs handed to workers that stay alive from one to the next: what is the same wherever the workers are."""

import math
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from time import monotonic

from dropout_lab.app.errors import UserError
from dropout_lab.app.study.run_files import RunResult, RunTask

# A run whose worker dies is done again, once: the next death may be its own fault, as by its memory.
ATTEMPTS = 2
# Workers in a row that die before they are up: starting another is of no use.
STILLBORN = 10


@dataclass(frozen=True)
class Started:
    """A run has been handed to a worker that is up."""


@dataclass(frozen=True)
class Failed:
    """A run has failed, for a reason in one line."""

    reason: str


@dataclass(frozen=True)
class Free:
    """A worker has come up, or another process is at the run that it was given."""


@dataclass(frozen=True)
class Died:
    """A worker has died, by a cause in one line."""

    cause: str


@dataclass(frozen=True)
class Late:
    """A worker has taken longer over a run than it may."""

    timeout: float


Event = Started | Failed | RunResult
"""What is told of a run: that a worker has it, any number of times, then once how it has ended."""

Answer = Free | Failed | RunResult | Died
"""What a worker says: that it is up, then one word a run."""

OnEvent = Callable[[RunTask, Event], None]


class Worker(ABC):
    """Does one run at a time: ``task`` since ``started``, once it is ``ready``."""

    # Until one that was asked to end has saved its run and ended; no longer is waited for it.
    end_seconds = 10.0
    ready = False
    task: RunTask | None = None
    started = 0.0

    @abstractmethod
    def send(self, task: RunTask) -> None:
        """Hand a run over; a worker that has died meanwhile says so when it is next asked."""

    @abstractmethod
    def receive(self) -> Answer | None:
        """Return what the worker says, or that it has died; None: nothing yet."""

    @abstractmethod
    def ask_to_end(self) -> None:
        """Ask the worker to end, dead or alive: at once, or when it has saved the run that it is at."""

    @abstractmethod
    def end(self) -> None:
        """Wait until a worker that was asked to has ended, and kill it if that takes long."""


class Engine(ABC):
    """Does runs, in whatever order and wherever; the numbers of a run do not depend on it.

    Args:
        jobs: workers at most; None: as many as there is room for.
        threads: of torch in each.
        timeout: seconds for a run, from when a worker has it; None: as long as it takes.
    """

    # How often it is looked whether a run takes too long.
    look_seconds = 0.5
    # When all are ended, by the clock of ``monotonic``; what they are at is saved, and goes on when it is done again.
    until = math.inf

    def __init__(self, jobs: int | None, threads: int, timeout: float | None = None) -> None:
        self.jobs = jobs
        self.threads = threads
        self.timeout = math.inf if timeout is None else timeout

    @abstractmethod
    def _room(self) -> int:
        """Return how many workers there may be now."""

    @abstractmethod
    def _start(self) -> Worker:
        """Start another worker."""

    @abstractmethod
    def _wait(self, workers: Sequence[Worker]) -> None:
        """Wait a little, or until one of the workers has something to say."""

    def run(self, tasks: Sequence[RunTask], on_event: OnEvent) -> None:
        """Do all runs, whatever happens to some of them; at the end, and when interrupted, no worker is left.

        Those that have not ended at ``until`` are left as they are, and nothing is told of them.

        A worker that dies is replaced, and its run done again once; where workers die before they are up, it is a
        UserError. One that takes too long over a run is ended, and its run has failed.
        """
        queue, deaths, stillborn = deque(tasks), Counter[str](), 0
        workers: list[Worker] = []
        try:
            while (left := len(queue) + sum(worker.task is not None for worker in workers)) and (
                monotonic() < self.until
            ):
                while len(workers) < min(self._room(), left):
                    workers.append(self._start())
                _hand_out(queue, workers, on_event)
                self._wait(workers)
                for worker in tuple(workers):
                    task, answer = worker.task, self._answer(worker)
                    if answer is None:
                        continue
                    if isinstance(answer, Died | Late):
                        _end(worker)
                        workers.remove(worker)
                    if isinstance(answer, Died):
                        stillborn = 0 if worker.ready else stillborn + 1
                        if stillborn == STILLBORN:
                            raise UserError(f"the workers do not come up, the last because of {answer.cause}")
                    worker.ready, worker.task = True, None
                    if task is None:
                        continue
                    end = _end_of_run(task, answer, deaths)
                    if isinstance(end, Free):
                        queue.append(task)
                    else:
                        on_event(task, end)
                for worker in tuple(workers):
                    if not queue and worker.ready and worker.task is None:
                        # What it holds, others may want while the last runs go on.
                        _end(worker)
                        workers.remove(worker)
        finally:
            _end(*workers)

    def _answer(self, worker: Worker) -> Answer | Late | None:
        answer = worker.receive()
        late = answer is None and worker.task is not None and monotonic() - worker.started > self.timeout
        return Late(self.timeout) if late else answer


def _hand_out(queue: deque[RunTask], workers: Sequence[Worker], on_event: OnEvent) -> None:
    """Give each worker that has none a run."""
    for worker in workers:
        if queue and worker.ready and worker.task is None:
            worker.task, worker.started = queue.popleft(), monotonic()
            worker.send(worker.task)
            on_event(worker.task, Started())


def _end(*workers: Worker) -> None:
    """End workers, dead or alive; they save at the same time what they are at. Ctrl-C once more leaves none behind."""
    with ExitStack() as ends:
        for worker in workers:
            ends.callback(worker.end)
            worker.ask_to_end()


def _end_of_run(task: RunTask, answer: Answer | Late, deaths: Counter[str]) -> RunResult | Failed | Free:
    """Return what has become of a run; one whose worker has died may be free, to be done again."""
    if isinstance(answer, Free | Failed | RunResult):
        return answer
    # It may have ended just then, before the word of it.
    if (result := task.files.result()) is not None:
        return result
    if isinstance(answer, Late):
        return _fail(task, f"took longer than the {answer.timeout:g} s of --timeout, and was killed")
    deaths[task.run.hash] += 1
    if deaths[task.run.hash] < ATTEMPTS:
        return Free()
    return _fail(task, f"its worker died {deaths[task.run.hash]} times, the last time by {answer.cause}")


def _fail(task: RunTask, reason: str) -> Failed:
    task.files.fail(reason)
    return Failed(reason)
