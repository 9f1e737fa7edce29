"""Arrays of the cache that are not built to their end, or by several at once."""

import errno
import os
import resource
import shutil
import signal
import time
from collections import namedtuple
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from dropout_lab.datamodules import DataError, decode_cache
from dropout_lab.datamodules.decode import Conversion, Converted, convert
from dropout_lab.datamodules.decode_cache import Decoded
from tests import programs
from tests.data.folders import picture
from tests.datamodules.caches import STORE, arrays, assert_right, contents, decoded

Usage = namedtuple("Usage", "total used free")


@contextmanager
def full_disk(monkeypatch: pytest.MonkeyPatch, problem: str) -> Iterator[None]:
    """Let the disk be full before anything is written, meanwhile (the kernel itself refuses), or when all is."""

    def fsync(descriptor: int) -> None:
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with monkeypatch.context() as patched:
        if problem == "before":
            patched.setattr(shutil, "disk_usage", lambda path: Usage(10**9, 10**9, 5000))
        elif problem == "after":
            patched.setattr(os, "fsync", fsync)
        else:
            resource.setrlimit(resource.RLIMIT_FSIZE, (3 * 8 * 8 * 20, limits[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize(
    ("problem", "says"), [("before", "0.0 MB are free"), ("meanwhile", "File too large"), ("after", "quota")]
)
def test_full_disk(files: list[Path], problem: str, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded(files)
    (array,) = arrays()
    good = array.read_bytes()
    picture(99).save(files[7])
    with full_disk(monkeypatch, problem), pytest.raises(DataError) as caught:
        decoded(files)
    message = str(caught.value)
    assert f"in the folder {STORE}: " in message
    assert says in message
    assert "0.0 MB are needed. Give another folder with --data.cache FOLDER" in message
    assert contents() == [f"{array.stem}.json", array.name, "index"]
    assert array.read_bytes() == good
    assert_right(decoded(files), files)


def test_no_folder_for_the_cache(files: list[Path]) -> None:
    STORE.write_text("a file")
    with pytest.raises(DataError, match="in the folder store: .*--data.cache FOLDER"):
        decoded(files)


def test_interrupted(files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(content: bytes, to: Conversion) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(decode_cache, "convert", interrupt)
    with pytest.raises(KeyboardInterrupt):
        decoded(files)
    assert contents() == ["index"]


BUILDER = """
import os, signal, sys, warnings
warnings.simplefilter("error")
from pathlib import Path
from dropout_lab.datamodules import decode_cache
if sys.argv[1:] == ["die"]:
    convert, left = decode_cache.convert, iter(range(20))
    def some(content, to):
        if next(left, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)
        return convert(content, to)
    decode_cache.convert = some
files = sorted(Path("pictures").iterdir())
found = decode_cache.decoded_images(files, decode_cache.Conversion(8), Path("store"), "error", "Pictures")
print("rows", len(set(found.rows)), int(found.pixels.sum()), flush=True)
"""


def builder(*words: str) -> programs.Program:
    script = Path("builder.py").resolve()
    script.write_text(BUILDER)
    return programs.start(*words, script=script)


def test_a_killed_builder_leaves_nothing_that_is_taken_for_good(files: list[Path]) -> None:
    with builder("die") as killed:
        assert killed.wait() == -signal.SIGKILL
    assert arrays() == []
    (left,) = STORE.glob("*.building")
    # Young, it could be what another machine writes, whose lock does not reach this one.
    decoded(files[:4])
    assert left.exists()
    # Another build removes it, whatever it builds.
    os.utime(left, (time.time() - 2 * decode_cache.ABANDONED_S,) * 2)
    decoded(files[:5])
    assert not left.exists()
    assert_right(decoded(files), files)
    assert [path.suffix for path in STORE.iterdir() if path.is_file()].count(".npy") == 3
    assert {path.suffix for path in STORE.iterdir() if path.is_file()} == {".json", ".npy"}


def test_two_processes_build_once(files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    others: list[programs.Program] = []

    def with_another(content: bytes, to: Conversion) -> Converted:
        if not others:
            others.append(other := builder())
            other.wait_for_output("another process is decoding the images")
        return convert(content, to)

    monkeypatch.setattr("dropout_lab.datamodules.decode_cache.convert", with_another)
    monkeypatch.setattr("dropout_lab.datamodules.decode_cache.CHUNK", 100)
    found = decoded(files)
    with others[0] as other:
        output, errors = other.communicate()
    assert output.splitlines()[1:] == [f"rows 40 {int(found.pixels.sum())}"], errors
    assert len(arrays()) == 1
    assert contents() == [f"{arrays()[0].stem}.json", arrays()[0].name, "index"]


def test_machines_whose_locks_do_not_reach_each_other(
    files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[Decoded] = []

    @contextmanager
    def no_lock(lock_file: Path, doing: str | None) -> Iterator[None]:
        yield

    def with_another(content: bytes, to: Conversion) -> Converted:
        if not begun:
            begun.append(Decoded(torch.empty(0), [], ""))
            # All of it, while the first is at its first image.
            begun[0] = decoded(files)
        return convert(content, to)

    monkeypatch.setattr("dropout_lab.datamodules.decode_cache.CHUNK", 100)
    monkeypatch.setattr("dropout_lab.datamodules.decode_cache.exclusive", no_lock)
    monkeypatch.setattr("dropout_lab.datamodules.decode_cache.convert", with_another)
    first = decoded(files)
    for found in (begun[0], first):
        assert_right(found, files)
    assert contents() == [f"{arrays()[0].stem}.json", arrays()[0].name, "index"]
