"""The program's front door: help at once, commands by name, errors in one line."""

import subprocess
import sys
from pathlib import Path

import pytest

from app import main as front
from app.errors import UserError
from app.main import COMMANDS, main

REPOSITORY = Path(__file__).parents[2]


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"], ["help"]])
def test_help_lists_every_command(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    main(words)
    output = capsys.readouterr().out
    for name, command in COMMANDS.items():
        assert f"{name:<10}{command.summary}" in output


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys; sys.argv = ['cli.py', '--help']; import cli; cli.main(); "
        "heavy = {'torch', 'pytorch_lightning', 'jsonargparse', 'rich'} & set(sys.modules); "
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, check=True, capture_output=True)


def test_runs_uninstalled_from_anywhere(tmp_path: Path) -> None:
    program = [sys.executable, str(REPOSITORY / "cli.py"), "--help"]
    done = subprocess.run(program, cwd=tmp_path, check=True, capture_output=True, text=True)
    assert done.stdout.startswith("usage: dropout-lab")


@pytest.mark.parametrize(
    ("name", "hint"),
    [("fitt", "did you mean fit?"), ("xyz", f"the commands are {', '.join(COMMANDS)}")],
)
def test_unknown_command(name: str, hint: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([name])
    assert ended.value.code == 2
    assert capsys.readouterr().err == f"dropout-lab: error: no command '{name}'; {hint}\n"


def test_debug_shows_the_traceback() -> None:
    with pytest.raises(UserError):
        main(["fitt", "--debug"])


def test_other_errors_are_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(words: list[str]) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(front, "command_named", lambda name: broken)
    with pytest.raises(ZeroDivisionError):
        main(["fit"])
