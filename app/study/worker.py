"""What a worker does with a run, whatever happens in it."""

import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from time import sleep

import torch

from dropout_lab.app.errors import UserError
from dropout_lab.app.run.folder import RunIsLocked
from dropout_lab.app.study.one_run import RunTask, run_one
from dropout_lab.app.study.processes import on_several, run_in_processes
from dropout_lab.app.study.run_files import RunResult
from dropout_lab.app.study.scheduler import Failed, Free

VISIBLE = "CUDA_VISIBLE_DEVICES"

# Before a run that another process is at is tried again, at the earliest.
BUSY_SECONDS = 0.5


def do_run(task: RunTask) -> RunResult | Failed | Free:
    """Do a run, whatever happens in it; its log has all that is printed meanwhile."""
    try:
        with task.files.locked(wait=False), printing_to(task.files.log):
            # Another process may have ended it since the task was given.
            if (result := task.files.result()) is not None:
                return result
            task.files.begin(task.run, task.command)
            try:
                several = on_several(task.run.settings)
                result = run_in_processes(task, torch.get_num_threads()) if several else run_one(task)
            except Exception as error:
                # Whatever it is, the others go on; the log has it all.
                traceback.print_exc()
                first = next(iter(str(error).splitlines()), "")
                failed = Failed(first if isinstance(error, UserError) else f"{type(error).__name__}: {first}")
                task.files.fail(failed.reason)
                return failed
            task.files.end(result)
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
        with file.open("w", buffering=1) as log, redirect_stdout(log), redirect_stderr(log):
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
            yield
    finally:
        for number, old in enumerate(kept, start=1):
            os.dup2(old, number)
            os.close(old)
