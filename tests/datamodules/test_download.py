"""Archives from a server of the test's own: cut connections, wrong files, hostile members; all or nothing."""

import contextlib
import hashlib
import io
import stat
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from dropout_lab.datamodules import DownloadError, download
from dropout_lab.datamodules.download import Archive, RefusedError, fetch_archive, unpack

FILES = {"set/words.txt": b"word\n" * 200, "set/train/images/0.JPEG": bytes(range(256)) * 20}


def zipped(files: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.mkdir("set")
        for name, data in files.items():
            archive.writestr(name, data)
    return content.getvalue()


@dataclass
class Server:
    """What the server offers, and how badly it behaves."""

    content: bytes
    url: str = ""
    asked: list[str | None] = field(default_factory=list)
    """The Range of each request."""
    ignores_range: bool = False
    tells_length: bool = True
    cut_after: int | None = None
    """Bytes of an answer after which the connection is closed."""
    content_range: str | None = None
    status: int | None = None
    stalls: threading.Event | None = None


class Handler(BaseHTTPRequestHandler):
    server_state: ClassVar[Server]

    def do_GET(self) -> None:
        state, asked = self.server_state, self.headers["Range"]
        state.asked.append(asked)
        if state.stalls is not None:
            state.stalls.wait()
        if state.status is not None:
            # A client that has waited long enough has hung up.
            with contextlib.suppress(ConnectionError):
                self.send_error(state.status)
            return
        start = 0
        if asked is not None and not state.ignores_range:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            if start >= len(state.content):
                self.send_error(416)
                return
            self.send_response(206)
            end = f"bytes {start}-{len(state.content) - 1}/{len(state.content)}"
            self.send_header("Content-Range", state.content_range or end)
        else:
            self.send_response(200)
        body = state.content[start:]
        if state.tells_length:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        # A client that has seen enough hangs up.
        with contextlib.suppress(ConnectionError):
            self.wfile.write(body[: state.cut_after])

    def log_message(self, *arguments: object) -> None:
        """Keep quiet."""


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server(zipped(FILES))
    handler = type("OneHandler", (Handler,), {"server_state": state})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}).start()
        state.url = f"http://127.0.0.1:{running.server_port}/set.zip"
        yield state
        running.shutdown()


@pytest.fixture
def archive(server: Server) -> Archive:
    return official(server)


def official(server: Server) -> Archive:
    content = server.content
    return Archive("A set", server.url, len(content), hashlib.sha256(content).hexdigest(), "set", 10, 10_000)


ROOT = Path("data")
PARTIAL = ROOT / "set.zip.partial"


def names() -> list[str]:
    return sorted(str(path) for path in Path().rglob("*"))


def assert_whole() -> None:
    for name, content in FILES.items():
        assert (ROOT / name).read_bytes() == content
    assert [path.name for path in ROOT.iterdir()] == ["set"]


def test_fetched_once(server: Server, archive: Archive, capsys: pytest.CaptureFixture[str]) -> None:
    fetch_archive(archive, ROOT)
    assert_whole()
    fetch_archive(archive, ROOT)
    assert server.asked == [None]
    assert capsys.readouterr() == ("", "")


def test_a_folder_that_is_there_is_left_alone(server: Server, archive: Archive) -> None:
    (ROOT / "set").mkdir(parents=True)
    fetch_archive(archive, ROOT)
    assert server.asked == []
    assert names() == ["data", "data/set"]


def test_goes_on_where_the_connection_was_cut(server: Server, archive: Archive) -> None:
    server.cut_after = 100
    with pytest.raises(DownloadError, match=f"cut after 100 of {archive.size} bytes.*Try again") as caught:
        fetch_archive(archive, ROOT)
    assert server.url in str(caught.value)
    assert PARTIAL.read_bytes() == server.content[:100]
    server.cut_after = None
    fetch_archive(archive, ROOT)
    assert server.asked == [None, "bytes=100-"]
    assert_whole()


def test_a_connection_that_is_cut_at_once(server: Server, archive: Archive) -> None:
    server.cut_after = 0
    with pytest.raises(DownloadError, match="cut after 0 of"):
        fetch_archive(archive, ROOT)
    assert names() == []


def test_begins_anew_where_the_server_ignores_ranges(server: Server, archive: Archive) -> None:
    ROOT.mkdir()
    PARTIAL.write_bytes(b"x" * 100)
    server.ignores_range = True
    fetch_archive(archive, ROOT)
    assert server.asked == ["bytes=100-"]
    assert_whole()


