"""What the system refuses, in one line with its remedy."""

import errno
import os
import re
import tempfile

import pytest

from dropout_lab.app.errors import CommandParser, UserError, describe_os_error, remedy

# As PyTorch and Python write them.
REFUSED = {
    "Too many open files. Communication with the workers is no longer possible. Please increase the limit using "
    "`ulimit -n` in the shell or change the sharing strategy": "Too many open files: .*ulimit -n 4096.*num_workers 0",
    "can't start new thread": "ulimit -u",
    "DataLoader worker (pid 8) is killed by signal: Bus error. It is possible that dataloader's workers are out of "
    "shared memory. Please try to raise your shared memory limit.": "out of shared memory: .*--shm-size",
    "The server socket has failed to listen on any local network address. port: 29533, useIpv6: false, code: -98, "
    "name: EADDRINUSE, message: address already in use": "unset MASTER_PORT",
}


@pytest.mark.parametrize("message", REFUSED)
def test_a_limit_that_is_reached(message: str) -> None:
    line = remedy(RuntimeError(message), "model.compile", "a smaller batch")
    assert line is not None
    assert "\n" not in line
    assert re.search(REFUSED[message], line), line


def test_another_error_is_not_told_as_one() -> None:
    assert remedy(RuntimeError("a mistake of the program"), "model.compile", "a smaller batch") is None


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE])
def test_files_that_the_system_does_not_open(number: int) -> None:
    assert "ulimit -n 4096" in describe_os_error(OSError(number, os.strerror(number), "images/1.png"))


def test_a_folder_too_long_for_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/long/folder")
    # As Python's socket says it, without a number and a file.
    line = describe_os_error(OSError("AF_UNIX path too long"))
    assert line == "/long/folder: too long a path for sockets; set TMPDIR to a shorter folder, as /tmp"


@pytest.mark.parametrize("words", ["--dry_run --to_do=3", "--dry-run --to-do 3", "--dry-run --to_do=3"])
def test_options_in_both_spellings(words: str) -> None:
    parser = CommandParser("study")
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--dry_run", action="store_true")
    parser.add_argument("--to_do", type=int)
    assert vars(parser.parse_args(words.split())) == {"dry_run": True, "to_do": 3}
    assert "-run]" not in parser.format_help()
    with pytest.raises(UserError, match="unrecognized arguments: --dry-runs; see study --help"):
        parser.parse_args(["--dry-runs"])
    with pytest.raises(UserError, match="argument --to_do: invalid int value: 'x'"):
        parser.parse_args(["--to-do", "x"])
