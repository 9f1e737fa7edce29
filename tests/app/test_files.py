"""Files that strangers may have prepared: links in their place, pipes, devices."""

import os
from pathlib import Path

import pytest

from dropout_lab.app.files import read_bytes, special
from dropout_lab.ground import PARTIAL, whole_file

VICTIM = Path("victim.txt")


@pytest.mark.parametrize("mode", ["w", "wb"])
def test_a_link_is_replaced_and_what_it_leads_to_stays(mode: str) -> None:
    VICTIM.write_text("mine")
    target = Path("run/result.json")
    target.parent.mkdir()
    # In the file's place, and in each that could be foreseen for what is half-written.
    for name in ("result.json", f"result{PARTIAL}", f"result.json{PARTIAL}", f".result.json{PARTIAL}"):
        Path("run", name).symlink_to(VICTIM.absolute())
    with whole_file(target, mode) as stream:
        stream.write("new" if mode == "w" else b"new")
    assert VICTIM.read_text() == "mine"
    assert not target.is_symlink()
    assert target.read_text() == "new"


def test_permissions_are_those_of_any_new_file() -> None:
    Path("any").touch()
    with whole_file(Path("ours")) as stream:
        stream.write("")
    assert Path("ours").stat().st_mode == Path("any").stat().st_mode


def test_a_path_of_other_bytes_can_be_written() -> None:
    with whole_file(Path("report.md")) as stream:
        stream.write(os.fsdecode(b"caf\xe9 \xc3\xa9"))
    assert Path("report.md").read_bytes() == b"caf\\udce9 \xc3\xa9"


def test_nothing_waits_for_a_pipe_or_reads_a_device() -> None:
    os.mkfifo("pipe")
    for path, what in ((Path("pipe"), "a pipe"), (Path("/dev/zero"), "a device")):
        assert special(path) == what
        with pytest.raises(OSError, match=f"it is {what}"):
            read_bytes(path, 10)
    Path("long").write_bytes(bytes(11))
    with pytest.raises(OSError, match="it holds more than 10 bytes"):
        read_bytes(Path("long"), 10)
    assert special(Path("long")) is special(Path("none")) is None


def test_a_pipe_of_the_shells_is_read() -> None:
    reading, writing = os.pipe()
    os.write(writing, b"a: 1\n")
    os.close(writing)
    try:
        assert read_bytes(Path(f"/dev/fd/{reading}"), 10) == b"a: 1\n"
    finally:
        os.close(reading)
