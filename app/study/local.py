"""Worker processes on this machine that stay alive from run to run."""

import multiprocessing
import os
import signal
from collections.abc import Sequence
from itertools import cycle
from multiprocessing import connection
from multiprocessing.context import SpawnProcess
from typing import cast, final

from dropout_lab.app.errors import UserError
from dropout_lab.app.study.command import Options
from dropout_lab.app.study.one_run import RunTask
from dropout_lab.app.study.scheduler import Crew, Engine, OnEvent, Worker, work_off
from dropout_lab.app.study.worker import Event, on_several, safe_path, serve, visible_gpus

# Whoever inherits a killed worker's end of the pipe keeps it open, so now and then it is looked whether it lives.
LOOK_SECONDS = 0.5


def engine(options: Options) -> Engine:
    """Return the engine that the options ask for.

    Raises:
        UserError: they ask for what only another has.
    """
    if options.gpus_per_run is not None:
        raise UserError("--gpus_per_run shares GPUs out with --engine ray alone")
    return PoolEngine(options.jobs or os.cpu_count() or 1, options.threads, options.timeout)


@final
class PoolEngine(Engine):
    """Spawned processes, each of which imports torch once, keeps its data, and has one GPU where there are any.

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
        gpus = [] if any(on_several(task.run.settings) for task in tasks) else visible_gpus()
        work_off(_Processes(self.jobs, self.threads, gpus), tasks, self.timeout, on_event)


@final
class _Processes(Crew):
    """So many processes on this machine, in turn on its GPUs."""

    def __init__(self, jobs: int, threads: int, gpus: Sequence[str]) -> None:
        self.jobs = jobs
        self.threads = threads
        self._gpus = cycle(gpus or [None])

    def room(self) -> int:
        """Return how many there may be."""
        return self.jobs

    def start(self) -> Worker:
        """Start a process."""
        return _Process(self.threads, next(self._gpus))

    def wait(self, workers: Sequence[Worker]) -> None:
        """Wait for a word of any, or until it is time to look whether all live."""
        connection.wait([worker.events for worker in cast(Sequence[_Process], workers)], LOOK_SECONDS)


@final
class _Process(Worker):
    """A process and the pipe to it."""

    def __init__(self, threads: int, gpu: str | None) -> None:
        super().__init__()
        context = multiprocessing.get_context("spawn")
        self.events, theirs = context.Pipe()
        self.process: SpawnProcess = context.Process(target=serve, args=(theirs, threads, gpu))
        with safe_path():
            self.process.start()
        theirs.close()

    @property
    def ready(self) -> bool:
        """It takes a run from the pipe when it is."""
        return True

    @property
    def cause_of_death(self) -> str:
        """Say how the process ended."""
        code = self.process.exitcode
        assert code is not None, "asked of a process that has ended"
        return f"signal {-code} ({signal.Signals(-code).name})" if code < 0 else f"exit code {code}"

    def end(self) -> None:
        """Kill the process, if it lives."""
        self.process.kill()
        self.process.join()
        self.events.close()

    def _send(self, task: RunTask) -> None:
        try:
            self.events.send(task)
        except BrokenPipeError:
            # It has died while it had nothing to do; that is seen when it is next looked at.
            return

    def _receive(self) -> tuple[list[Event], bool]:
        events: list[Event] = []
        # Looked at before the pipe: what a worker said before it died must not be missed.
        dead = not self.process.is_alive()
        try:
            while self.events.poll():
                events.append(self.events.recv())
        except (EOFError, ConnectionResetError):
            dead = True
        return events, dead
