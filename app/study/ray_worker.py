"""What a worker on Ray does: it finds the driver's files, and then does one run after another."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep
from typing import final

from app.study.cluster import ray
from app.study.devices import VISIBLE
from app.study.one_run import RunTask, prepare
from app.study.worker import Event, do

LOOK_SECONDS = 0.5


@final
class Runs:
    """Does runs; the body of a worker.

    Args:
        threads: of torch.
    """

    def __init__(self, threads: int) -> None:
        """Make this process one that does runs."""
        if not ray.get_runtime_context().get_accelerator_ids().get("GPU"):
            os.environ[VISIBLE] = ""
        prepare(threads)

    def look(self, folder: Path, mark: Path, patience: float) -> str | None:
        """Go to the driver's folder; return what is wrong here, or None.

        Args:
            folder: where the driver is.
            mark: a file that it has written.
            patience: seconds until that must be seen.
        """
        return complaint(folder, mark, patience)

    def do(self, task: RunTask) -> Iterator[Event]:
        """Do a run and tell of it."""
        yield from do(task)


def complaint(folder: Path, mark: Path, patience: float) -> str | None:
    """Go to a folder; return what is wrong there or with a file's absence, or None.

    Args:
        folder: where relative paths start.
        mark: the file.
        patience: seconds until it must be seen.
    """
    start = monotonic()
    while not (folder.is_dir() and mark.exists()):
        if monotonic() - start > patience:
            unseen = mark.parent if folder.is_dir() else folder
            return (
                f"the machine {socket.gethostname()} does not see the driver's {unseen}: on a cluster the folder "
                "where the command is given and --studies must be on a file system that all machines share"
            )
        sleep(LOOK_SECONDS)
    os.chdir(folder)
    return None
