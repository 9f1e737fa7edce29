"""The program's front door: help at once, commands by name, errors in one line."""

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import dropout_lab
import dropout_lab.datamodules
from dropout_lab.app import main as front
from dropout_lab.app.errors import UserError
from dropout_lab.app.files import find_own_modules
from dropout_lab.app.main import ALL, COMMANDS, PAGES, main
from dropout_lab.models import dropout, networks

REPOSITORY = Path(__file__).parents[2]
CHOICES = (dropout_lab.datamodules.ImageDataModule, networks.Network, dropout.Dropout)
# The base of networks, and what wraps layers from elsewhere.
NOT_CHOSEN = (networks.Network, dropout.ForeignDropout)


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"], ["help"]])
def test_help_lists_every_command(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    main(words)
    output = capsys.readouterr().out
    for name, summary in COMMANDS.items():
        assert f"{name:<10}{summary}" in output


def test_help_imports_nothing_heavy() -> None:
    pages = [["--help"], *([name, "--help"] for name in PAGES)]
    program = (
        f"import sys, cli\nfor words in {pages}:\n    sys.argv = ['cli.py', *words]\n    cli.main()\n"
        "heavy = {'torch', 'pytorch_lightning', 'jsonargparse', 'rich'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, check=True, capture_output=True)


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_the_first_page_of_a_command(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    main(["test", "--run", "runs/mnist", flag])
    assert capsys.readouterr().out.startswith("usage: dropout-lab test --run FOLDER")


def test_pages_name_options_that_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    for command, page in PAGES.items():
        with pytest.raises(SystemExit) as ended:
            main([command, ALL])
        assert not ended.value.code
        everything = capsys.readouterr().out
        for option in re.findall(r"--[a-z][\w.+]*[\w+]", page):
            # Arguments of a class are listed by that class alone.
            of_class = re.match(r"--(data|model\.network|model\.optimizer|model\.scheduler)\.", option)
            assert of_class or option in (*everything.split(), "--debug", ALL), f"{command}: {option}"
    of_data = re.findall(r"--data\.(?!help)(\w+)", PAGES["fit"])
    assert set(of_data) <= set(inspect.signature(dropout_lab.datamodules.ImageDataModule).parameters)


def test_pages_name_every_class() -> None:
    page = set(re.findall(r"\w+", PAGES["fit"]))
    for package in (dropout_lab.datamodules, networks, dropout):
        for name in package.__all__:
            found = getattr(package, name)
            if inspect.isclass(found) and issubclass(found, CHOICES) and not inspect.isabstract(found):
                assert name in page or found in NOT_CHOSEN, name


@pytest.mark.parametrize("first", [[], ["", str(REPOSITORY)], [str(REPOSITORY)]])
def test_where_a_users_own_modules_are_found(first: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*first, "/libraries"])
    find_own_modules()
    find_own_modules()
    checkout = [str(REPOSITORY / "src")] if str(REPOSITORY) in first else []
    assert [path for path in sys.path if path] == [*checkout, "/libraries", str(Path.cwd())]
    assert [path.name for path in (REPOSITORY / "src").iterdir()] == ["dropout_lab"], "rooms hide no module"


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--version"])
    assert capsys.readouterr().out == f"dropout-lab {dropout_lab.__version__}\n"


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


def test_printed_settings_are_all_of_them(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["fit", "--config", "quickstart", "--print_config"])
    assert not ended.value.code
    printed = yaml.safe_load(capsys.readouterr().out)
    assert printed["seed_everything"] == 0
    assert printed["trainer"]["enable_model_summary"] is False
    assert printed["trainer"]["accumulate_grad_batches"] == 1
    assert printed["model"]["optimizer"]["init_args"].keys() >= {"lr", "weight_decay"}


def test_a_study_is_no_config_of_a_fit_and_the_reverse(capsys: pytest.CaptureFixture[str]) -> None:
    for words, remedy in (
        (["fit", "--config", "studies/quickstart"], "is a study, a grid of runs: dropout-lab study "),
        (["study", "mnist"], "is the config of a single fit: dropout-lab fit --config "),
    ):
        with pytest.raises(SystemExit) as ended:
            main(words)
        assert ended.value.code == 2
        assert remedy in capsys.readouterr().err
