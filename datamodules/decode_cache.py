"""The cache of decoded images: files are decoded and resized once, into an array on disk.

``CACHE/KEY.npy`` holds the pixels, ``CACHE/KEY.json`` beside it which files could not be decoded and how those of 16
bits were scaled, and ``CACHE/index`` the digests of files that have not changed since.
"""

import json
import math
import os
import secrets
import shutil
import stat
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import partial
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Literal, NamedTuple, TypeVar, final

import numpy as np
import torch
from filelock import Timeout
from joblib import cpu_count
from PIL import Image
from pytorch_lightning.utilities import rank_zero_only, rank_zero_warn
from rich.console import Console
from rich.progress import Progress
from torch import Tensor

from dropout_lab.datamodules.decode import DECODER, Conversion, Pixels, convert, strict_pillow
from dropout_lab.datamodules.errors import DataError
from dropout_lab.datamodules.locks import exclusive
from dropout_lab.ground import printable, whole_file

Item = TypeVar("Item")
Result = TypeVar("Result")
Unreadable = Literal["error", "skip"]

# Items a thread takes at a time: handing over one by one costs as much as decoding a small image.
CHUNK = 16

# Images that cannot be decoded which a message names before it refers to a list.
SHOWN = 5

# A file that is written twice within a tick of the file system's clock keeps its time; the coarsest tick, FAT's, is
# two seconds. So the digest of a younger file is not remembered, as in git.
TICK_NS = 2 * 10**9

# The end of names of files that are not whole yet, and the age at which nobody writes them any more.
BUILDING = ".building"
ABANDONED_S = 3600


# Changes with what an entry of the index holds.
INDEX = 2


class Decoded(NamedTuple):
    """Decoded images."""

    pixels: Tensor
    """``(rows, channels, size, size)`` uint8, memory-mapped."""
    rows: list[int]
    """For each file that was asked for its row in ``pixels``; −1 where it was skipped."""
    content: str
    """Digest of what the files hold, whatever their names and order."""
    file: Path | None = None
    """What is mapped."""


class _Array(NamedTuple):
    pixels: Tensor
    problems: dict[str, str]
    """Digests of files that could not be decoded, and why. Their pixels are 0."""
    bits: int | None
    """Those of the largest value in images of 16 bits, if these were scaled by it."""


class _Chunk(NamedTuple):
    pixels: Pixels
    problems: dict[str, str]
    bits: list[int | None]
    """For each image as in :class:`dropout_lab.datamodules.decode.Converted`."""


Source = tuple[str, Path]
"""Digest of an image file, and one file that has it."""
Entry = tuple[int, int, int, int, str]
"""A file's size, times of modification and of change in ns, inode, and digest.

Tools that edit in place can keep the first two (``exiftool -P``, ``rsync -t --inplace``): borgbackup/borg#911.
"""


def default_cache() -> Path:
    """Return ``$DROPOUT_LAB_CACHE``, or else ``dropout-lab`` in ``$XDG_CACHE_HOME``, by default ``~/.cache``."""
    own = os.environ.get("DROPOUT_LAB_CACHE")
    if own:
        return Path(own).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "dropout-lab"


