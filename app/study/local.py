"""Worker processes on this machine."""

import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import cycle
from multiprocessing import connection, forkserver, parent_process
from time import monotonic
from typing import Any, cast, final

import torch
from joblib import cpu_count

from dropout_lab.app.study.one_run import prepare
from dropout_lab.app.study.run_files import RunTask
from dropout_lab.app.study.scheduler import Answer, Died, Engine, Free, OnEvent, Worker
from dropout_lab.app.study.worker import VISIBLE, do_run, end_after, import_environment, on_several

# A fork of a server that has imported torch is up at once; macOS's own libraries do not stand a fork.
START_METHOD = "forkserver" if sys.platform == "linux" else "spawn"


@final
class PoolEngine(Engine):
    """Processes, each of which keeps its data from run to run, and sees one GPU where there are any."""

    _gpus: Iterator[str | None] = cycle([None])

    def run(self, tasks: Sequence[RunTask], on_event: OnEvent) -> None:
        """Do all runs, on the GPUs in turn if each is on one device."""
        several = any(on_several(task.run.settings) for task in tasks)
        visible = os.environ.get(VISIBLE)
        names = map(str, range(torch.cuda.device_count())) if visible is None else visible.split(",")
        self._gpus = cycle([None] if several else [name for name in names if name] or [None])
        super().run(tasks, on_event)

    def _room(self) -> int:
        return self.jobs or cpu_count()

    def _start(self) -> Worker:
        return _Process(self.threads, next(self._gpus))

    def _wait(self, workers: Sequence[Worker]) -> None:
        each = cast(Sequence[_Process], workers)
        connection.wait([end for one in each for end in (one.pipe, one.process.sentinel)], self.look_seconds)


@final
class _Process(Worker):
    """A process and the pipe to it. Processes share nothing, so that one that dies leaves the others alone."""

    def __init__(self, threads: int, gpu: str | None) -> None:
        context: Any = multiprocessing.get_context(START_METHOD)
        context.set_forkserver_preload([__name__])
        # A fork server knows only the environment in which it was started.
        environment = {**os.environ, **({} if gpu is None else {VISIBLE: gpu})}
        self.pipe, theirs = context.Pipe()
        self._deadline = 0.0
        self.process = context.Process(target=_serve, args=(theirs, threads, environment))
        server = START_METHOD == "forkserver"
        with _starting():
            # At once: what takes long, the server's imports, is waited for below, where Ctrl-C is heard.
            (forkserver.ensure_running if server else self.process.start)()
        if server:
            self.process.start()
        theirs.close()

    def send(self, task: RunTask) -> None:
        # It may have died while it had nothing to do.
        with suppress(ConnectionError):
            self.pipe.send(task)

    def receive(self) -> Answer | None:
        # Looked at before the pipe: what a worker said before it died must not be missed.
        dead = not self.process.is_alive()
        try:
            if self.pipe.poll():
                return cast(Answer, self.pipe.recv())
        except (EOFError, ConnectionResetError):
            dead = True
        if not dead:
            return None
        # Its end of the pipe may be closed a moment before it has ended.
        self._wait_or_kill(self.end_seconds)
        code = self.process.exitcode
        return Died(f"signal {-code} ({signal.Signals(-code).name})" if code < 0 else f"exit code {code}")

    def ask_to_end(self) -> None:
        if self.task is not None or not self.ready:
            self.process.terminate()
        # One that waits for its next run ends by this alone, and cleans up as none does that is killed.
        self.pipe.close()
        self._deadline = monotonic() + self.end_seconds

    def end(self) -> None:
        self._wait_or_kill(max(0.0, self._deadline - monotonic()))

    def _wait_or_kill(self, seconds: float) -> None:
        try:
            self.process.join(seconds)
        finally:
            self.process.kill()
            self.process.join()


@contextmanager
def _starting() -> Iterator[None]:
    """Let what is started meanwhile import what this process can, and leave Ctrl-C to this process."""
    before = dict(os.environ)
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.update(import_environment())
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
        signal.signal(signal.SIGINT, handler)


def _serve(pipe: "connection.Connection[Answer, RunTask]", threads: int, environment: dict[str, str]) -> None:
    """Do runs until the driver closes the pipe or ends: tasks come in through it, answers go out."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.clear()
    os.environ.update(environment)
    parent = parent_process()
    assert parent is not None, "the body of a process that was started by another"
    end_after(lambda: connection.wait([parent.sentinel]))
    prepare(threads)
    answer: Answer = Free()
    while (task := _next_task(pipe, answer)) is not None:
        answer = do_run(task, threads)


def _next_task(pipe: "connection.Connection[Answer, RunTask]", answer: Answer) -> RunTask | None:
    """Answer, and return the next run; None: the driver has none."""
    try:
        pipe.send(answer)
        return pipe.recv()
    except (EOFError, ConnectionError):
        return None
