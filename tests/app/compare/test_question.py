"""What a few words ask, as the content of a study's file."""

from pathlib import Path
from typing import Any

import pytest

from dropout_lab.app.compare.command import parse
from dropout_lab.app.compare.fitting import WIDTH
from dropout_lab.app.compare.question import SHIPPED, ask, at, drop_unused_rate, pairs, placeholders, title
from dropout_lab.app.config.settings import Label, Settings, network_of
from dropout_lab.app.config.shipped import find_config
from dropout_lab.app.config.yaml_files import read_yaml
from dropout_lab.app.errors import UserError
from dropout_lab.app.study.grid import expand
from dropout_lab.app.study.read_spec import make_study, read_study

SHIPPED_FILE = find_config(SHIPPED)


def asked(words: str) -> dict[str, Any]:
    return ask(*parse(words.split()))


def settings(words: str) -> dict[str, Any]:
    found: dict[str, Any] = asked(words)["base"]["settings"]
    return found


def test_the_digits_are_the_shipped_study() -> None:
    content = asked("--data digits --trainer.max_epochs 30 --seeds 5")
    content["seeds"] = content["seeds"]["values"]
    here = make_study({"name": "compare", **content}, "here", Path())
    shipped = read_study(SHIPPED_FILE)
    assert [run.hash for run in expand(here)] == [run.hash for run in expand(shipped)]
    assert here.report == shipped.report


def test_how_long_a_run_is_stays_open() -> None:
    for words in ("--data digits", "--data mnist"):
        assert "max_epochs" not in settings(words)["trainer"]
    assert settings("--data digits --trainer.max_epochs 3")["trainer"]["max_epochs"] == 3
    assert settings("--config mnist")["trainer"]["max_epochs"] == 3


def test_a_folder_is_ones_own_images() -> None:
    Path("photos/cat").mkdir(parents=True)
    found = settings("--data photos --data.image_size 32 --model.optimizer.lr 0.01")
    assert found["data"]["class_path"] == "ImageFolderDataModule"
    assert found["data"]["init_args"] | {"root": "photos", "image_size": 32} == found["data"]["init_args"]
    assert found["model"]["optimizer"]["init_args"]["lr"] == 0.01
    assert network_of(found)["class_path"] == "GavierCIFAR"
    assert title(found) == "photos-gaviercifar"


def test_a_data_set_brings_its_network_and_a_class_does_not() -> None:
    assert network_of(settings("--data mnist"))["class_path"] == "GavierMNIST"
    assert settings("--data mine.Images --data.root x")["data"] == {
        "class_path": "mine.Images",
        "init_args": {"root": "x"},
    }
    assert network_of(settings("--data mine.Images"))["class_path"] == "FullyConnected"


@pytest.mark.parametrize(
    ("words", "class_path", "arguments"),
    [
        ("--network Backbone resnet18", "Backbone", {"name": "resnet18"}),
        ("--model.network Backbone --model.network.name vgg11", "Backbone", {"name": "vgg11"}),
        ("--network mine.Net", "mine.Net", {}),
        ("--network AlanCNN", "AlanCNN", {}),
        ("--model.network.hidden [8]", "FullyConnected", {"hidden": [8]}),
    ],
)
def test_a_network_takes_nothing_from_another(words: str, class_path: str, arguments: dict[str, Any]) -> None:
    network = network_of(settings(f"--data digits {words}"))
    assert network["class_path"] == class_path
    assert {key: network["init_args"].get(key) for key in arguments} == arguments
    assert class_path == "FullyConnected" or "hidden" not in network["init_args"]


def test_variants_stand_beside_none() -> None:
    grid = asked("--data digits --variants dropin mine.Drop(p=0.3) --rates 0.3 0.5")["grid"]
    assert list(grid["variant"]) == ["none", "dropin", "mine.Drop(p=0.3)"]
    own = grid["variant"]["mine.Drop(p=0.3)"]["model"]["network"]["init_args"]["dropout"]
    assert own == {"class_path": "mine.Drop", "init_args": {"p": 0.3}}
    assert list(grid["rate"]) == [0.3, 0.5]
    without = asked("--data digits --variants dropalan-beta")
    assert list(without["grid"]) == ["variant"]
    assert "select" not in without


def test_a_rate_between_two_stands_for_what_is_between() -> None:
    axis: dict[Label, Settings] = {
        0.1: {"values": {"p": 0.1, "units": 8, "beta": 2.0}},
        0.5: {"values": {"p": 0.5, "units": 64, "beta": 0.0}},
    }
    assert at(0.5, axis) == axis[0.5]
    assert at(0.2, axis) == {"values": {"p": 0.2, "units": 22, "beta": 1.5}}
    assert at(0.6, axis)["values"] == {"p": 0.6, "units": 78, "beta": -0.5}
    assert at(0.01, axis)["values"]["units"] == 1


def test_the_split_that_is_asked_for_stays() -> None:
    assert asked("--data digits")["seeds"]["vary"] == ["weights", "split"]
    assert asked("--data digits --data.seed 3")["seeds"]["vary"] == ["weights"]


def test_an_axis_that_does_nothing_goes() -> None:
    content = {"grid": {"variant": {"none": {}}, "rate": {0.1: {}}}, "select": {}}
    drop_unused_rate(content)
    assert content == {"grid": {"variant": {"none": {}}}}
    assert placeholders({"a": ["${rate.p}", "${seed}"], "b": "${rate.units}"}) == {"p", "units"}


def test_units_are_a_share_of_the_shipped_networks() -> None:
    network = network_of(read_yaml(SHIPPED_FILE)["base"]["settings"])
    assert network["init_args"]["hidden"] == [WIDTH, WIDTH]


def test_words_are_keys_and_values() -> None:
    assert pairs(["--data.root", "x", "--trainer.max_epochs=-1"]) == [
        ("data.root", "x"),
        ("trainer.max_epochs", "-1"),
    ]
    with pytest.raises(UserError, match="'64' is no option"):
        pairs(["--model.network.hidden", "32", "64"])
    with pytest.raises(UserError, match="--data.root needs a value"):
        pairs(["--data.root", "--data.seed"])