def test_begins_anew_where_the_server_refuses_the_range(server: Server, archive: Archive) -> None:
    ROOT.mkdir()
    PARTIAL.write_bytes(bytes(archive.size + 5))
    fetch_archive(archive, ROOT)
    assert server.asked == [f"bytes={archive.size + 5}-", None]
    assert_whole()


def test_a_whole_partial_file_is_not_fetched_again(server: Server, archive: Archive) -> None:
    ROOT.mkdir()
    PARTIAL.write_bytes(server.content)
    fetch_archive(archive, ROOT)
    assert server.asked == []
    assert_whole()


def test_a_partial_file_of_something_else_is_deleted(server: Server, archive: Archive) -> None:
    ROOT.mkdir()
    PARTIAL.write_bytes(b"x" * 100)
    with pytest.raises(DownloadError, match=f"has the SHA-256 .*, the official file {archive.sha256}"):
        fetch_archive(archive, ROOT)
    assert not PARTIAL.exists()
    fetch_archive(archive, ROOT)
    assert_whole()


@pytest.mark.parametrize("name", ["set.zip.partial", ".set.unpacking"])
def test_nothing_is_written_through_a_link(name: str, server: Server, archive: Archive) -> None:
    ROOT.mkdir()
    victim = Path("victim")
    if name.endswith("partial"):
        victim.write_bytes(server.content[:5])
    else:
        victim.mkdir()
    (ROOT / name).symlink_to(victim.absolute())
    with pytest.raises(
        DownloadError, match=f"{name} is a link, and nothing is written through one: remove it"
    ):
        fetch_archive(archive, ROOT)
    assert names() == ["data", f"data/{name}", "victim"]
    assert victim.is_dir() or victim.read_bytes() == server.content[:5]


def test_another_range_than_asked_for(server: Server, archive: Archive) -> None:
    ROOT.mkdir()
    PARTIAL.write_bytes(server.content[:100])
    server.content_range = f"bytes 0-99/{archive.size}"
    with pytest.raises(DownloadError, match="'bytes 0-99/.*' in place of 'bytes 100-"):
        fetch_archive(archive, ROOT)
    assert names() == ["data"]


def test_a_file_of_another_length(server: Server, archive: Archive) -> None:
    server.content += b"x"
    with pytest.raises(DownloadError, match=f"'{archive.size + 1}' in place of '{archive.size}'"):
        fetch_archive(archive, ROOT)
    assert names() == []


@pytest.mark.parametrize("more", [b"x", bytes(3 * download.CHUNK)])
def test_more_bytes_than_there_should_be(server: Server, archive: Archive, more: bytes) -> None:
    server.content += more
    server.tells_length = False
    with pytest.raises(DownloadError, match=f"more than the official {archive.size} bytes arrive"):
        fetch_archive(archive, ROOT)
    assert names() == []


def test_a_server_that_does_not_tell_the_length(server: Server, archive: Archive) -> None:
    server.tells_length = False
    fetch_archive(archive, ROOT)
    assert_whole()


def test_a_changed_file_of_the_same_length(server: Server, archive: Archive) -> None:
    server.content = server.content[:-1] + b"x"
    with pytest.raises(DownloadError, match="has the SHA-256"):
        fetch_archive(archive, ROOT)
    assert names() == []


@pytest.mark.parametrize("status", [404, 500])
def test_an_error_of_the_server(server: Server, archive: Archive, status: int) -> None:
    server.status = status
    with pytest.raises(DownloadError, match=f"A set could not be downloaded .*{status}.*by hand") as caught:
        fetch_archive(archive, ROOT / "deep")
    assert "\n" not in str(caught.value)
    assert names() == []


def test_a_server_that_is_silent(server: Server, archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "TIMEOUT", 0.05)
    server.stalls = threading.Event()
    try:
        with pytest.raises(DownloadError, match="timed out"):
            fetch_archive(archive, ROOT)
    finally:
        server.status = 404
        server.stalls.set()
    assert names() == []


def test_no_server() -> None:
    nowhere = Archive("A set", "http://127.0.0.1:1/set.zip", 10, "", "set", 10, 10)
    with pytest.raises(DownloadError, match="refused"):
        fetch_archive(nowhere, ROOT)
    assert names() == []


