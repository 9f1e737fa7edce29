"""One process at a time."""

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from filelock import Timeout

from dropout_lab.datamodules.locks import exclusive

LOCK = Path("here.lock")


def test_one_at_a_time_and_nothing_is_left(capsys: pytest.CaptureFixture[str]) -> None:
    order: list[str] = []

    def wait() -> None:
        with exclusive(LOCK, "counting"):
            order.append("second")

    def look() -> None:
        with exclusive(LOCK, None):
            order.append("third")

    with ThreadPoolExecutor(2) as pool:
        with exclusive(LOCK, "counting"):
            with pytest.raises(Timeout):
                pool.submit(look).result()
            second = pool.submit(wait)
            order.append("first")
        second.result()
        pool.submit(look).result()
    assert order == ["first", "second", "third"]
    assert not LOCK.exists()


@pytest.mark.parametrize("reason", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_disk_that_locks_nothing(
    reason: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*arguments: int) -> None:
        raise OSError(reason, os.strerror(reason))

    monkeypatch.setattr("fcntl.flock", refuse)
    # Twice: what the first leaves would be taken for a holder.
    for _ in range(2):
        with exclusive(LOCK, "counting"):
            pass
        assert "cannot be locked" in capsys.readouterr().out
    assert not LOCK.exists()


def test_a_file_where_the_folder_should_be() -> None:
    Path("folder").write_text("")
    with pytest.raises(OSError, match="folder"), exclusive(Path("folder/a.lock"), None):
        pass


def test_no_module_of_unix_alone_is_imported() -> None:
    folder = Path(__file__).parents[2] / "datamodules"
    for file in (*folder.glob("*.py"), folder.parent / "app" / "organize.py"):
        assert "fcntl" not in file.read_text(), file
