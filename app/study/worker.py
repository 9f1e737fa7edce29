"""What a worker does with a run, whatever happens in it; torch is imported where a run begins.

A run on several devices has processes of its own, of which this is the program; they end with their worker.
"""

import json
import os
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from threading import Thread
from time import sleep

from dropout_lab.app.config.settings import Settings
from dropout_lab.app.errors import UserError
from dropout_lab.app.files import find_own_modules
from dropout_lab.app.run.folder import RunIsLocked
from dropout_lab.app.study.run_files import RunFiles, RunResult, RunTask
from dropout_lab.app.study.scheduler import Failed, Free

VISIBLE = "CUDA_VISIBLE_DEVICES"

# Before a run that another process is at is tried again, at the earliest.
BUSY_SECONDS = 0.5


def do_run(task: RunTask, threads: int) -> RunResult | Failed | Free:
    """Do a run with so many threads of torch in each process; its log has all that is printed meanwhile."""
    from dropout_lab.app.study.one_run import run_one

    try:
        with task.files.locked(wait=False), printing_to(task.files.log):
            # Another process may have ended it since the task was given.
            if (result := task.files.result()) is not None:
                return result
            task.files.begin(task.run, task.command)
            try:
                if on_several(task.run.settings):
                    run_in_processes(task, threads)
                else:
                    run_one(task)
            except Exception as error:
                # Whatever it is, the others go on; the log has it all.
                traceback.print_exc()
                first = next(iter(str(error).splitlines()), "")
                failed = Failed(first if isinstance(error, UserError) else f"{type(error).__name__}: {first}")
                task.files.fail(failed.reason)
                return failed
            task.files.failed_file.unlink(missing_ok=True)
            result = task.files.result()
            assert result is not None, "it has just been written"
            return result
    except RunIsLocked:
        sleep(BUSY_SECONDS)
        return Free()


@contextmanager
def printing_to(file: Path) -> Iterator[None]:
    """Let this process's stdout and stderr, and those of what it starts, go to a file."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = os.dup(1), os.dup(2)
    try:
        # By lines, so that a process that is killed has said what it said.
        with (
            file.open("a", buffering=1, encoding="utf-8", errors="backslashreplace") as log,
            redirect_stdout(log),
            redirect_stderr(log),
        ):
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
            yield
    finally:
        for number, old in enumerate(kept, start=1):
            os.dup2(old, number)
            os.close(old)


def on_several(settings: Settings) -> bool:
    """Return whether a run may be on more than one device."""
    return (settings.get("trainer") or {}).get("devices", 1) not in (1, "1")


def import_environment() -> dict[str, str]:
    """Return what lets a Python that is started import what this one can, and the current folder's files last."""
    paths = os.pathsep.join(path or str(Path.cwd()) for path in sys.path)
    return {"PYTHONPATH": paths, "PYTHONSAFEPATH": "1"}


def run_in_processes(task: RunTask, threads: int) -> None:
    """Do a run whose folder says what is asked; UserError if it has failed, of which its log has the cause."""
    options = {name: getattr(task, name) for name in ("panels", "tensorboard")}
    command = [sys.executable, "-m", __name__, str(task.files.path), str(threads), json.dumps(options)]
    # Whoever reads the other end of this pipe learns that this process has died.
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, env={**os.environ, **import_environment()}
    ) as process:
        code = process.wait()
    if code or task.files.result() is None:
        last = next((line for line in reversed(task.files.log_end()) if line.strip()), "nothing in its log")
        raise UserError(f"its processes ended with code {code}: {last.strip()}")


def end_after(wait: Callable[[], object]) -> None:
    """End this process as soon as a call returns, as one that waits for the end of another process."""

    def end() -> None:
        wait()
        os._exit(1)

    Thread(target=end, daemon=True).start()


def main(folder: str, threads: str, options: str) -> None:
    """Do the run of a folder; one of its processes."""
    # Not by sys.stdin, whose lock would be held when this process ends by itself.
    end_after(lambda: os.read(sys.stdin.fileno(), 1))
    find_own_modules()
    from dropout_lab.app.study.one_run import prepare, run_one

    files = RunFiles(Path(folder))
    prepare(int(threads))
    run_one(RunTask(files.run(), files, **json.loads(options)))


if __name__ == "__main__":
    main(*sys.argv[1:])