def decoded_images(
    files: Sequence[Path], to: Conversion, cache: Path, unreadable: Unreadable, name: str
) -> Decoded:
    """Return images by :func:`dropout_lab.datamodules.decode.convert`.

    They are decoded once, into ``cache/KEY.npy``, which later runs and other processes map. KEY follows from what the
    files hold, from the conversion and from the decoder, not from names, order or times: an image that changes makes
    another array, a split by another seed takes the same; equal files share a row. Two processes that need the same
    array build it once; two machines whose locks do not reach each other may both build it. It gets its name when it is
    complete, and a damaged one is built again. Arrays that are no longer needed can be deleted at any time. Messages
    call the images ``name``.

    Images of 16 bits are scaled alike, by the largest value of all, if neither the conversion nor the files say how.

    Raises:
        DataError: files cannot be decoded and ``unreadable`` is ``"error"``, or none can; the array does not fit on
            the disk; a file has changed in between.
    """
    try:
        digests, problems = _digests_of(files, cache)
        # Sorted, so that the order of files, and with it the seed of a split, makes no difference.
        sources = sorted({digest: (digest, file) for file, digest in digests.items()}.values())
        content = "\n".join(digest for digest, _ in sources)
        key = digest_of(f"{DECODER}\n{to}\n{content}".encode())
        file = cache / f"{key}.npy"
        array = _load_or_build(file, sources, to) if sources else _Array(torch.empty(0), {}, None)
        undecoded = array.problems
        problems |= {file: undecoded[digest] for file, digest in digests.items() if digest in undecoded}
        if problems:
            listed = _listed(problems, cache / f"{key}.unreadable.txt")
            report = printable(
                f"{len(problems):,} of {len(files):,} images of {name} cannot be decoded: {listed}"
            )
            if unreadable == "error" or len(undecoded) == len(sources):
                raise DataError(
                    f"{report}. Mend or delete them, or leave them out with --data.unreadable skip"
                )
            rank_zero_warn(f"{report}. They are left out")
        if array.bits is not None and array.bits < 16:
            _say_bits(array.bits, name)
    except OSError as error:
        needed = len(files) * math.prod(to.shape) / 1e6
        raise DataError(
            f"decoded images cannot be kept in the folder {cache}: {error.strerror or error}; {needed:,.1f} MB are "
            "needed. Give another folder with --data.cache FOLDER"
        ) from error
    row_of = {digest: row for row, (digest, _) in enumerate(sources)}
    rows = [-1 if file in problems else row_of[digests[file]] for file in files]
    return Decoded(array.pixels, rows, digest_of(content.encode()), file.absolute())


@rank_zero_only
def _say_bits(bits: int, name: str) -> None:
    print(
        f"16-bit images of {name} are scaled by {bits} bits, those of their largest value; if they have others: "
        "--data.bit_depth BITS",
        flush=True,
    )


def digest_of(content: bytes) -> str:
    """Return BLAKE2b, 128 bits, in hexadecimal."""
    return blake2b(content, digest_size=16).hexdigest()


def _listed(problems: dict[Path, str], listing: Path) -> str:
    """Return the first images that cannot be decoded, and why; if they are many, write all of them into a file."""
    lines = [f"{file} ({problem})" for file, problem in sorted(problems.items())]
    first = "; ".join(lines[:SHOWN])
    if len(lines) <= SHOWN:
        return first
    listing.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(listing) as stream:
        stream.writelines(f"{printable(line)}\n" for line in lines)
    return f"{first}; and {len(lines) - SHOWN:,} more, all listed in {listing}"


def _digests_of(files: Sequence[Path], cache: Path) -> tuple[dict[Path, str], dict[Path, str]]:
    """Return the digest of each file's content; of those that cannot be read, why.

    An index in the cache, one for each folder of files, remembers an Entry for each, as git's index does: only files of
    which something in it is not as it was are read.
    """
    folder = os.path.commonpath([file.absolute().parent for file in files])
    index = cache / "index" / f"{digest_of(os.fsencode(folder))}.{INDEX}.json"
    remembered = _load_index(index)
    settled = time.time_ns() - TICK_NS
    entries: dict[Path, Entry] = {}
    problems: dict[Path, str] = {}
    look = partial(_look, remembered=remembered)
    for found, failed in _in_parallel(look, list(dict.fromkeys(files)), "reading"):
        entries |= found
        problems |= failed
    known = remembered | {
        str(file.absolute()): entry for file, entry in entries.items() if entry[1] < settled
    }
    if known != remembered:
        index.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(index) as stream:
            json.dump(known, stream)
    return {file: entry[-1] for file, entry in entries.items()}, problems


