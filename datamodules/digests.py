"""What files hold, by a digest; unchanged files are not read again."""

import json
import os
import time
import uuid
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from datamodules.parallel import in_parallel

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
