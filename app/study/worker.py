"""A process that does one run after another, and what it tells of them."""

import os
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from multiprocessing import connection, parent_process
from pathlib import Path
from threading import Thread

import torch

from app.errors import UserError
from app.study.alone import run_alone
from app.study.devices import VISIBLE, on_several
from app.study.one_run import RunTask, prepare, run_one
from app.study.run_files import RunIsLocked, RunResult


@dataclass(frozen=True)
class Started:
    """A run has begun."""


@dataclass(frozen=True)
class Busy:
    """Another process is at the run."""


@dataclass(frozen=True)
class Failed:
    """A run has failed.

    Attributes:
        reason: in one line.
    """

    reason: str


Event = Started | Busy | Failed | RunResult
"""What a worker tells of a run."""


def serve(events: "connection.Connection[Event, RunTask]", threads: int, gpu: str | None) -> None:
    """Do runs until the other end is closed; the body of a worker process.

    Args:
        events: tasks come in, events go out.
        threads: of torch.
        gpu: the one that is seen here; None: whatever there is.
    """
    if gpu is not None:
        os.environ[VISIBLE] = gpu
    # Ctrl-C is the driver's to answer.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_die_with_parent, daemon=True).start()
    prepare(threads)
    while True:
        try:
            task = events.recv()
        except EOFError:
            return
        for event in do(task):
            events.send(event)


def do(task: RunTask) -> Iterator[Event]:
    """Do a run, whatever happens in it, and tell of it; its log has all that is printed meanwhile."""
    try:
        with task.files.locked(task.wait), printing_to(task.files.log):
            # Another process may have ended it since the task was given.
            if (result := task.files.result()) is not None:
                yield result
                return
            task.files.begin(task.run, task.command)
            yield Started()
            yield _survived(task)
    except RunIsLocked:
        yield Busy()


def _survived(task: RunTask) -> RunResult | Failed:
    try:
        several = on_several(task.run.settings)
        result = run_alone(task, torch.get_num_threads()) if several else run_one(task)
    except Exception as error:
        # Whatever it is, the others go on; the log has it all.
        traceback.print_exc()
        first = next(iter(str(error).splitlines()), "")
        failed = Failed(first if isinstance(error, UserError) else f"{type(error).__name__}: {first}")
        task.files.fail(failed.reason)
        return failed
    task.files.end(result)
    return result


@contextmanager
def printing_to(file: Path) -> Iterator[None]:
    """Let this process's stdout and stderr, and those of what it starts, go to a file."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = os.dup(1), os.dup(2)
    try:
        # By lines, so that a process that is killed has said what it said.
        with file.open("w", buffering=1) as log, redirect_stdout(log), redirect_stderr(log):
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
            yield
    finally:
        for number, old in enumerate(kept, start=1):
            os.dup2(old, number)
            os.close(old)


def _die_with_parent() -> None:
    parent = parent_process()
    assert parent is not None, "serve is the body of a process that was started by another"
    connection.wait([parent.sentinel])
    os._exit(1)
