"""The file that holds decoded images: how it is read, and made by one process at a time."""

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from struct import Struct
from typing import NamedTuple

import torch
from torch import Tensor

MAGIC = b"decoded1"
# At the very end: bytes of the JSON before it, MAGIC. A file that was cut has no such end.
END = Struct("<Q8s")


class BrokenArrayError(Exception):
    """A file is not what was written."""


class ArrayFile(NamedTuple):
    """Decoded images: pixels, then a JSON object, then :data:`END`."""

    pixels: Tensor
    """``(N, 3, S, S)`` uint8, mapped: pages are read when they are looked at, and shared by all processes."""
    problems: dict[str, str]
    """Digests of files that could not be decoded, and why. Their pixels are 0."""


def pixel_bytes(images: int, size: int) -> int:
    """Return how much pixels take."""
    return images * 3 * size * size


def load_array(file: Path, images: int, size: int) -> ArrayFile:
    """Map a file.

    Raises:
        FileNotFoundError: there is none.
        BrokenArrayError: it is truncated, or something else.
    """
    pixels = pixel_bytes(images, size)
    with file.open("rb") as stream:
        length = stream.seek(0, os.SEEK_END)
        if length < pixels + END.size:
            raise BrokenArrayError(f"{length:,} bytes, fewer than its pixels take")
        stream.seek(length - END.size)
        written, magic = END.unpack(stream.read(END.size))
        if magic != MAGIC or length != pixels + written + END.size:
            raise BrokenArrayError("no such end as was written")
        stream.seek(pixels)
        try:
            problems = json.loads(stream.read(written))
        except ValueError as error:
            raise BrokenArrayError("no such end as was written") from error
    # A private mapping: should a user write into the tensor, the file stays as it is.
    mapped = torch.from_file(str(file), shared=False, size=pixels, dtype=torch.uint8)
    return ArrayFile(mapped.view(images, 3, size, size), problems)


def write_pixels(descriptor: int, content: bytes, start: int) -> None:
    """Write pixels at their place; a disk that fills up is an error, where a mapping would kill the process.

    Raises:
        OSError: they cannot be written.
    """
    view = memoryview(content)
    while view:
        written = os.pwrite(descriptor, view, start)
        view, start = view[written:], start + written


def write_end(descriptor: int, problems: dict[str, str], pixels: int) -> None:
    """Write what follows the pixels, and wait until all is on the disk."""
    facts = json.dumps(problems).encode()
    write_pixels(descriptor, facts + END.pack(len(facts), MAGIC), pixels)
    os.fsync(descriptor)


@contextmanager
def only_builder(building: Path, wait: Callable[[], None]) -> Iterator[int]:
    """Hold the file that becomes the array; one process at a time has it, and finds it empty.

    The lock is on the file itself and goes with its process: what a killed builder leaves behind is taken up by the
    next, and is never anything but a file in the making. On leaving, the file is removed unless it was renamed.

    Args:
        building: where the array is made, on the file system where it will be.
        wait: called once if another process is at it.
    """
    descriptor = _locked(building, wait)
    try:
        os.ftruncate(descriptor, 0)
        yield descriptor
    finally:
        if _is(descriptor, building):
            building.unlink()
        os.close(descriptor)


def remove_abandoned(folder: Path, pattern: str) -> None:
    """Remove what killed builders have left: files in the making that no process holds."""
    for file in folder.glob(pattern):
        with suppress(FileNotFoundError):
            descriptor = os.open(file, os.O_RDWR)
            try:
                if _lock(descriptor, fcntl.LOCK_NB) and _is(descriptor, file):
                    file.unlink()
            finally:
                os.close(descriptor)


def _locked(building: Path, wait: Callable[[], None]) -> int:
    while True:
        descriptor = os.open(building, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            if not _lock(descriptor, fcntl.LOCK_NB):
                wait()
                _lock(descriptor, 0)
        except BaseException:
            os.close(descriptor)
            raise
        # The builder that was waited for has renamed or removed what is locked now.
        if _is(descriptor, building):
            return descriptor
        os.close(descriptor)


def _lock(descriptor: int, blocking: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | blocking)
    except BlockingIOError:
        return False
    return True


def _is(descriptor: int, file: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), file.stat())
    except FileNotFoundError:
        return False
