"""Worker processes on this machine that stay alive from run to run."""

import multiprocessing
import signal
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import replace
from multiprocessing import connection
from multiprocessing.context import SpawnProcess
from time import monotonic
from typing import final

from app.study.engine import Engine, OnEvent
from app.study.folders import RunResult
from app.study.worker import Busy, Event, Failed, RunTask, Started, serve

# A run whose worker is killed is done again, once: the next kill may be its own fault, as by its memory.
ATTEMPTS = 2

# Whoever inherits a killed worker's end of the pipe keeps it open, so now and then it is looked whether it lives.
LOOK_SECONDS = 0.5


@final
class PoolEngine(Engine):
    """Spawned processes, each of which imports torch once and keeps its data.

    A worker that dies is replaced, and its run done again once. One that takes longer over a run than it may is
    killed, and its run has failed.

    Args:
        jobs: processes at most.
        threads: of torch in each.
        timeout: seconds for a run; None: as long as it takes.
    """

    def __init__(self, jobs: int, threads: int, timeout: float | None = None) -> None:
        """Keep the arguments; nothing is started yet."""
        self.jobs = jobs
        self.threads = threads
        self.timeout = timeout

    def run(self, tasks: Sequence[RunTask], on_event: OnEvent) -> None:
        """Do all runs; at the end, and when interrupted, no worker is left."""
        queue, attempts = deque(tasks), Counter[str]()
        workers: list[_Worker] = []
        try:
            while queue or any(worker.task for worker in workers):
                while queue and (free := self._free(workers)) is not None:
                    free.give(queue.popleft())
                busy = [worker for worker in workers if worker.task is not None]
                connection.wait([worker.events for worker in busy], LOOK_SECONDS)
                for worker in busy:
                    task = worker.task
                    assert task is not None
                    for event in worker.news(self.timeout):
                        if isinstance(event, Busy):
                            # Last of all, and then with patience.
                            queue.append(replace(task, wait=True))
                        else:
                            on_event(task, event)
                    if worker.task is not None and not worker.alive:
                        attempts[task.run.hash] += 1
                        self._after_death(task, worker, attempts[task.run.hash], queue, on_event)
                        worker.task = None
                workers = [worker for worker in workers if worker.alive]
        finally:
            for worker in workers:
                worker.end()

    def _free(self, workers: list["_Worker"]) -> "_Worker | None":
        """Return a worker without a run, a new one if there may be more."""
        for worker in workers:
            if worker.task is None:
                return worker
        if len(workers) < self.jobs:
            workers.append(_Worker(self.threads))
            return workers[-1]
        return None

    def _after_death(
        self, task: RunTask, worker: "_Worker", deaths: int, queue: deque[RunTask], on_event: OnEvent
    ) -> None:
        if worker.timed_out:
            reason = f"took longer than the {self.timeout:g} s of --timeout, and was killed"
        elif (result := task.files.result()) is not None:
            # It died between the result and the news of it.
            on_event(task, result)
            return
        elif deaths < ATTEMPTS:
            queue.append(task)
            return
        else:
            reason = f"its worker died {deaths} times, the last time by {worker.cause_of_death}"
        task.files.fail(reason)
        on_event(task, Failed(reason))


@final
class _Worker:
    """A process and the pipe to it."""

    def __init__(self, threads: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.events, theirs = context.Pipe()
        self.process: SpawnProcess = context.Process(target=serve, args=(theirs, threads))
        self.process.start()
        theirs.close()
        self.task: RunTask | None = None
        self.alive = True
        self.timed_out = False
        self._deadline_from: float | None = None

    def give(self, task: RunTask) -> None:
        """Hand out a run."""
        self.task = task
        try:
            self.events.send(task)
        except BrokenPipeError:
            # It has died while it had nothing to do; that is seen when it is next looked at.
            return

    def news(self, timeout: float | None) -> list[Event]:
        """Return what has happened; notice whether it lives, and kill it if it has taken too long."""
        events: list[Event] = []
        # Looked at before the pipe: what a worker said before it died must not be missed.
        dead = not self.process.is_alive()
        try:
            while self.events.poll():
                event: Event = self.events.recv()
                events.append(event)
                if isinstance(event, Started):
                    self._deadline_from = monotonic()
                if isinstance(event, Busy | Failed | RunResult):
                    self.task, self._deadline_from = None, None
        except (EOFError, ConnectionResetError):
            dead = True
        if timeout is not None and self._deadline_from is not None:
            self.timed_out = monotonic() - self._deadline_from > timeout
        if dead or self.timed_out:
            self.end()
        return events

    def end(self) -> None:
        """Kill the process, if it lives."""
        self.process.kill()
        self.process.join()
        self.events.close()
        self.alive = False

    @property
    def cause_of_death(self) -> str:
        """Say how the process ended."""
        code = self.process.exitcode
        assert code is not None, "asked of a process that has ended"
        return f"signal {-code} ({signal.Signals(-code).name})" if code < 0 else f"exit code {code}"
