"""A run on several devices, which has processes of its own; they end with the worker that has started them.

Nothing here imports torch before it is known whether the worker lives.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

from dropout_lab.app.config.settings import Settings
from dropout_lab.app.errors import UserError
from dropout_lab.app.study.run_files import RunFiles, RunResult

if TYPE_CHECKING:
    from dropout_lab.app.study.one_run import RunTask


def on_several(settings: Settings) -> bool:
    """Return whether a run may be on more than one device."""
    return (settings.get("trainer") or {}).get("devices", 1) not in (1, "1")


def import_environment() -> dict[str, str]:
    """Return what lets a Python that is started import what this one can, and the current folder's files last."""
    paths = os.pathsep.join(path or str(Path.cwd()) for path in sys.path)
    return {"PYTHONPATH": paths, "PYTHONSAFEPATH": "1"}


def run_in_processes(task: "RunTask", threads: int) -> RunResult:
    """Do a run whose folder says what is asked, with so many threads of torch in each process.

    Raises:
        UserError: it has failed; its log has the cause.
    """
    options = {name: getattr(task, name) for name in ("panels", "tensorboard")}
    command = [sys.executable, "-m", __name__, str(task.files.path), str(threads), json.dumps(options)]
    environment = {**os.environ, **import_environment()}
    # Whoever reads the other end of this pipe learns that this process has died.
    with subprocess.Popen(command, stdin=subprocess.PIPE, env=environment) as process:
        code = process.wait()
    result = task.files.result()
    if code or result is None:
        last = next((line for line in reversed(task.files.log_end()) if line.strip()), "nothing in its log")
        raise UserError(f"its processes ended with code {code}: {last.strip()}")
    return result


def main(folder: str, threads: str, options: str) -> None:
    """Do the run of a folder; one of its processes."""
    Thread(target=_end_with_worker, daemon=True).start()
    from pytorch_lightning.utilities import rank_zero_only

    from dropout_lab.app.study.one_run import RunTask, prepare, run_one

    files = RunFiles(Path(folder))
    prepare(int(threads))
    result = run_one(RunTask(files.run(), files, **json.loads(options)))
    rank_zero_only(files.end)(result)


def _end_with_worker() -> None:
    # Not by sys.stdin, whose lock would be held when this process ends by itself.
    os.read(sys.stdin.fileno(), 1)
    os._exit(1)


if __name__ == "__main__":
    main(*sys.argv[1:])
