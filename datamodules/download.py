"""Official files: fetched over HTTP, checked, and unpacked."""

import hashlib
import io
import shutil
import stat
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path, PurePosixPath
from typing import IO, final
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen
from zipfile import BadZipFile, ZipFile, ZipInfo

from rich.console import Console
from rich.progress import DownloadColumn, Progress, ProgressColumn

from dropout_lab.datamodules.errors import DatasetCorruptError, DownloadError
from dropout_lab.datamodules.locks import exclusive

# Seconds without a byte after which a server is given up.
TIMEOUT = 30.0
CHUNK = 1 << 18

PARTIAL_CONTENT = 206
RANGE_NOT_SATISFIABLE = 416
ENCRYPTED = 0x1

# What zipfile raises of a file that is none, is damaged, or is packed in a way that it does not know.
NOT_A_ZIP = (BadZipFile, zlib.error, NotImplementedError, EOFError, UnicodeDecodeError)


class RefusedError(Exception):
    """What came is not the official file, or may not be unpacked."""


@final
@dataclass(frozen=True)
class Archive:
    """A zip file that its owner offers, and what is known of it."""

    dataset: str
    url: str
    size: int
    """Bytes of the zip file."""
    sha256: str
    folder: str
    """The one folder in it."""
    most_members: int
    most_bytes: int
    """Bytes that all members may unpack to."""


def fetch_archive(archive: Archive, root: Path) -> None:
    """Fetch an archive and unpack it to ``root/archive.folder``; a folder that is there is left as it is.

    The zip file grows as ``root/FOLDER.zip.partial``, which stays if the connection is cut: the next call resumes
    there. It is removed once it is unpacked, or found not to be the official one. The folder appears whole or not at
    all. Of several processes that ask for one folder one fetches and the others wait. Whatever fails raises
    DownloadError.
    """
    target, partial = root / archive.folder, root / f"{archive.folder}.zip.partial"
    if target.exists():
        return
    new_folders = [folder for folder in (root, *root.parents) if not folder.exists()]
    try:
        root.mkdir(parents=True, exist_ok=True)
        with exclusive(root / f".{archive.folder}.lock", f"fetching {archive.dataset}"):
            # Another process may have been at it.
            if not target.exists():
                _fetch(archive, partial, target)
    except (OSError, HTTPException, RefusedError, *NOT_A_ZIP) as error:
        # Folders that were made for nothing; those on the way to a partial file stay.
        with suppress(OSError):
            for folder in new_folders:
                folder.rmdir()
        problem = str(error) or type(error).__name__
        raise DownloadError(archive.dataset, root, f"{archive.url}: {problem}") from error


def _fetch(archive: Archive, partial: Path, target: Path) -> None:
    for made in (partial, _unpacked_beside(target)):
        # The folder may be a stranger's, and these names can be foreseen.
        if made.is_symlink():
            raise OSError(f"{made} is a link, and nothing is written through one: remove it")
    received = partial.stat().st_size if partial.exists() else 0
    needed, free = archive.size - received + archive.most_bytes, shutil.disk_usage(target.parent).free
    if free < needed:
        raise OSError(f"it needs {needed} bytes of free disk space, there are {free}")
    try:
        if received != archive.size:
            _download(archive, partial, received)
        with partial.open("rb") as stream:
            actual = hashlib.file_digest(stream, "sha256").hexdigest()
        if actual != archive.sha256:
            raise RefusedError(f"what came has the SHA-256 {actual}, the official file {archive.sha256}")
        unpack(partial, target, archive.most_members, archive.most_bytes)
    except (RefusedError, *NOT_A_ZIP):
        partial.unlink(missing_ok=True)
        raise
    partial.unlink()


