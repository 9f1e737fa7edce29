"""Official archives: fetched over HTTP, checked, and unpacked."""

import contextlib
import fcntl
import hashlib
import os
import shutil
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from io import BufferedRandom
from pathlib import Path
from typing import final
from urllib.error import HTTPError
from urllib.request import Request, urlopen
from zipfile import BadZipFile

from rich.progress import DownloadColumn

from datamodules.errors import DownloadError
from datamodules.unpack import RefusedError, progress_bar, unpack

# Seconds without a byte after which a server is given up.
TIMEOUT = 30.0
CHUNK = 1 << 18

PARTIAL_CONTENT = 206
RANGE_NOT_SATISFIABLE = 416

# What zipfile raises of a file that is none, is damaged, or is packed in a way that it does not know.
NOT_A_ZIP = (BadZipFile, zlib.error, NotImplementedError, EOFError, UnicodeDecodeError)


@final
@dataclass(frozen=True)
class Archive:
    """A zip file that its owner offers, and what is known of it.

    Attributes:
        dataset: its name, for messages.
        url: where it is.
        size: bytes of the zip file.
        sha256: its checksum, hexadecimal.
        folder: the one folder in it.
        most_members: how many members it may have.
        most_bytes: how many bytes it may unpack to.
    """

    dataset: str
    url: str
    size: int
    sha256: str
    folder: str
    most_members: int
    most_bytes: int


def fetch_archive(archive: Archive, root: Path) -> None:
    """Fetch an archive and unpack it to ``root/archive.folder``; a folder that is there is left as it is.

    The zip file grows as ``root/FOLDER.zip.partial``, which stays if the connection is cut: the next call goes on from
    there. It is removed once it is unpacked, or found to be none of the owner's. The folder appears whole or not at
    all. Of several processes that ask for one folder one fetches and the others wait.

    Raises:
        DownloadError: the archive could not be fetched, is not the official one, or there is no room for it.
    """
    target = root / archive.folder
    if target.exists():
        return
    new_folders = [folder for folder in (root, *root.parents) if not folder.exists()]
    try:
        root.mkdir(parents=True, exist_ok=True)
        with _locked(root / f"{archive.folder}.zip.partial") as partial:
            # Another process may have been at it.
            if not target.exists():
                _check_space(archive, partial, shutil.disk_usage(root).free)
                _download(archive, partial)
                _unpack(archive, partial, target)
            partial.truncate(0)
    except (OSError, HTTPException, RefusedError, *NOT_A_ZIP) as error:
        # Folders that were made for nothing; those on the way to a partial file stay.
        with contextlib.suppress(OSError):
            for folder in new_folders:
                folder.rmdir()
        problem = str(error) or type(error).__name__
        raise DownloadError(archive.dataset, root, f"{archive.url}: {problem}") from error


@contextlib.contextmanager
def _locked(file: Path) -> Iterator[BufferedRandom]:
    """Open a file to append to, for this process alone; afterwards remove it if it is empty."""
    while True:
        with file.open("ab+") as opened:
            fcntl.flock(opened, fcntl.LOCK_EX)
            # Whoever had the lock before may have removed the file.
            if os.fstat(opened.fileno()).st_nlink == 0:
                continue
            try:
                yield opened
            finally:
                if _length(opened) == 0:
                    file.unlink()
            return


def _length(file: BufferedRandom) -> int:
    return file.seek(0, os.SEEK_END)


def _check_space(archive: Archive, partial: BufferedRandom, free: int) -> None:
    needed = archive.size - _length(partial) + archive.most_bytes
    if free < needed:
        raise RefusedError(f"it needs {needed} bytes of free disk space, there are {free}")


def _download(archive: Archive, partial: BufferedRandom) -> None:
    """Append to the partial file what it lacks."""
    if _length(partial) == archive.size:
        return
    with _answer(archive, partial) as response, progress_bar(DownloadColumn()) as progress:
        received = _length(partial)
        task = progress.add_task(f"{archive.folder}: download", total=archive.size, completed=received)
        while chunk := response.read(CHUNK):
            received += len(chunk)
            if received > archive.size:
                partial.truncate(0)
                raise RefusedError(f"more than the official {archive.size} bytes arrive")
            partial.write(chunk)
            progress.update(task, completed=received)
    if received < archive.size:
        raise RefusedError(
            f"the connection was cut after {received} of {archive.size} bytes, which are kept to go on from"
        )


def _answer(archive: Archive, partial: BufferedRandom) -> HTTPResponse:
    """Ask for the bytes from the partial file's end on; empty the file if the server begins anew."""
    start = _length(partial)
    try:
        response = _request(archive.url, start)
    except HTTPError as error:
        # It is an open response as well.
        error.close()
        if error.code != RANGE_NOT_SATISFIABLE:
            raise
        response = _request(archive.url, 0)
    if response.status == PARTIAL_CONTENT:
        expected = f"bytes {start}-{archive.size - 1}/{archive.size}"
        offered = response.headers.get("Content-Range", "no Content-Range")
    else:
        partial.truncate(0)
        expected = str(archive.size)
        # A server that does not tell the length is held to it by counting.
        offered = response.headers.get("Content-Length", expected)
    if offered != expected:
        response.close()
        partial.truncate(0)
        raise RefusedError(f"the server's file is not the official one: {offered!r} in place of {expected!r}")
    return response


def _request(url: str, start: int) -> HTTPResponse:
    headers = {"Range": f"bytes={start}-"} if start else {}
    response: HTTPResponse = urlopen(Request(url, headers=headers), timeout=TIMEOUT)
    return response


def _unpack(archive: Archive, partial: BufferedRandom, target: Path) -> None:
    """Unpack the file if it is the official one, and empty it if it is not."""
    try:
        partial.seek(0)
        actual = hashlib.file_digest(partial, "sha256").hexdigest()
        if actual != archive.sha256:
            raise RefusedError(f"what came has the SHA-256 {actual}, the official file {archive.sha256}")
        unpack(partial, target, archive.most_members, archive.most_bytes)
    except (RefusedError, *NOT_A_ZIP):
        partial.truncate(0)
        raise
