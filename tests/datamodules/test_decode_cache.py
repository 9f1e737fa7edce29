"""The cache of decoded images: what makes another one, and what can go wrong."""

import json
import os
import shutil
import threading
import time
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dropout_lab.datamodules import DataError, decode_cache
from dropout_lab.datamodules.decode import Conversion, Converted, convert
from dropout_lab.datamodules.decode_cache import Decoded, default_cache
from tests.data.folders import picture, write_pictures
from tests.datamodules.caches import STORE, arrays, assert_right, contents, decoded


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


def test_a_pipe_among_the_images(files: list[Path]) -> None:
    os.mkfifo("pipe.png")
    with pytest.raises(DataError, match="1 of 41 images .*pipe.png .no regular file"):
        decoded([*files, Path("pipe.png")])


@pytest.mark.parametrize("most", [0, 1])
def test_fewer_threads_than_asked_for(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    start, started = threading.Thread.start, count(1)

    def limited(thread: threading.Thread) -> None:
        if next(started) > most:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", limited)
    monkeypatch.setattr(decode_cache, "cpu_count", lambda: 4)
    items = list(range(10 * decode_cache.CHUNK))
    assert [item for part in decode_cache._in_parallel(list, items, "reading") for item in part] == items


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DROPOUT_LAB_CACHE", "own")
    assert default_cache() == Path("own")
    monkeypatch.delenv("DROPOUT_LAB_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "caches")
    assert default_cache() == Path("caches/dropout-lab")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert default_cache() == Path.home() / ".cache" / "dropout-lab"


def test_files_changed_in_place_with_size_and_time_kept() -> None:
    files = [Path("pictures/0.bmp"), Path("pictures/1.bmp")]
    files[0].parent.mkdir()
    for number, file in enumerate(files):
        picture(number).save(file)
        os.utime(file, (1_000_000, 1_000_000))
    assert_right(decoded(files), files)
    first, second = (file.read_bytes() for file in files)
    files[0].write_bytes(second)
    files[1].write_bytes(first)
    for file in files:
        os.utime(file, (1_000_000, 1_000_000))
    assert_right(decoded(files), files)
    # Renamed over another, which on some disks keeps the time of change.
    files[0].rename("pictures/2.bmp")
    files[1].rename(files[0])
    Path("pictures/2.bmp").rename(files[1])
    assert_right(decoded(files), files)
