"""The cache of decoded images: what makes another one, and what can go wrong."""

import errno
import json
import os
import resource
import shutil
import signal
import time
from collections import namedtuple
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from dropout_lab.datamodules import DataError, decode_cache
from dropout_lab.datamodules.decode import Conversion, Converted, convert
from dropout_lab.datamodules.decode_cache import Decoded, decoded_images, default_cache
from tests import programs
from tests.data.folders import picture, write_pictures

REPOSITORY = Path(__file__).parents[2]
STORE = Path("store")
Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def files() -> list[Path]:
    """Images that are older than any tick of a clock, however fast the test is."""
    files = write_pictures(Path("pictures"), 40)
    for file in files:
        os.utime(file, (1_000_000, 1_000_000))
    return files


def decoded(
    files: Sequence[Path], size: int = 8, unreadable: decode_cache.Unreadable = "error", **how: Any
) -> Decoded:
    return decoded_images(files, Conversion(size, **how), STORE, unreadable, "Pictures")


def arrays() -> list[Path]:
    return sorted(STORE.glob("*.npy"))


def contents() -> list[str]:
    return sorted(path.name for path in STORE.iterdir())


def assert_right(found: Decoded, files: Sequence[Path]) -> None:
    for row, file in zip(found.rows, files, strict=True):
        assert np.array_equal(found.pixels[row].permute(1, 2, 0), np.asarray(Image.open(file))), file


