"""Files that are read within bounds, and appear when they are whole; and where modules are found."""

import errno
import os
import re
import secrets
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from dropout_lab.app.errors import UserError

PARTIAL = ".partial"
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


def unused_name(file: Path) -> Path:
    """Return a name beside a file that nobody can foresee, for what will be renamed to it."""
    return file.with_name(f".{secrets.token_hex(8)}{PARTIAL}")


def local_path(text: str) -> Path:
    """Return a path; UserError if it is a URL, of which the system would make a folder called ``s3:``."""
    if REMOTE.match(text):
        raise UserError(
            f"{text}: files are read and written on disks alone; mount it (s3fs, gcsfuse, rclone mount) and give the "
            "folder, or copy it"
        )
    return Path(text)


@contextmanager
def whole_file(file: Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Write a file beside its place and rename it there at the end; a file that was there before is replaced.

    A link in its place is replaced too, and what it leads to stays: the folder may be a stranger's.

    Args:
        file: the file; its folder is there.
        mode: ``"w"`` for text in UTF-8, with line ends as they are written, or ``"wb"``. What UTF-8 does not have, as
            in a path of other bytes, is escaped as Python does it.

    Raises:
        OSError: it cannot be written; the error's ``filename`` is the file, which a full disk would not say. What was
            there before is untouched, and nothing is left beside it.
    """
    partial = unused_name(file)
    text = {} if "b" in mode else {"newline": "", "encoding": "utf-8", "errors": "backslashreplace"}
    with naming(file):
        # By x, which opens nothing that is there, not through a link either.
        stream = partial.open(mode.replace("w", "x"), **text)  # type: ignore[call-overload]
        try:
            with stream:
                yield stream
            partial.replace(file)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise


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


@contextmanager
def naming(file: Path) -> Iterator[None]:
    """Let an OSError that says nothing of a file, as that of a full disk, or of a partial one, name this one."""
    try:
        yield
    except OSError as error:
        if error.errno is None or not (error.filename is None or str(error.filename).endswith(PARTIAL)):
            raise
        raise OSError(error.errno, error.strerror, str(file)) from error


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
