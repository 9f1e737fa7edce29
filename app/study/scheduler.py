"""Runs handed to workers that stay alive from one to the next: what is the same wherever the workers are."""

from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic

from dropout_lab.app.errors import UserError
from dropout_lab.app.study.folder import RunResult
from dropout_lab.app.study.one_run import RunTask

# A run whose worker dies is done again, once: the next death may be its own fault, as by its memory.
ATTEMPTS = 2

# Workers in a row that die before they are ready: starting another is of no use.
STILLBORN = 10


@dataclass(frozen=True)
class Ready:
    """A worker is up and waits for a run."""


@dataclass(frozen=True)
class Started:
    """A run has been handed to a worker that is up."""


@dataclass(frozen=True)
class Busy:
    """Another process is at the run."""


@dataclass(frozen=True)
class Failed:
    """A run has failed, for a reason in one line."""

    reason: str


@dataclass(frozen=True)
class Died:
    """A worker has died, by a cause in one line."""

    cause: str


Event = Started | Failed | RunResult
"""What is told of a run: that a worker has it, any number of times, then once how it has ended."""

Answer = Ready | Busy | Failed | RunResult | Died
"""What a worker says: that it is up, then one word a run."""

OnEvent = Callable[[RunTask, Event], None]


class Worker(ABC):
    """Does one run at a time.

    Attributes:
        ready: it is up.
        alive: False once it has died or was killed.
        task: the run that it is at.
        started: when it was given the run.
    """

    def __init__(self) -> None:
        self.ready = False
        self.alive = True
        self.task: RunTask | None = None
        self.started = 0.0

    @abstractmethod
    def send(self, task: RunTask) -> None:
        """Hand a run over; a worker that has died meanwhile says so when it is next asked."""

    @abstractmethod
    def receive(self) -> Answer | None:
        """Return what the worker says, or that it has died; None: nothing yet."""

    @abstractmethod
    def kill(self) -> None:
        """End the worker, dead or alive, and wait until it has ended."""


class Engine(ABC):
    """Does runs, in whatever order and wherever; the numbers of a run do not depend on it.

    Args:
        timeout: seconds for a run, from when a worker has it; None: as long as it takes.
    """

    def __init__(self, timeout: float | None) -> None:
        self.timeout = timeout

    @abstractmethod
    def run(self, tasks: Sequence[RunTask], on_event: OnEvent) -> None:
        """Do all runs, whatever happens to some of them; events are told in this process."""

    @abstractmethod
    def room(self) -> int:
        """Return how many workers there may be now."""

    @abstractmethod
    def start(self) -> Worker:
        """Start another worker."""

    @abstractmethod
    def wait(self, workers: Sequence[Worker]) -> None:
        """Wait a little, or until one of the workers has something to say."""

    def work_off(self, tasks: Sequence[RunTask], on_event: OnEvent) -> None:
        """Do all runs; at the end, and when interrupted, no worker is left.

        A worker that dies is replaced, and its run done again once. One that takes too long over a run is killed, and
        its run has failed.

        Raises:
            UserError: workers die before they are up.
        """
        queue, deaths, stillborn = deque(tasks), Counter[str](), 0
        workers: list[Worker] = []
        try:
            while left := len(queue) + sum(worker.task is not None for worker in workers):
                while len(workers) < min(self.room(), left):
                    workers.append(self.start())
                for worker in workers:
                    if queue and worker.ready and worker.task is None:
                        worker.task, worker.started = queue.popleft(), monotonic()
                        worker.send(worker.task)
                        on_event(worker.task, Started())
                self.wait(workers)
                for worker in workers:
                    task, answer = worker.task, self._receive(worker)
                    if isinstance(answer, Died):
                        stillborn = 0 if worker.ready else stillborn + 1
                        if stillborn == STILLBORN:
                            raise UserError(f"the workers do not come up, the last because of {answer.cause}")
                        answer = answer if task is None else _after_death(task, answer.cause, deaths)
                    if isinstance(answer, Failed | RunResult):
                        assert task is not None, "only of a run is there something to tell"
                        on_event(task, answer)
                    elif answer is not None and task is not None:
                        queue.append(task)
                    if answer is not None:
                        worker.ready, worker.task = True, None
                    if not queue and worker.alive and worker.ready and worker.task is None:
                        # What it holds, others may want while the last runs go on.
                        worker.kill()
                        worker.alive = False
                workers = [worker for worker in workers if worker.alive]
        finally:
            for worker in workers:
                if worker.alive:
                    worker.kill()

    def _receive(self, worker: Worker) -> Answer | None:
        """Return what a worker says; kill it if it takes too long."""
        answer = worker.receive()
        if answer is None and worker.task is not None and self.timeout is not None:
            if monotonic() - worker.started > self.timeout:
                answer = Failed(f"took longer than the {self.timeout:g} s of --timeout, and was killed")
                worker.kill()
                worker.alive = False
                worker.task.files.fail(answer.reason)
        elif isinstance(answer, Died):
            worker.kill()
            worker.alive = False
        return answer


def _after_death(task: RunTask, cause: str, deaths: Counter[str]) -> RunResult | Failed | Busy:
    """Return what has become of a run whose worker has died; one that is to be done again counts as busy."""
    deaths[task.run.hash] += 1
    if (result := task.files.result()) is not None:
        # It died between the result and the word of it.
        return result
    if deaths[task.run.hash] < ATTEMPTS:
        return Busy()
    failed = Failed(f"its worker died {ATTEMPTS} times, the last time by {cause}")
    task.files.fail(failed.reason)
    return failed
