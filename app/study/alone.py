"""A run in processes of its own, as one on several devices needs it: ``python -m app.study.alone FOLDER``.

Lightning's strategies start the processes of the other devices by giving the command line again, so it must be that of
the run and nothing else.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from threading import Thread

from pytorch_lightning.utilities import rank_zero_only

from app.errors import UserError
from app.study.grid import Run
from app.study.imports import SAFE_PATH, import_paths
from app.study.one_run import RunTask, prepare, run_one
from app.study.run_files import RunFiles, RunResult


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
    about = json.loads((files.path / "run.json").read_text())
    run = Run(about["labels"], about["seed"], files.settings(), about["hash"])
    result = run_one(RunTask(run, files, panels=words[2] == "panels"))
    rank_zero_only(files.end)(result)


def _end_with_parent() -> None:
    # Not by sys.stdin, whose lock would be held when this process ends by itself.
    os.read(sys.stdin.fileno(), 1)
    os._exit(1)


if __name__ == "__main__":
    main(sys.argv[1:])