def _look(files: Sequence[Path], remembered: dict[str, Entry]) -> tuple[dict[Path, Entry], dict[Path, str]]:
    entries, problems = {}, {}
    for file in files:
        try:
            status, before = file.stat(), remembered.get(str(file.absolute()))
            if not stat.S_ISREG(status.st_mode):
                # Reading a pipe would wait for ever.
                raise OSError("no regular file")
            stamp = status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino
            if before is None or before[:-1] != stamp:
                before = (*stamp, digest_of(file.read_bytes()))
            entries[file] = before
        except OSError as error:
            problems[file] = (error.strerror or str(error)).lower()
    return entries, problems


def _load_index(index: Path) -> dict[str, Entry]:
    if not index.is_file():
        return {}
    try:
        entries = json.loads(index.read_bytes())
        return {
            path: (size, mtime_ns, ctime_ns, inode, digest)
            for path, (size, mtime_ns, ctime_ns, inode, digest) in entries.items()
        }
    except (ValueError, TypeError, AttributeError):
        print(f"{printable(str(index))} is damaged: all images are read again", flush=True)
        return {}


def _load_or_build(file: Path, sources: Sequence[Source], to: Conversion) -> _Array:
    shape = (len(sources), *to.shape)
    array = _load(file, shape)
    if array is not None:
        return array
    file.parent.mkdir(parents=True, exist_ok=True)
    _remove_left_behind(file.parent)
    with exclusive(file.with_suffix(".lock"), f"decoding the images for {printable(str(file))}"):
        return _load(file, shape) or _build(file, sources, to)


def _remove_left_behind(folder: Path) -> None:
    """Remove what processes that were killed had begun, in a folder that other machines may write to as well.

    A lock may hold on its own machine alone, so that the time counts too.
    """
    now = time.time()
    for left in folder.glob(f"*{BUILDING}"):
        lock = left.with_name(f"{left.name.partition('.')[0]}.lock")
        # One that another process has renamed or removed meanwhile is no concern of ours.
        with suppress(Timeout, FileNotFoundError), exclusive(lock, None):
            if now - left.stat().st_mtime > ABANDONED_S:
                left.unlink()


def _load(file: Path, shape: tuple[int, ...]) -> _Array | None:
    """Map an array; None if there is none, or if it is not what was written."""
    if not file.is_file():
        return None
    try:
        # Copy on write: should a user write into the tensor, the file stays as it is.
        pixels = np.lib.format.open_memmap(file, mode="c")
        facts = json.loads(file.with_suffix(".json").read_bytes())
        problems, bits = facts["problems"], facts["bits"]
        whole = file.stat().st_size == pixels.offset + pixels.nbytes
        if not whole or pixels.dtype != np.uint8 or pixels.shape != shape:
            raise ValueError("not the pixels that were written")
    except (FileNotFoundError, ValueError, LookupError, TypeError) as error:
        print(f"{printable(str(file))} is damaged ({error}): its images are decoded again", flush=True)
        return None
    return _Array(torch.from_numpy(pixels), problems, bits)


