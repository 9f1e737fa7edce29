"""Runs on Ray: the machines are Ray's to choose, and each worker does one run after another there."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any, cast, final
from uuid import uuid4

from app.errors import UserError
from app.study import cluster
from app.study.cluster import ray
from app.study.command import Options
from app.study.engine import Engine, OnEvent
from app.study.one_run import RunTask
from app.study.ray_worker import Runs
from app.study.worker import Event
from app.study.workers import Crew, Worker, work_off

LOOK_SECONDS = 0.5

# Until a file that was written here is seen on another machine.
SHARE_SECONDS = 10.0

# Until a worker that was killed has ended.
END_SECONDS = 5.0

# Workers in a row that die before their first word: it is not for the loss of a machine any more.
STILLBORN = 10


def engine(options: Options) -> Engine:
    """Return the engine that the options ask for.

    Raises:
        UserError: nobody answers at the cluster's address.
    """
    if (address := cluster.joined()) is not None:
        cluster.check_address(address)
    return RayEngine(options.jobs, options.threads, options.gpus_per_run, options.timeout)


@final
class RayEngine(Engine):
    """Ray actors, each of which imports torch once and keeps its data and its share of a GPU.

    A worker is lost with its machine, and its run then done on another.

    Args:
        jobs: workers at most; None: as many as the machine has cores, or the cluster has room for.
        threads: of torch in each, which are cores to Ray.
        gpus: for each, or a share of one; None: not said, which will do where there is none.
        timeout: seconds for a run; None: as long as it takes.
    """

    def __init__(
        self, jobs: int | None, threads: int, gpus: float | None = None, timeout: float | None = None
    ) -> None:
        """Keep the arguments; nothing is started yet."""
        self.jobs = jobs
        self.threads = threads
        self.gpus = gpus
        self.timeout = timeout

    def run(self, tasks: Sequence[RunTask], on_event: OnEvent) -> None:
        """Do all runs; at the end, and when interrupted, no worker is left, and no Ray of our own.

        Raises:
            UserError: Ray cannot be had, has no room for a run, or has machines that do not see the files.
        """
        if not tasks:
            return
        jobs = self.jobs
        if jobs is None and cluster.joined() is None:
            jobs = os.cpu_count() or 1
        with cluster.connected((jobs or 1) * self.threads), _mark(tasks[0].files.path.parent) as mark:
            try:
                work_off(_Actors(jobs, self.threads, self.gpus, mark), tasks, self.timeout, on_event)
            except ray.exceptions.RayError as error:
                raise UserError(
                    f"Ray itself was lost: {_in_one_line(error)}; what is done is kept: give the command again"
                ) from error


@contextmanager
def _mark(folder: Path) -> Iterator[Path]:
    """Write a file by which workers know that they see the same folder."""
    mark = folder.absolute() / f".{uuid4().hex}"
    folder.mkdir(parents=True, exist_ok=True)
    mark.touch()
    try:
        yield mark
    finally:
        mark.unlink()


@final
class _Actors(Crew):
    """As many workers as Ray has room for."""

    def __init__(self, jobs: int | None, threads: int, gpus: float | None, mark: Path) -> None:
        self.jobs = jobs
        self.threads = threads
        self.gpus = gpus
        self.mark = mark
        self.stillborn = 0

    def room(self) -> int:
        """Return what is asked for, or else what Ray has now: machines come and go."""
        places = cluster.room(self.threads, self.gpus)
        return self.jobs or places

    def start(self) -> Worker:
        """Ask Ray for a worker, which is there once Ray has found a place."""
        remote: Any = ray.remote(Runs)
        options = remote.options(num_cpus=self.threads, num_gpus=self.gpus or 0, max_restarts=0)
        actor = options.remote(self.threads)
        return _Actor(self, actor, actor.look.remote(Path.cwd(), self.mark, SHARE_SECONDS))

    def wait(self, workers: Sequence[Worker]) -> None:
        """Wait for a word of any; those that have nothing to do have none."""
        actors = cast(Sequence["_Actor"], workers)
        expected = [actor.expected for actor in actors if actor.expected is not None]
        if expected:
            ray.wait(expected, timeout=LOOK_SECONDS, fetch_local=False)


@final
class _Actor(Worker):
    """The driver's end of a worker.

    Args:
        crew: that it belongs to.
        actor: the other end.
        look: its first word, on whether it can work.
    """

    def __init__(self, crew: _Actors, actor: Any, look: "ray.ObjectRef[str | None]") -> None:
        super().__init__()
        self.expected: ray.ObjectRef[str | None] | ray.ObjectRefGenerator | None = look
        self._crew = crew
        self._actor = actor
        self._ready = False
        self._death = ""

    @property
    def ready(self) -> bool:
        """Ray has found a place for it, and it has looked around there."""
        return self._ready and self.alive

    @property
    def cause_of_death(self) -> str:
        """Say it as Ray does."""
        return self._death

    def end(self) -> None:
        """Kill the process, wherever it is."""
        ray.kill(self._actor)
        doing, end = self.expected, monotonic() + END_SECONDS
        # What it was at ends with an error as soon as it is dead, and lets go of its lock.
        while isinstance(doing, ray.ObjectRefGenerator) and monotonic() < end:
            if ray.wait([doing], timeout=LOOK_SECONDS, fetch_local=False)[0]:
                try:
                    ray.get(next(doing))
                except (StopIteration, ray.exceptions.RayError):
                    return

    def _send(self, task: RunTask) -> None:
        self.expected = self._actor.do.options(num_returns="streaming").remote(task)

    def _receive(self) -> tuple[list[Event], bool]:
        events: list[Event] = []
        try:
            while self.expected is not None and ray.wait([self.expected], timeout=0, fetch_local=False)[0]:
                event = self._word()
                events += [] if event is None else [event]
        except ray.exceptions.RayError as error:
            self.expected, self._death = None, _in_one_line(error)
            self._count(born=self._ready)
            return events, True
        return events, False

    def _word(self) -> Event | None:
        """Return what is there; None if it is nothing about a run."""
        assert self.expected is not None, "a word was awaited"
        if isinstance(self.expected, ray.ObjectRefGenerator):
            try:
                event: Event = ray.get(next(self.expected))
            except StopIteration:
                self.expected = None
                return None
            return event
        look, self.expected = self.expected, None
        complaint = ray.get(look)
        if complaint is not None:
            raise UserError(complaint)
        self._ready = True
        self._count(born=True)
        return None

    def _count(self, born: bool) -> None:
        self._crew.stillborn = 0 if born else self._crew.stillborn + 1
        if self._crew.stillborn == STILLBORN:
            raise UserError(f"Ray's workers do not come up, the last because of {self._death}")


def _in_one_line(error: Exception) -> str:
    """Return what of Ray's page says why: the last line, two sentences of it."""
    line = (str(error).strip().splitlines() or [type(error).__name__])[-1]
    return ". ".join(line.split(". ")[:2])
