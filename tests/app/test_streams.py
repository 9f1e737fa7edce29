"""Where commands print: nobody who reads it, a full disk, other encodings, texts that would command a terminal."""

import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from rich.table import Table

from dropout_lab.app.main import main
from dropout_lab.app.streams import lasting_streams
from dropout_lab.app.terminal import Terminal
from dropout_lab.ground import printable
from tests.app.bad_input.row import FIT
from tests.programs import REPOSITORY

HOSTILE = "a\x1b[2Jb\x1b]0;title\x07c\u202ed\x9be"
HARMLESS = r"a\x1b[2Jb\x1b]0;title\x07c\u202ed\x9be"


def test_no_escape_sequence_reaches_the_terminal() -> None:
    assert printable(HOSTILE) == HARMLESS
    assert printable("é 猫 🐈 a\tb\n", lines=True) == "é 猫 🐈 a\tb\n"
    assert printable("a\nb") == r"a\nb"
    written = io.StringIO()
    terminal = Terminal(file=written, force_terminal=True, color_system="standard", width=100)
    table = Table("class", HOSTILE)
    table.add_row(HOSTILE, "[red]x[/]")
    terminal.print(table)
    terminal.print(HOSTILE, markup=False, highlight=False)
    terminal.print("plain", style="red")
    text = written.getvalue()
    assert text.count(r"\x1b[2J") == 3
    assert "\u202e" not in text
    assert "\x1b[2J" not in text
    assert "\x07" not in text
    # Its own colours stay.
    assert "\x1b[31mplain" in text


def test_a_word_of_the_command_line_too(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([HOSTILE])
    assert capsys.readouterr().err.startswith(f"dropout-lab: error: no command '{HARMLESS}")


def test_the_streams_are_given_back() -> None:
    before, hangup = (sys.stdout, sys.stderr), signal.getsignal(signal.SIGHUP)
    with lasting_streams():
        assert sys.stdout is not before[0]
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    assert (sys.stdout, sys.stderr) == before
    assert signal.getsignal(signal.SIGHUP) is hangup


def shell(command: str, **env: str) -> "subprocess.CompletedProcess[bytes]":
    """Give a command to the shell, in which ``lab`` is the program."""
    lab = f'lab() {{ "{sys.executable}" "{REPOSITORY / "cli.py"}" "$@"; }}; set -o pipefail; {command}'
    return subprocess.run(
        ["bash", "-c", lab], capture_output=True, env={**os.environ, **env}, timeout=600, check=False
    )


@pytest.mark.parametrize(
    ("command", "code", "error"),
    [
        ("lab configs | head -1", 0, b""),
        ("lab configs >&-", 0, b""),
        ("lab --help >&- 2>&-", 0, b""),
        ("lab no-such 2>&-", 2, b""),
        ("lab no-such 2>/dev/full", 2, b""),
        (
            "lab configs >/dev/full",
            2,
            b"dropout-lab: error: stdout: No space left on device, what was printed is lost; free some space there, or "
            b"choose a folder on another disk\n",
        ),
    ],
)
def test_nobody_reads_it(command: str, code: int, error: bytes) -> None:
    done = shell(command)
    assert (done.returncode, done.stderr) == (code, error)


def test_the_folder_that_one_stands_in_is_gone() -> None:
    done = shell("mkdir gone; cd gone; rmdir ../gone; lab configs")
    assert done.returncode == 2
    assert done.stderr.startswith(b"dropout-lab: error: .: the folder you stand in is gone; ")
    assert done.stderr.count(b"\n") == 1


def test_ascii_alone() -> None:
    done = shell(
        "lab configs show quickstart; lab no-such-é", LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0",
        PYTHONIOENCODING="ascii",
    )  # fmt: skip
    assert b"Traceback" not in done.stderr
    assert done.stdout.isascii()
    assert done.stderr.count(b"\n") == 1


@pytest.mark.slow
@pytest.mark.parametrize("where", ["| head -1", ">&- 2>&-", ">/dev/full"])
def test_a_fit_trains_on_to_its_result(where: str) -> None:
    done = shell(f"lab {FIT} --name a {where}")
    assert b"Traceback" not in done.stderr
    assert Path("runs/a/version_0/result.json").is_file()


@pytest.mark.slow
def test_a_fit_whose_terminal_is_lost_trains_on_to_its_result() -> None:
    master, terminal = os.openpty()
    words = [
        sys.executable,
        str(REPOSITORY / "cli.py"),
        *FIT.split(),
        "--name",
        "a",
        "--trainer.max_epochs",
        "20",
    ]
    with subprocess.Popen(
        words, stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True
    ) as fit:
        os.close(terminal)
        # It has printed its header.
        assert os.read(master, 1)
        os.close(master)
        fit.send_signal(signal.SIGHUP)
        assert fit.wait(600) == 0
    assert Path("runs/a/version_0/result.json").is_file()
