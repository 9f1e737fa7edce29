"""Files that appear when they are whole, or leave nothing and say which it was; and where modules are found."""

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from dropout_lab.app.errors import UserError

PARTIAL = ".partial"
# s3://bucket, also as a path that has been cleaned; no letter of a disk.
REMOTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")
CHECKOUT = Path(__file__).resolve().parents[1]
"""Folder of the rooms; of an installed package it is ``dropout_lab`` itself, from where nothing is imported."""


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

    Args:
        file: the file; its folder is there.
        mode: ``"w"`` for text in UTF-8, with line ends as they are written, or ``"wb"``.

    Raises:
        OSError: it cannot be written; the error's ``filename`` is the file, which a full disk would not say. What was
            there before is untouched, and nothing is left beside it.
    """
    partial = file.with_suffix(PARTIAL)
    text = {} if "b" in mode else {"newline": "", "encoding": "utf-8"}
    with naming(file):
        stream = partial.open(mode, **text)  # type: ignore[call-overload]
        try:
            with stream:
                yield stream
            partial.replace(file)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise


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
    """Let an OSError that says nothing of a file, as that of a full disk, name this one."""
    try:
        yield
    except OSError as error:
        if error.filename is not None or error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, str(file)) from error


def find_own_modules() -> None:
    """Let a user's variant, network or data be named by import path from where the program is started.

    The current folder comes last, so that a file beside one's data that is called yaml.py is not taken for the library.
    A checkout whose cli.py was started gives way to its folder src, which holds dropout_lab and nothing else: the rooms
    must not hide a user's own models/ or callbacks.py. Processes that are started from here get the same paths.
    """
    here, rooms = str(Path.cwd()), str(CHECKOUT)
    paths = (str(CHECKOUT / "src") if os.path.realpath(path) == rooms else path for path in sys.path)
    sys.path[:] = [*(path for path in dict.fromkeys(paths) if path != here), here]