def test_no_room(server: Server, archive: Archive) -> None:
    with pytest.raises(DownloadError, match=r"it needs 1\d{18} bytes of free disk space, there are \d+"):
        fetch_archive(replace(archive, most_bytes=10**18), ROOT)
    assert server.asked == []
    assert names() == []


def test_a_root_that_is_a_file(archive: Archive) -> None:
    ROOT.write_text("")
    with pytest.raises(DownloadError, match="exists"):
        fetch_archive(archive, ROOT)


def test_of_two_at_once_one_fetches(server: Server, archive: Archive) -> None:
    threads = [threading.Thread(target=fetch_archive, args=(archive, ROOT)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert server.asked == [None]
    assert_whole()


def test_what_a_killed_process_left_is_cleared(archive: Archive) -> None:
    (ROOT / ".set.unpacking" / "set").mkdir(parents=True)
    (ROOT / ".set.unpacking" / "set" / "stray").write_text("")
    fetch_archive(archive, ROOT)
    assert_whole()


def test_an_official_file_that_may_not_be_unpacked(server: Server) -> None:
    server.content = zipped({"set/../../evil": b""})
    with pytest.raises(DownloadError, match="member 'set/../../evil' lies outside of set/"):
        fetch_archive(official(server), ROOT)
    assert names() == []


def test_no_zip_file(server: Server) -> None:
    server.content = b"<html>sorry</html>"
    with pytest.raises(DownloadError, match="not a zip file"):
        fetch_archive(official(server), ROOT)
    assert names() == []


def hostile(name: str, mode: int = 0, flags: int = 0) -> bytes:
    """A zip file of one good member and one of the given name, mode and flags."""
    member = zipfile.ZipInfo("set/x")
    # Not by the constructor, which would tidy the name.
    member.filename = name
    member.external_attr = mode << 16
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("set/good", b"good")
        archive.writestr(member, b"/etc/passwd")
        member.flag_bits |= flags
    return content.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (hostile("/etc/evil"), "'/etc/evil' lies outside of set/"),
        (hostile("../evil"), "'../evil' lies outside of set/"),
        (hostile("set/../../evil"), "lies outside of set/"),
        (hostile("other/evil"), "'other/evil' lies outside of set/"),
        (hostile("C:/evil"), "has a backslash, a drive letter or a zero byte"),
        (hostile("set\\..\\..\\evil"), "has a backslash, a drive letter or a zero byte"),
        (hostile("set/evil\0.txt"), "has a backslash, a drive letter or a zero byte"),
        (hostile("set/evil", mode=stat.S_IFLNK | 0o777), "'set/evil' is a link or another special file"),
        (hostile("set/evil", mode=stat.S_IFCHR | 0o777), "'set/evil' is a link or another special file"),
        (hostile("set/evil", flags=0x1), "'set/evil' is encrypted"),
        (hostile("set/./good"), "'set/./good' is there twice"),
        (zipped({f"set/{number}": b"" for number in range(10)}), "has 11 members, where 10 are allowed"),
        (zipped({"set/bomb": bytes(20_000)}), "unpacks to 20000 bytes, where 10000 are allowed"),
        (b"PK\x05\x06" + bytes(18), "is empty"),
    ],
    ids=range(14),
)
def test_members_that_are_refused(content: bytes, message: str) -> None:
    ROOT.mkdir()
    with pytest.raises(RefusedError, match=message):
        unpack(io.BytesIO(content), ROOT / "set", most_members=10, most_bytes=10_000)
    assert names() == ["data"]


def test_a_member_that_says_it_is_small() -> None:
    content = bytearray(zipped({"set/bomb": bytes(20_000)}))
    # The size of the last member in the central directory.
    place = content.rindex(b"PK\x01\x02") + 24
    content[place : place + 4] = (5).to_bytes(4, "little")
    ROOT.mkdir()
    with pytest.raises(zipfile.BadZipFile, match="CRC"):
        unpack(io.BytesIO(content), ROOT / "set", most_members=10, most_bytes=10_000)
    assert names() == ["data"]


def test_a_damaged_member() -> None:
    content = zipped(FILES)
    damaged = content.replace(content[150:160], bytes(10))
    ROOT.mkdir()
    with pytest.raises((zipfile.BadZipFile, *download.NOT_A_ZIP)):
        unpack(io.BytesIO(damaged), ROOT / "set", most_members=10, most_bytes=10_000)
    assert names() == ["data"]