@pytest.fixture
def decodings(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What has been decoded."""
    seen: list[bytes] = []

    def spy(content: bytes, to: Conversion) -> Converted:
        seen.append(content)
        return convert(content, to)

    monkeypatch.setattr("dropout_lab.datamodules.decode_cache.convert", spy)
    return seen


def test_rows_are_the_files(files: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    found = decoded(files)
    assert found.pixels.shape == (40, 3, 8, 8)
    assert found.pixels.dtype == torch.uint8
    assert_right(found, files)
    (array,) = arrays()
    said, line = capsys.readouterr().out.splitlines()
    assert said == "decoding 40 images"
    assert line.startswith(f"cache {array}  0.0 MB, 40 images, decoded in ")
    assert contents() == [f"{array.stem}.json", array.name, "index"]


def test_a_later_run_decodes_nothing(
    files: list[Path], decodings: list[bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    decoded(files)
    assert len(decodings) == 40
    capsys.readouterr()
    folders = [STORE.stat().st_mtime_ns, (STORE / "index").stat().st_mtime_ns]
    assert_right(decoded(files), files)
    assert len(decodings) == 40
    assert capsys.readouterr().out == ""
    # Nothing was written, so that the cache may be one that cannot be.
    assert folders == [STORE.stat().st_mtime_ns, (STORE / "index").stat().st_mtime_ns]


def test_order_names_and_doubles_make_no_difference(files: list[Path], decodings: list[bytes]) -> None:
    decoded(files)
    shutil.copy(files[0], "copy.png")
    renamed = files[1].rename("renamed.png")
    asked = [Path("copy.png"), *reversed(files[2:]), renamed, files[0]]
    found = decoded(asked)
    assert_right(found, asked)
    assert found.rows[0] == found.rows[-1]
    assert len(decodings) == 40


def test_an_image_that_changes_makes_another_array(files: list[Path]) -> None:
    first = decoded(files)
    before = first.pixels.clone()
    picture(99).save(files[7])
    second = decoded(files)
    assert_right(second, files)
    assert len(arrays()) == 2
    assert torch.equal(first.pixels, before)


def test_conversion_and_decoder_make_another_array(
    files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded(files)
    assert decoded(files, size=4).pixels.shape == (40, 3, 4, 4)
    assert decoded(files, channels=1).pixels.shape == (40, 1, 8, 8)
    decoded(files, fit="pad")
    decoded(files, bit_depth=12)
    monkeypatch.setattr(decode_cache, "DECODER", "0")
    decoded(files)
    assert len(arrays()) == 6


def test_images_of_16_bits_are_scaled_alike(capsys: pytest.CaptureFixture[str]) -> None:
    files = write_pictures(Path("pictures"), 20)
    values = {3: 4000, 7: 100, 18: 2000}
    for number, most in values.items():
        Image.fromarray(np.full((8, 8), most, np.uint16)).save(files[number])
    for _ in range(2):
        found = decoded(files)
        said = capsys.readouterr().out
        assert "16-bit images of Pictures are scaled by 12 bits" in said
        assert "--data.bit_depth BITS" in said
        for number, most in values.items():
            assert set(found.pixels[found.rows[number]].flatten().tolist()) == {most >> 4}
        rest = [number for number in range(20) if number not in values]
        assert_right(found._replace(rows=[found.rows[each] for each in rest]), [files[each] for each in rest])
    assert int(decoded(files, bit_depth=16).pixels[found.rows[3]].max()) == 4000 >> 8
    assert "scaled by" not in capsys.readouterr().out
    with pytest.raises(
        DataError, match=r"0003.png \(a value of 4000, where 10 bits end at 1023; see bit_depth\)"
    ):
        decoded(files, bit_depth=10)


def test_writing_into_the_tensor_leaves_the_file(files: list[Path]) -> None:
    decoded(files).pixels.zero_()
    assert_right(decoded(files), files)


def test_unchanged_files_are_not_read_again(files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    # What is as young as the index could change again within a tick of the clock.
    os.utime(files[0], (time.time() + 3600,) * 2)
    decoded(files)
    read: list[Path] = []

    def spy(file: Path) -> bytes:
        read.append(file)
        return original(file)

    original = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", spy)
    decoded(files)
    assert [file for file in read if file in files] == [files[0]]


def test_a_damaged_index_is_made_again(files: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    decoded(files)
    (index,) = (STORE / "index").iterdir()
    good = index.read_bytes()
    for damaged in (b"", good[:-5], b"[1]", b'{"a": 3}', b"\xff\xfe"):
        index.write_bytes(damaged)
        assert_right(decoded(files), files)
        assert f"{index} is damaged" in capsys.readouterr().out
        assert index.read_bytes() == good


@pytest.mark.parametrize("damage", ["cut", "empty", "longer", "other", "shape"])
def test_a_damaged_array_is_made_again(
    files: list[Path], damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    decoded(files)
    (array,) = arrays()
    good = array.read_bytes()
    array.write_bytes(
        {
            "cut": good[:-1000],
            "empty": b"",
            "longer": good + b"0",
            "other": b"0" * len(good),
            "shape": good.replace(b"(40, 3, 8, 8)", b"(40, 3, 8, 7)"),
        }[damage]
    )
    assert_right(decoded(files), files)
    assert f"{array} is damaged" in capsys.readouterr().out
    assert array.read_bytes() == good


@pytest.mark.parametrize("damage", [None, "", "{0", "{}", "[]", "3"])
def test_an_array_without_its_json_is_made_again(
    files: list[Path], damage: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    decoded(files)
    (array,) = arrays()
    facts = array.with_suffix(".json")
    facts.unlink()
    if damage is not None:
        facts.write_text(damage)
    assert_right(decoded(files), files)
    assert f"{array} is damaged" in capsys.readouterr().out
    assert json.loads(facts.read_text()) == {"problems": {}, "bits": None}


def bad_files() -> list[Path]:
    folder = Path("bad")
    folder.mkdir()
    whole = write_pictures(folder, 1, first=50, suffix=".jpg")[0]
    (folder / "cut.jpg").write_bytes(whole.read_bytes()[:-10])
    (folder / "text.jpg").write_text("a text")
    (folder / "empty.jpg").touch()
    (folder / "link.jpg").symlink_to("nowhere")
    return [folder / name for name in ("cut.jpg", "empty.jpg", "link.jpg", "text.jpg")]


def test_unreadable_files_are_all_named(files: list[Path]) -> None:
    with pytest.raises(DataError) as caught:
        decoded([*files, *bad_files()])
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(
        "4 of 44 images of Pictures cannot be decoded: bad/cut.jpg (image file is trunc"
    )
    assert (
        "bad/empty.jpg (empty, 0 bytes); bad/link.jpg (no such file or directory); bad/text.jpg (no im"
        in message
    )
    assert message.endswith("Mend or delete them, or leave them out with --data.unreadable skip")


def test_many_unreadable_files_are_listed_in_a_file(files: list[Path]) -> None:
    bad = []
    for number in range(9):
        bad.append(Path(f"bad{number}.jpg"))
        bad[-1].write_text(f"a text {number}")
    with pytest.raises(DataError, match=r"bad4.jpg .*; and 4 more, all listed in (store/\w+.unreadable.txt)"):
        decoded([*files, *bad])
    (listing,) = STORE.glob("*.unreadable.txt")
    assert [line.split()[0] for line in listing.read_text().splitlines()] == [str(file) for file in bad]


def test_unreadable_files_are_skipped_each_time_with_a_warning(
    files: list[Path], decodings: list[bytes]
) -> None:
    bad = bad_files()
    for _ in range(2):
        with pytest.warns(UserWarning, match="4 of 44 images of Pictures .* They are left out") as caught:
            found = decoded([*bad, *files], unreadable="skip")
        assert len(caught) == 1
        assert found.rows[:4] == [-1] * 4
        assert_right(Decoded(found.pixels, found.rows[4:], found.content), files)
    assert len(decodings) == 43
    # The same array serves who does not skip.
    with pytest.raises(DataError, match="4 of 44"):
        decoded([*bad, *files])
    assert len(decodings) == 43


def test_nothing_readable_is_an_error_even_if_skipped() -> None:
    with pytest.raises(DataError, match="4 of 4 images"):
        decoded(bad_files(), unreadable="skip")
    with pytest.raises(DataError, match="1 of 1 images .*no such file"):
        decoded([Path("nowhere.png")], unreadable="skip")


def test_a_file_that_changes_meanwhile(files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "init", lambda: picture(77).save(files[3]))
    with pytest.raises(DataError, match=f"{files[3]} was changed while it was read"):
        decoded(files)
    assert arrays() == []


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


def test_a_pipe_among_the_images(files: list[Path]) -> None:
    os.mkfifo("pipe.png")
    with pytest.raises(DataError, match="1 of 41 images .*pipe.png .no regular file"):
        decoded([*files, Path("pipe.png")])


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DROPOUT_LAB_CACHE", "own")
    assert default_cache() == Path("own")
    monkeypatch.delenv("DROPOUT_LAB_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "caches")
    assert default_cache() == Path("caches/dropout-lab")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert default_cache() == Path.home() / ".cache" / "dropout-lab"