def _download(archive: Archive, partial: Path, received: int) -> None:
    """Append to the partial file what it lacks, or begin anew if the server does."""
    with _answer(archive, received) as response, _progress_bar(DownloadColumn()) as progress:
        continues = response.status == PARTIAL_CONTENT
        received = received if continues else 0
        task = progress.add_task(f"{archive.folder}: download", total=archive.size, completed=received)
        try:
            with partial.open("ab" if continues else "wb") as stream:
                while chunk := response.read(CHUNK):
                    received += len(chunk)
                    if received > archive.size:
                        raise RefusedError(f"more than the official {archive.size} bytes arrive")
                    stream.write(chunk)
                    progress.update(task, completed=received)
        finally:
            if not received:
                partial.unlink(missing_ok=True)
    if received < archive.size:
        raise ConnectionError(
            f"the connection was cut after {received} of {archive.size} bytes, which are kept to go on from"
        )


def _answer(archive: Archive, start: int) -> HTTPResponse:
    """Ask for the bytes from ``start`` on; of a server that does not give these, for all."""
    headers = {"Range": f"bytes={start}-"} if start else {}
    try:
        response: HTTPResponse = urlopen(Request(archive.url, headers=headers), timeout=TIMEOUT)
    except HTTPError as error:
        # It is an open response as well.
        error.close()
        if error.code != RANGE_NOT_SATISFIABLE:
            raise
        response = urlopen(archive.url, timeout=TIMEOUT)
    if response.status == PARTIAL_CONTENT:
        expected = f"bytes {start}-{archive.size - 1}/{archive.size}"
        offered = response.headers.get("Content-Range", "no Content-Range")
    else:
        expected = str(archive.size)
        # A server that does not tell the length is held to it by counting.
        offered = response.headers.get("Content-Length", expected)
    if offered != expected:
        response.close()
        raise RefusedError(f"the server's file is not the official one: {offered!r} in place of {expected!r}")
    return response


def unpack(file: Path | IO[bytes], target: Path, most_members: int, most_bytes: int) -> None:
    """Unpack a zip file of one folder, called as ``target``, which must not exist, to there, whole or not at all.

    Raises:
        RefusedError: a member may not be unpacked; nothing was written.
        NOT_A_ZIP: it is no zip file, or damaged.
    """
    beside = _unpacked_beside(target)
    with ZipFile(file) as content, _progress_bar() as progress:
        members = content.infolist()
        _check_members(members, target.name, most_members, most_bytes)
        # Of a process that was killed.
        shutil.rmtree(beside, ignore_errors=True)
        try:
            for member in progress.track(members, description=f"{target.name}: unpack"):
                # No more than the size that was checked; the CRC is compared at the end.
                content.extract(member, beside)
            (beside / target.name).rename(target)
        finally:
            shutil.rmtree(beside, ignore_errors=True)


def _unpacked_beside(target: Path) -> Path:
    return target.with_name(f".{target.name}.unpacking")


def _check_members(members: Sequence[ZipInfo], folder: str, most_members: int, most_bytes: int) -> None:
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


def _progress_bar(*more: ProgressColumn) -> Progress:
    console = Console(stderr=True)
    columns = (*Progress.get_default_columns(), *more)
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def read_verified(file: Path, md5: str) -> bytes:
    """Return a file's bytes, or raise DatasetCorruptError if their MD5 is another one.

    The bytes that were checked are the bytes that are returned, so that nothing can change in between.
    """
    content = file.read_bytes()
    actual = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if actual != md5:
        raise DatasetCorruptError(file, f"its MD5 is {actual}, the official one {md5} ({len(content)} bytes)")
    return content


@contextmanager
def torchvision_download(dataset: str, root: Path) -> Iterator[None]:
    """Raise DownloadError if torchvision, called inside, cannot download official files into ``root``."""
    try:
        # torchvision prints a line for each file that is there already.
        with redirect_stdout(io.StringIO()):
            yield
    except (URLError, RuntimeError, OSError) as error:
        raise DownloadError(dataset, root, str(error)) from error
