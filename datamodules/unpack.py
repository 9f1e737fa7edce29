"""Zip files that are not trusted: every member is checked before anything is written; all or nothing."""

import shutil
import stat
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import BinaryIO
from zipfile import ZipFile, ZipInfo

from rich.console import Console
from rich.progress import Progress, ProgressColumn

ENCRYPTED = 0x1


class RefusedError(Exception):
    """What came is not what was expected."""


def unpack(file: BinaryIO, target: Path, most_members: int, most_bytes: int) -> None:
    """Unpack a zip file of one folder.

    It is unpacked beside the target at first and then renamed, so that the folder is there whole or not at all.

    Args:
        file: the zip file.
        target: where its folder goes; the name is that of the folder in the file. Must not exist.
        most_members: how many members there may be.
        most_bytes: how many bytes all of them may unpack to.

    Raises:
        RefusedError: a member may not be unpacked; nothing was written.
        BadZipFile: it is no zip file, or damaged; so says NotImplementedError or zlib.error.
        OSError: the target or a file cannot be written.
    """
    beside = target.with_name(f".{target.name}.unpacking")
    with ZipFile(file) as content, progress_bar() as progress:
        members = content.infolist()
        check_members(members, target.name, most_members, most_bytes)
        # Of a process that was killed.
        shutil.rmtree(beside, ignore_errors=True)
        try:
            for member in progress.track(members, description=f"{target.name}: unpack"):
                path = beside / member.filename
                if member.is_dir():
                    path.mkdir(parents=True, exist_ok=True)
                    continue
                path.parent.mkdir(parents=True, exist_ok=True)
                # zipfile hands out no more than the size that was checked, and compares the CRC at the end.
                with content.open(member) as packed, path.open("xb") as unpacked:
                    shutil.copyfileobj(packed, unpacked)
            (beside / target.name).rename(target)
        finally:
            shutil.rmtree(beside, ignore_errors=True)


def check_members(members: Sequence[ZipInfo], folder: str, most_members: int, most_bytes: int) -> None:
    """Check that a zip file's members stay in one folder and within bounds.

    Raises:
        RefusedError: one does not.
    """
    if not members:
        raise RefusedError("the zip file is empty")
    if len(members) > most_members:
        raise RefusedError(f"the zip file has {len(members)} members, where {most_members} are allowed")
    total = sum(member.file_size for member in members)
    if total > most_bytes:
        raise RefusedError(f"the zip file unpacks to {total} bytes, where {most_bytes} are allowed")
    seen: set[PurePosixPath] = set()
    for member in members:
        path = PurePosixPath(member.filename)
        problem = "is there twice" if path in seen else _problem(member, folder)
        if problem is not None:
            raise RefusedError(f"the zip file's member {member.orig_filename!r} {problem}")
        seen.add(path)


def _problem(member: ZipInfo, folder: str) -> str | None:
    # As it stands in the file: zipfile's own name is cut at a zero byte.
    name = member.orig_filename
    if any(character in name for character in "\0\\:"):
        return "has a backslash, a drive letter or a zero byte in its name"
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or path.parts[:1] != (folder,):
        return f"lies outside of {folder}/"
    if stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a link or another special file"
    if member.flag_bits & ENCRYPTED:
        return "is encrypted"
    return None


def progress_bar(*more: ProgressColumn) -> Progress:
    """Make a bar with more columns than the usual; it goes away when it is done, and is not drawn into a log."""
    console = Console(stderr=True)
    columns = (*Progress.get_default_columns(), *more)
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
