"""Image files decoded and resized once, into an array on disk."""

import fcntl
import json
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from hashlib import blake2b
from pathlib import Path
from struct import Struct
from typing import Literal, NamedTuple, TypeVar

import numpy as np
import torch
from PIL import Image
from pytorch_lightning.utilities import rank_zero_warn
from rich.console import Console
from rich.progress import Progress
from torch import Tensor

from dropout_lab.datamodules.decode import DECODER, decode, strict_pillow
from dropout_lab.datamodules.errors import CacheError, FileChangedError, UnreadableError, unreadable_images

Item = TypeVar("Item")
Result = TypeVar("Result")

# Items a thread takes at a time: handing over one by one costs as much as decoding a small image.
CHUNK = 16


def in_parallel(
    work: Callable[[Sequence[Item]], Result], items: Sequence[Item], doing: str, console: Console
) -> Iterator[Result]:
    """Return what ``work`` makes of each chunk of items, in order.

    Args:
        work: called in a thread, as many threads as cores; those that release the GIL run at once.
        items: of any number.
        doing: what the bar says.
        console: where the bar is drawn, if it is a terminal.
    """
    chunks = [items[start : start + CHUNK] for start in range(0, len(items), CHUNK)]
    bar = Progress(console=console, transient=True, disable=not console.is_terminal)
    with bar, ThreadPoolExecutor(os.cpu_count()) as pool:
        task = bar.add_task(doing, total=len(items))
        try:
            for chunk, result in zip(chunks, pool.map(work, chunks), strict=True):
                bar.advance(task, len(chunk))
                yield result
        except BaseException:
            # The pool would finish all that waits before the error is seen.
            pool.shutdown(wait=False, cancel_futures=True)
            raise


# A file that is written twice within a tick of the file system's clock keeps its time; the coarsest tick, FAT's, is
# two seconds. So what is younger is read again next time, as git does it.
TICK_NS = 2 * 10**9


class Stamp(NamedTuple):
    """What of a file shows that it has not changed."""

    size: int
    mtime_ns: int


class Digests(NamedTuple):
    """Digests of files."""

    digests: list[str | None]
    """For each file that was asked for; None where it could not be read."""
    problems: dict[Path, str]
    """Why not."""


def digest_of(content: bytes) -> str:
    """Return BLAKE2b, 128 bits, in hexadecimal."""
    return blake2b(content, digest_size=16).hexdigest()


def digests_of(files: Sequence[Path], cache: Path, console: Console) -> Digests:
    """Return the digest of each file's content.

    An index in the cache folder, one for each folder of files, remembers for each path size, time of modification
    and digest, as git's index does: only files with another size or time are read.

    Raises:
        OSError: the index cannot be written.
    """
    paths = [str(file.absolute()) for file in files]
    asked = dict(zip(paths, files, strict=True))
    index = _index_file(files, cache)
    remembered = _load(index, console)
    stamps: dict[str, Stamp] = {}
    problems: dict[Path, str] = {}
    for path, file in asked.items():
        try:
            status = file.stat()
        except OSError as error:
            problems[file] = _reason(error)
        else:
            stamps[path] = Stamp(status.st_size, status.st_mtime_ns)
    known = {path: entry[1] for path, entry in remembered.items() if stamps.get(path) == entry[0]}
    settled = time.time_ns() - TICK_NS
    fresh = {}
    changed = [path for path in stamps if path not in known]
    for chunk in in_parallel(_read, changed, "reading", console):
        for path, digest, problem in chunk:
            if digest is None:
                problems[asked[path]] = problem
                continue
            known[path] = digest
            if stamps[path].mtime_ns < settled:
                fresh[path] = (stamps[path], digest)
    if fresh:
        _save(index, {**remembered, **fresh})
    return Digests([known.get(path) for path in paths], problems)


def _read(paths: Sequence[str]) -> list[tuple[str, str | None, str]]:
    results: list[tuple[str, str | None, str]] = []
    for path in paths:
        try:
            results.append((path, digest_of(Path(path).read_bytes()), ""))
        except OSError as error:
            results.append((path, None, _reason(error)))
    return results


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def _index_file(files: Sequence[Path], cache: Path) -> Path:
    folder = os.path.commonpath({file.absolute().parent for file in files})
    return cache / "index" / f"{digest_of(os.fsencode(folder))}.json"


def _load(index: Path, console: Console) -> dict[str, tuple[Stamp, str]]:
    if not index.is_file():
        return {}
    try:
        entries = json.loads(index.read_bytes())
        return {path: (Stamp(size, mtime_ns), digest) for path, (size, mtime_ns, digest) in entries.items()}
    except (ValueError, TypeError, AttributeError):
        console.print(f"{index} is damaged: all images are read again", soft_wrap=True, markup=False)
        return {}


def _save(index: Path, entries: dict[str, tuple[Stamp, str]]) -> None:
    index.parent.mkdir(parents=True, exist_ok=True)
    new = index.with_name(f"{index.name}.{uuid.uuid4().hex}")
    try:
        new.write_text(json.dumps({path: [*stamp, digest] for path, (stamp, digest) in entries.items()}))
        new.replace(index)
    finally:
        new.unlink(missing_ok=True)


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
    """Return images as RGB, ``size`` × ``size``, by :func:`dropout_lab.datamodules.decode.decode`.

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
