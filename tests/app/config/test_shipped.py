"""Shipped configs are found by name, from anywhere, and behind a user's own files."""

import os
import re
from pathlib import Path

import pytest

from dropout_lab.app.config.allowlist import check_renamed
from dropout_lab.app.config.shipped import FOLDER, find_config, shipped_configs
from dropout_lab.app.errors import UserError
from dropout_lab.app.main import main
from dropout_lab.app.study.read_spec import read_study

FIT = "fit --data DigitsDataModule --model.network GavierMNIST --trainer.accelerator cpu --trainer.fast_dev_run 1"


def refused(words: str, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as ended:
        main(words.split())
    assert ended.value.code == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1, lines
    return lines[0]


@pytest.mark.parametrize("spelt", ["{}", "{}.yaml", "configs/{}.yaml", "./configs/{}", "configs/{}"])
def test_every_config_by_its_name(spelt: str) -> None:
    shipped = shipped_configs()
    assert {"mnist", "dropout/mal_drop", "studies/compare"} <= shipped.keys()
    for name, file in shipped.items():
        assert find_config(spelt.format(name)) == file == FOLDER / f"{name}.yaml"


def test_a_users_own_file_wins() -> None:
    Path("dropout").mkdir()
    for own, name in (
        ("mnist.yaml", "mnist"),
        ("dropout/mal_drop.yaml", "dropout/mal_drop.yaml"),
        ("speed", "speed"),
    ):
        Path(own).write_text("name: mine\n")
        assert find_config(name) == Path(own)
    Path("isic").mkdir()
    assert find_config("isic") == FOLDER / "isic.yaml", "a folder is no config"


def test_a_study_may_be_named_alone() -> None:
    assert find_config("compare", group="studies") == FOLDER / "studies" / "compare.yaml"
    assert find_config("quickstart", group="studies") == FOLDER / "studies" / "quickstart.yaml"
    assert find_config("studies/quickstart", group="studies") == FOLDER / "studies" / "quickstart.yaml"
    assert find_config("quickstart") == FOLDER / "quickstart.yaml"
    # Results of a study of that name.
    Path("studies/compare").mkdir(parents=True)
    assert find_config("studies/compare", group="studies") == FOLDER / "studies" / "compare.yaml"


def test_what_a_study_refers_to_counts_from_its_folder() -> None:
    beside = Path("elsewhere")
    (beside / "data").mkdir(parents=True)
    assert find_config("data/digits", beside) == FOLDER / "data" / "digits.yaml"
    (beside / "data" / "digits.yaml").write_text("data: {}\n")
    assert find_config("data/digits", beside) == beside / "data" / "digits.yaml"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("minst", "no file minst .No such file or directory.; did you mean mnist?"),
        ("dropout/maldrop.yaml", "; did you mean dropout/mal_drop?"),
        ("mal_drop", "no file mal_drop .*; did you mean dropout/mal_drop?"),
        ("configs/qickstart.yaml", "no file configs/qickstart.yaml .*; did you mean quickstart?"),
        ("/nowhere/at/all", "; give the path of a YAML file, or one of `dropout-lab configs`"),
    ],
)
def test_a_misspelt_name(name: str, says: str) -> None:
    with pytest.raises(UserError, match=says.replace("?", "[?]")):
        find_config(name)


def test_a_command_says_it_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert refused(f"{FIT} --config dropuot/standard", capsys).endswith("did you mean dropout/standard?")
    assert refused("study quikstart", capsys).endswith("did you mean studies/quickstart?")


def test_a_fit_by_names(capsys: pytest.CaptureFixture[str]) -> None:
    words = "fit -c quickstart --config=dropout/mal_drop --config callbacks/timing --print_config"
    with pytest.raises(SystemExit) as ended:
        main(words.split())
    assert not ended.value.code
    printed = capsys.readouterr().out
    # What a config shows of our classes can be imported, and stays: the public names.
    for name in ("DigitsDataModule", "FullyConnected", "MalDrop", "Timing"):
        assert re.search(rf"class_path: dropout_lab\.{name}$", printed, re.MULTILINE)