def _build(file: Path, sources: Sequence[Source], to: Conversion) -> _Array:
    start = time.perf_counter()
    shape = (len(sources), *to.shape)
    needed, free = math.prod(shape), shutil.disk_usage(file.parent).free
    if free < needed:
        raise OSError(f"{_megabytes(free)} are free")
    if not Console().is_terminal:
        print(f"decoding {len(sources):,} images", flush=True)
    # Two machines whose locks do not reach each other then both build it right.
    building = file.with_name(f"{file.stem}.{secrets.token_hex(8)}{BUILDING}")
    problems: dict[str, str] = {}
    each_bits: list[int | None] = []
    # Pillow loads its plugins at first need, which is no business of several threads.
    Image.init()
    try:
        # Written, not mapped: a disk that fills up under a mapping kills the process.
        with building.open("wb") as stream, strict_pillow():
            header = {"descr": "|u1", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(stream, header)
            begin = stream.tell()
            for pixels, found, bits in _in_parallel(partial(_decode, to=to), sources, "decoding"):
                stream.write(pixels.tobytes())
                problems |= found
                each_bits += bits
            most = max((bits for bits in each_bits if bits is not None), default=None)
            # A dark image among others of 16 bits is dark.
            darker = [row for row, bits in enumerate(each_bits) if bits not in (None, most)]
            alike = partial(_decode, to=replace(to, bit_depth=most))
            rows = iter(darker)
            for pixels, *_ in _in_parallel(alike, [sources[row] for row in darker], "decoding"):
                for image, row in zip(pixels, rows, strict=False):
                    stream.seek(begin + row * image.nbytes)
                    stream.write(image.tobytes())
            stream.flush()
            os.fsync(stream.fileno())
        with whole_file(file.with_suffix(".json")) as facts:
            json.dump({"problems": problems, "bits": most}, facts)
        building.replace(file)
    finally:
        building.unlink(missing_ok=True)
    seconds = time.perf_counter() - start
    images = f"{_megabytes(needed)}, {len(sources):,} images"
    print(f"cache {printable(str(file))}  {images}, decoded in {seconds:.1f} s", flush=True)
    array = _load(file, shape)
    assert array is not None, "it was just built"
    return array


def _decode(sources: Sequence[Source], to: Conversion) -> _Chunk:
    pixels = np.zeros((len(sources), *to.shape), dtype=np.uint8)
    problems: dict[str, str] = {}
    bits: list[int | None] = [None] * len(sources)
    for place, (digest, file) in enumerate(sources):
        try:
            content = file.read_bytes()
            # Else one image could stand under another's digest for good.
            if digest_of(content) != digest:
                raise OSError("its content is another one")
        except OSError as error:
            changed = f"{file} was changed while it was read. Start again when the folder is complete"
            raise DataError(changed) from error
        try:
            pixels[place], bits[place] = convert(content, to)
        # Pillow raises whatever its parsers stumble over in a damaged file; each is told to the user.
        except Exception as error:
            problems[digest] = str(error) or type(error).__name__
    return _Chunk(pixels, problems, bits)


@final
class _Threads(ThreadPoolExecutor):
    """As many threads as the system starts, up to a number."""

    def result_of(self, work: Callable[[Item], Result], item: Item) -> Callable[[], Result]:
        """Return what waits for a result, or without any thread what computes it when it is asked for."""
        try:
            return self.submit(work, item).result
        except RuntimeError:
            return partial(work, item)

    def _adjust_thread_count(self) -> None:
        # Called with each piece of work, until all have been started.
        try:
            super()._adjust_thread_count()
        except RuntimeError:
            if not self._threads:
                raise


def _in_parallel(
    work: Callable[[Sequence[Item]], Result], items: Sequence[Item], doing: str
) -> Iterator[Result]:
    """Return what ``work`` makes of each chunk of items, in order; it is called in as many threads as CPUs are ours.

    Where the system starts fewer, as below a limit of processes, these do it all; without any, this one does.
    """
    chunks = (items[start : start + CHUNK] for start in range(0, len(items), CHUNK))
    console, threads = Console(), cpu_count()
    bar = Progress(console=console, transient=True, disable=not console.is_terminal)
    with bar, _Threads(threads) as pool:
        task = bar.add_task(doing, total=len(items))
        # Some chunks ahead and no more, so that results do not pile up in memory before a slow disk.
        waiting = deque(pool.result_of(work, chunk) for chunk in islice(chunks, 2 * threads))
        while waiting:
            yield waiting.popleft()()
            waiting.extend(pool.result_of(work, chunk) for chunk in islice(chunks, 1))
            bar.advance(task, CHUNK)


def _megabytes(count: int) -> str:
    return f"{count / 1e6:,.1f} MB" if count < 10e6 else f"{count / 1e6:,.0f} MB"
