"""Programs of the fork server are as those of an interpreter of their own."""

import signal
import sys
from pathlib import Path

import pytest

from tests.programs import CLI, PATH, run, run_ranks, start


def script(text: str) -> Path:
    file = Path("script.py")
    file.write_text(text)
    return file.resolve()


def test_words_streams_folder_and_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOLD", "yes")
    text = (
        "import atexit, os, sys, multiprocessing\n"
        "atexit.register(print, 'at the end')\n"
        "print(sys.argv[1:], os.getcwd(), os.environ['TOLD'], __name__, sys.path, repr(sys.stdin.read()))\n"
        "print(multiprocessing.get_start_method(), file=sys.stderr)\n"
        "sys.exit(7)\n"
    )
    done = run("a", "b c", script=script(text))
    assert done.returncode == 7
    assert done.stdout == f"{['a', 'b c']} {Path.cwd()} yes __main__ {PATH} ''\nat the end\n"
    assert done.stderr == ("fork\n" if sys.version_info < (3, 14) else "forkserver\n")


@pytest.mark.parametrize(("text", "code"), [("", 0), ("raise SystemExit('why')", 1), ("1 / 0", 1)])
def test_exit_codes(text: str, code: int) -> None:
    done = run(script=script(text))
    assert done.returncode == code
    assert ("why" in done.stderr, "ZeroDivisionError" in done.stderr) == ("why" in text, "/ 0" in text)


def test_signals_reach_it() -> None:
    text = "import signal\nprint('here', flush=True)\nwhile True: signal.pause()"
    with start(script=script(text)) as program:
        program.wait_for_output("here")
        assert program.poll() is None
        program.send_signal(signal.SIGTERM)
        assert program.wait() == -signal.SIGTERM


def test_a_full_disk_is_its_own() -> None:
    text = "open('file', 'wb', 0).write(b'x' * 200)"
    done = run(script=script(f"{text}\n{text}\n"), most_bytes=100)
    assert Path("file").stat().st_size == 100
    assert done.returncode == 0
    Path("file").write_bytes(b"x" * 200)


def test_ranks_and_one_that_fails_ends_all() -> None:
    text = (
        "import os, signal\n"
        "from lightning_fabric.utilities.rank_zero import rank_zero_only\n"
        "print(rank_zero_only.rank, os.environ['WORLD_SIZE'], flush=True)\n"
        "raise SystemExit(3) if rank_zero_only.rank else signal.pause()\n"
    )
    done = run_ranks(script=script(text))
    assert [each.returncode for each in done] == [-signal.SIGKILL, 3]
    assert [each.stdout for each in done] == ["0 2\n", "1 2\n"]


def test_it_is_cli_py() -> None:
    done = run("fitt")
    assert (done.returncode, done.args) == (2, [str(CLI), "fitt"])
    assert done.stderr == "dropout-lab: error: no command 'fitt'; did you mean fit?\n"
