"""A process that does one run after another, and what it tells of them."""

import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from multiprocessing import connection, parent_process
from pathlib import Path
from threading import Thread

import torch
from pytorch_lightning.utilities import rank_zero_only

from dropout_lab.app.config.settings import Settings
from dropout_lab.app.errors import UserError
from dropout_lab.app.run.folder import RunIsLocked
from dropout_lab.app.study.one_run import RunTask, prepare, run_one
from dropout_lab.app.study.run_files import RunFiles, RunResult

SAFE_PATH = "PYTHONSAFEPATH"


def import_paths() -> str:
    """Return them as PYTHONPATH has them."""
    return os.pathsep.join(path or str(Path.cwd()) for path in sys.path)


@contextmanager
def safe_path() -> Iterator[None]:
    """Let processes that are started meanwhile not import from the current folder before the libraries."""
    before = os.environ.get(SAFE_PATH)
    os.environ[SAFE_PATH] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[SAFE_PATH]
        else:
            os.environ[SAFE_PATH] = before


VISIBLE = "CUDA_VISIBLE_DEVICES"


def on_several(settings: Settings) -> bool:
    """Return whether a run may be on more than one device."""
    return (settings.get("trainer") or {}).get("devices", 1) not in (1, "1")


def visible_gpus() -> list[str]:
    """Return the GPUs that may be used, by what CUDA_VISIBLE_DEVICES would name them."""
    named = os.environ.get(VISIBLE)
    if named is not None:
        return [name for name in named.split(",") if name]
    return [str(index) for index in range(torch.cuda.device_count())]


def run_alone(task: RunTask, threads: int) -> RunResult:
    """Do a run whose folder says what is asked, in processes that end with this one.

    Args:
        task: the run.
        threads: of torch in each process.

    Raises:
        UserError: it has failed; its log has the cause.
    """
    words = [str(task.files.path), str(threads), "panels" if task.panels else "none"]
    # What is imported here by its path, as a user's own variant, is found there too.
    # Not from the current folder first, as -m has it.
    environment = {**os.environ, "PYTHONPATH": import_paths(), SAFE_PATH: "1"}
    command = [sys.executable, "-m", __name__, *words]
    # Whoever reads the other end of this pipe learns that this process has died.
    with subprocess.Popen(command, stdin=subprocess.PIPE, env=environment) as process:
        code = process.wait()
    result = task.files.result()
    if code or result is None:
        last = next((line for line in reversed(task.files.log_end()) if line.strip()), "nothing in its log")
        raise UserError(f"its processes ended with code {code}: {last.strip()}")
    return result


def main(words: list[str]) -> None:
    """Do the run of a folder; one of its processes."""
    Thread(target=_end_with_parent, daemon=True).start()
    files = RunFiles(Path(words[0]))
    prepare(int(words[1]))
    result = run_one(RunTask(files.run(), files, panels=words[2] == "panels"))
    rank_zero_only(files.end)(result)


def _end_with_parent() -> None:
    # Not by sys.stdin, whose lock would be held when this process ends by itself.
    os.read(sys.stdin.fileno(), 1)
    os._exit(1)


if __name__ == "__main__":
    main(sys.argv[1:])


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
