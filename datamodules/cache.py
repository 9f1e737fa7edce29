"""Image files decoded and resized once, into an array on disk."""

import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from PIL import Image
from pytorch_lightning.utilities import rank_zero_warn
from rich.console import Console
from torch import Tensor

from datamodules.array_file import (
    ArrayFile,
    BrokenArrayError,
    load_array,
    only_builder,
    pixel_bytes,
    remove_abandoned,
    write_end,
    write_pixels,
)
from datamodules.decode import DECODER, decode, strict_pillow
from datamodules.digests import digest_of, digests_of
from datamodules.errors import CacheError, FileChangedError, UnreadableError, unreadable_images
from datamodules.parallel import in_parallel

Unreadable = Literal["error", "skip"]


class Decoded(NamedTuple):
    """Decoded images."""

    pixels: Tensor
    """``(rows, 3, size, size)`` uint8, memory-mapped."""
    rows: list[int]
    """For each file that was asked for its row in ``pixels``; −1 where it was skipped."""
    content: str
    """Digest of what the files hold, whatever their names and order."""


class Job(NamedTuple):
    """One image to decode."""

    row: int
    digest: str
    file: Path


def default_cache() -> Path:
    """Return ``$DROPOUT_LAB_CACHE``, or else ``dropout-lab`` in ``$XDG_CACHE_HOME``, by default ``~/.cache``."""
    own = os.environ.get("DROPOUT_LAB_CACHE")
    if own:
        return Path(own).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "dropout-lab"


def decoded_images(
    files: Sequence[Path], size: int, cache: Path, unreadable: Unreadable, name: str
) -> Decoded:
    """Return images as RGB, ``size`` × ``size``, by :func:`datamodules.decode.decode`.

    They are decoded once, into ``cache/KEY.u8``, where later runs and other processes map them. KEY follows from what
    the files hold, from the size and from the decoder, not from names, order or times: an image that changes makes
    another array, a split by another seed takes the same. Two processes that need the same array build it once. It
    gets its name when it is complete, and a damaged one is made again. Arrays that are no longer needed can be
    deleted at any time.

    Args:
        files: what to decode; equal files share a row.
        size: pixels each way.
        cache: folder of decoded images.
        unreadable: what to do with files that cannot be decoded: ``"error"`` names them all, ``"skip"`` warns.
        name: what the images are, for messages.

    Raises:
        DataError: files cannot be decoded and ``unreadable`` is ``"error"``, or none can; the array does not fit on
            the disk; a file has changed in between.
    """
    console = Console()
    with _writable(cache, 0):
        digests, problems = digests_of(files, cache, console)
    sources = {digest: file for digest, file in zip(digests, files, strict=True) if digest is not None}
    # Sorted, so that the order of files, and with it the seed of a split, makes no difference.
    jobs = [Job(row, digest, sources[digest]) for row, digest in enumerate(sorted(sources))]
    content = "\n".join(job.digest for job in jobs)
    key = digest_of(f"{DECODER}\n{size}\n{content}".encode())
    array = _array(cache / f"{key}.u8", jobs, size, console) if jobs else ArrayFile(torch.empty(0), {})
    row_of = {job.digest: job.row for job in jobs if job.digest not in array.problems}
    for file, digest in zip(files, digests, strict=True):
        if digest in array.problems:
            problems[file] = array.problems[digest]
    if problems:
        with _writable(cache, 0):
            report = unreadable_images(problems, len(files), name, cache / f"{key}.unreadable.txt")
        if unreadable == "error" or not row_of:
            raise UnreadableError(report)
        rank_zero_warn(f"{report}. They are left out")
    rows = [-1 if digest is None else row_of.get(digest, -1) for digest in digests]
    return Decoded(array.pixels, rows, digest_of(content.encode()))


def _array(file: Path, jobs: Sequence[Job], size: int, console: Console) -> ArrayFile:
    """Take the array that is there, or build it."""

    def wait() -> None:
        _say(console, f"another process is decoding the images for {file}; waiting")

    building = file.with_suffix(".building")
    needed = pixel_bytes(len(jobs), size)
    with _writable(file.parent, needed):
        found = _found(file, len(jobs), size, console)
        if found is not None:
            return found
        file.parent.mkdir(parents=True, exist_ok=True)
        remove_abandoned(file.parent, "*.building")
        with only_builder(building, wait) as descriptor:
            found = _found(file, len(jobs), size, console)
            if found is None:
                free = shutil.disk_usage(file.parent).free
                if free < needed:
                    raise CacheError(file.parent, needed, f"{_megabytes(free)} are free")
                _build(descriptor, jobs, size, console, file)
                building.replace(file)
    return found or load_array(file, len(jobs), size)


def _found(file: Path, images: int, size: int, console: Console) -> ArrayFile | None:
    try:
        return load_array(file, images, size)
    except FileNotFoundError:
        return None
    except BrokenArrayError as error:
        _say(console, f"{file} is damaged ({error}): its images are decoded again")
        return None


def _build(descriptor: int, jobs: Sequence[Job], size: int, console: Console, file: Path) -> None:
    start = time.perf_counter()
    if not console.is_terminal:
        _say(console, f"decoding {len(jobs):,} images")
    problems: dict[str, str] = {}

    def work(chunk: Sequence[Job]) -> dict[str, str]:
        pixels, found = _decode_all(chunk, size)
        # Rows of a chunk follow one another.
        write_pixels(descriptor, pixels.tobytes(), pixel_bytes(chunk[0].row, size))
        return found

    # Pillow loads its plugins at first need, which is no business of several threads.
    Image.init()
    with strict_pillow():
        for found in in_parallel(work, jobs, "decoding", console):
            problems |= found
    write_end(descriptor, problems, pixel_bytes(len(jobs), size))
    seconds = time.perf_counter() - start
    taken = _megabytes(pixel_bytes(len(jobs), size))
    _say(console, f"cache {file}  {taken}, {len(jobs):,} images, decoded in {seconds:.1f} s")


def _decode_all(chunk: Sequence[Job], size: int) -> tuple[np.ndarray, dict[str, str]]:
    pixels = np.zeros((len(chunk), 3, size, size), dtype=np.uint8)
    problems = {}
    for place, job in enumerate(chunk):
        content = _read_again(job)
        try:
            pixels[place] = decode(content, size)
        # Pillow raises whatever its parsers stumble over in a damaged file; each is told to the user.
        except Exception as error:
            problems[job.digest] = str(error) or type(error).__name__
    return pixels, problems


def _read_again(job: Job) -> bytes:
    try:
        content = job.file.read_bytes()
    except OSError as error:
        raise FileChangedError(job.file) from error
    # Else one image could stand under another's name for good.
    if digest_of(content) != job.digest:
        raise FileChangedError(job.file)
    return content


@contextmanager
def _writable(cache: Path, needed: int) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CacheError(cache, needed, error.strerror or str(error)) from error


def _megabytes(count: int) -> str:
    return f"{count / 1e6:,.1f} MB" if count < 10e6 else f"{count / 1e6:,.0f} MB"


def _say(console: Console, line: str) -> None:
    console.print(line, highlight=False, soft_wrap=True, markup=False)