@pytest.mark.parametrize("columns", [40, 80, 1000])
def test_the_list_says_what_each_is_for(
    columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    main(["configs"])
    printed = capsys.readouterr().out
    lines = [line for line in printed.splitlines() if line]
    assert max(map(len, lines)) <= max(columns, 60)
    if columns == 1000:
        assert len(lines) == len(shipped_configs())
    # What a line has no room for stands below, where no name is.
    found = [" ".join(entry.split()) for entry in re.split(r"\n+(?=\S)", printed)]
    assert [entry.partition(" ")[0] for entry in found] == list(shipped_configs())
    for entry in found:
        name, _, summary = entry.partition(" ")
        assert shipped_configs()[name].read_text().startswith(f"# {summary}\n")
        assert summary[-1] in ".?", f"{name}: its first line is no whole sentence"


def test_one_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    main(["configs", "show", "data/mnist.yaml"])
    assert capsys.readouterr().out == (FOLDER / "data" / "mnist.yaml").read_text()
    assert refused("configs show data/minst", capsys).endswith(
        "no shipped config data/minst; did you mean data/mnist?"
    )


@pytest.mark.parametrize("name", [name for name in shipped_configs() if name.startswith("studies/")])
def test_a_copy_says_the_same_from_anywhere(name: str) -> None:
    Path("far/away").mkdir(parents=True)
    main(["configs", "copy", name, "far/away/mine.yaml"])
    os.chdir("far")
    assert read_study(Path("away/mine.yaml")) == read_study(FOLDER / f"{name}.yaml")


def test_a_copy_replaces_nothing_unasked(capsys: pytest.CaptureFixture[str]) -> None:
    mine = Path("mine.yaml")
    mine.write_text("mine\n")
    assert refused("configs copy speed mine.yaml", capsys).endswith(
        "mine.yaml is there already; name another, or replace it with --force"
    )
    assert mine.read_text() == "mine\n"
    main("configs copy speed mine.yaml --force".split())
    assert mine.read_text() == (FOLDER / "speed.yaml").read_text()
    assert refused("configs copy speed no/mine.yaml", capsys).endswith(
        "no folder no; make it, or name another file"
    )
    assert not Path("no").exists()
    assert refused("configs copy spede there.yaml", capsys).endswith("did you mean speed?")
    Path("there").mkdir()
    assert refused("configs copy speed there --force", capsys).endswith(
        "there is already a folder; name a file in it"
    )
    assert "see configs copy --help" in refused("configs copy speed", capsys)


def test_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["configs", "--help"])
    assert not ended.value.code
    assert "dropout-lab configs copy studies/compare mine.yaml" in capsys.readouterr().out


def test_what_is_called_as_a_room_is_no_old_path() -> None:
    check_renamed({"name": "models", "runs": ["app", "callbacks.timing", "datamodules/MNISTDataModule"]})


@pytest.mark.parametrize("path", ["models.dropout.MalDrop", "models.dropout.mal_drop.MalDrop"])
def test_a_class_by_its_old_path(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    says = f"{path} is dropout_lab.{path} now; name it so, or MalDrop alone"
    assert refused(f"{FIT} --model.network.dropout {path}", capsys).endswith(f": {says}")
    assert refused(f"{FIT} --model.network.dropout={path}", capsys).endswith(f": {says}")
    settings = (
        f"model: {{network: {{class_path: GavierMNIST, init_args: {{dropout: {{class_path: {path}}}}}}}}}\n"
    )
    Path("old.yaml").write_text(settings)
    assert refused(f"{FIT} --config old.yaml", capsys).endswith(f"old.yaml: {says}")
    Path("study.yaml").write_text(
        "name: old\nbase: {configs: [data/digits, old]}\ngrid: {lr: [0.1]}\nseeds: 0\n"
        "overrides: {model: {optimizer: {class_path: Adam, init_args: {lr: '${lr}'}}}}\n"
        "report: {rows: lr, metric: test/accuracy}\n"
    )
    assert refused("study study.yaml", capsys).endswith(says)
