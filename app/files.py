"""Files that are read within bounds, folders that are made for them; and where modules are found."""

import errno
import os
import re
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dropout_lab.app.errors import UserError
from dropout_lab.ground import PARTIAL

# Where a shell puts what it has opened for a program: <(…), and what is piped into it.
OPENED = (Path("/dev/fd"), Path("/proc/self/fd"))
STDIN = Path("/dev/stdin")
KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}
# s3://bucket, also as a path that has been cleaned; no letter of a disk.
REMOTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")
CHECKOUT = Path(__file__).resolve().parents[1]
"""Folder of the rooms; of an installed package it is ``dropout_lab`` itself, from where nothing is imported."""


def special(file: Path) -> str | None:
    """Return what it is that lies at a path and cannot be read to its end: a pipe, a device; None for all others."""
    try:
        return KINDS.get(stat.S_IFMT(file.stat().st_mode))
    except (OSError, ValueError):
        # Not there, or no path: whoever opens it says so.
        return None


def is_opened_pipe(file: Path) -> bool:
    """Return whether it is a pipe that the shell has opened, ``<(…)``: it can be read, once."""
    return special(file) == KINDS[stat.S_IFIFO] and (file.parent in OPENED or file == STDIN)


def read_bytes(file: Path, most: int) -> bytes:
    """Return what is in a file, or OSError: it holds more than so many bytes, or is a pipe or a device.

    A pipe without a writer would be waited for, a device has no end.
    """
    if (kind := special(file)) and not is_opened_pipe(file):
        raise OSError(errno.EINVAL, f"it is {kind}", str(file))
    with file.open("rb") as stream:
        content = stream.read(most + 1)
    if len(content) > most:
        raise OSError(errno.EINVAL, f"it holds more than {most:,} bytes", str(file))
    return content


def expand_home(path: Path) -> Path:
    """Return a path with its ``~`` spelt out; OSError if there is no such user, or no home."""
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise OSError(errno.ENOENT, "there is no such home folder", str(path)) from error


def local_path(text: str) -> Path:
    """Return a path; UserError if it is a URL, of which the system would make a folder called ``s3:``."""
    if REMOTE.match(text):
        raise UserError(
            f"{text}: files are read and written on disks alone; mount it (s3fs, gcsfuse, rclone mount) and give the "
            "folder, or copy it"
        )
    return Path(text)


def remove_partial(folder: Path) -> None:
    """Remove what processes that were killed have left half-written; nobody else may be writing there."""
    for partial in folder.glob(f"*{PARTIAL}"):
        partial.unlink(missing_ok=True)


@contextmanager
def folder_for(folder: Path) -> Iterator[None]:
    """Make a folder for what is written inside; if that fails, remove the empty folders that were made for it."""
    made = [each for each in (folder, *folder.parents) if not each.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        for each in made:
            with suppress(OSError):
                each.rmdir()
        raise


def find_own_modules() -> None:
    """Let a user's variant, network or data be named by import path from where the program is started.

    The current folder comes last, so that a file beside one's data that is called yaml.py is not taken for the library.
    A checkout whose cli.py was started gives way to its folder src, which holds dropout_lab and nothing else: the rooms
    must not hide a user's own models/ or callbacks.py. Processes that are started from here get the same paths.
    """
    try:
        here, rooms = str(Path.cwd()), str(CHECKOUT)
    except FileNotFoundError as error:
        raise OSError(errno.ENOENT, "the folder you stand in is gone", ".") from error
    paths = (str(CHECKOUT / "src") if os.path.realpath(path) == rooms else path for path in sys.path)
    sys.path[:] = [*(path for path in dict.fromkeys(paths) if path != here), here]
