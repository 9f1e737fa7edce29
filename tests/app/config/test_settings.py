"""Settings laid over one another, filled in, named, compared."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from dropout_lab.app.config.settings import (
    Settings,
    changed_settings,
    fill_placeholders,
    find_placeholders,
    flat_settings,
    merge,
    nest,
    run_name,
    settings_hash,
)
from dropout_lab.app.config.yaml_files import parse_value, read_yaml
from dropout_lab.app.errors import UserError

ADAM = {"class_path": "Adam", "init_args": {"lr": 1, "eps": 2}}


@pytest.mark.parametrize(
    ("old", "new", "both"),
    [
        ({"a": 1, "b": {"c": 2}}, {"b": {"d": 3}}, {"a": 1, "b": {"c": 2, "d": 3}}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({"a": {"b": 1}}, {"a": None}, {"a": None}),
        (ADAM, {"init_args": {"lr": 3}}, {"class_path": "Adam", "init_args": {"lr": 3, "eps": 2}}),
        (ADAM, {"lr": 3}, {"class_path": "Adam", "init_args": {"lr": 3, "eps": 2}}),
        (ADAM, {"class_path": "Adam", "lr": 3}, {"class_path": "Adam", "init_args": {"lr": 3, "eps": 2}}),
        (ADAM, {"class_path": "SGD", "init_args": {"lr": 3}}, {"class_path": "SGD", "init_args": {"lr": 3}}),
        (ADAM, "SGD", "SGD"),
        ("SGD", {"lr": 3}, {"class_path": "SGD", "init_args": {"lr": 3}}),
        ({}, {"callbacks+": ["a"]}, {"callbacks": ["a"]}),
        ({"callbacks": "a"}, {"callbacks+": "b"}, {"callbacks": ["a", "b"]}),
        (None, {"a": {"b+": [1]}}, {"a": {"b": [1]}}),
    ],
)  # fmt: skip
def test_merged(old: Any, new: Any, both: Any) -> None:
    assert merge(old, new) == both


def test_merging_changes_neither() -> None:
    old, new = {"a": {"b": [1]}}, {"a": {"b+": [2]}}
    merge(old, new)
    assert (old, new) == ({"a": {"b": [1]}}, {"a": {"b+": [2]}})


def test_filled_in_keeps_types_where_it_is_the_whole_text() -> None:
    settings = {"p": "${p}", "rates": ["${p}", 1], "text": "p of ${p}, ${q}", "n": 3}
    assert find_placeholders(settings) == {"p", "q"}
    assert fill_placeholders(settings, {"p": 0.5, "q": 2}) == {
        "p": 0.5, "rates": [0.5, 1], "text": "p of 0.5, 2", "n": 3,
    }  # fmt: skip


def test_a_hash_is_of_what_is_learned() -> None:
    settings = {
        "seed_everything": 0,
        "data": {"class_path": "D", "init_args": {"root": "a"}},
        "trainer": {"max_epochs": 2},
    }
    # By hand: blake2b of 10 bytes of '{"data":{"class_path":"D","init_args":{}},"seed_everything":0,"trainer":{…}}'.
    assert settings_hash(settings) == "d015e6c3f9fbb7050c41"
    moved = merge(
        settings, {"data": {"root": "b", "num_workers": 3}, "trainer": {"logger": False}, "name": "n"}
    )
    assert settings_hash(moved) == settings_hash(settings)
    assert settings_hash(dict(reversed(settings.items()))) == settings_hash(settings)
    for other in ({"seed_everything": 1}, {"data": {"batch_size": 3}}, {"trainer": {"max_epochs": 3}}):
        assert settings_hash(merge(settings, other)) != settings_hash(settings)


def test_numbers_are_read_as_on_the_command_line() -> None:
    assert [parse_value(text) for text in ("1e-3", "-2E5", "0.5", "3", "x", "[1, 2e1]")] == [
        1e-3, -2e5, 0.5, 3, "x", [1, 20.0],
    ]  # fmt: skip
    assert nest("data.root", 3) == {"data": {"root": 3}}


@pytest.mark.parametrize(
    ("text", "message"),
    [("a: [", "broken.yaml: line 2: "), ("a: 1\nb: 2\na: 3", "line 3: a stands twice"), ("[1]", "must be keys")],
)  # fmt: skip
def test_a_broken_file(text: str, message: str) -> None:
    file = Path("broken.yaml")
    file.write_text(text + "\n")
    with pytest.raises(UserError, match=message):
        read_yaml(file)


DUMP = """
seed_everything: 3
name: null
runs: runs
trainer: {max_epochs: 10, max_steps: -1, precision: null, devices: auto}
model:
  network:
    class_path: dropout_lab.models.networks.FullyConnected
    init_args:
      hidden: [100, 100]
      rates: null
      num_classes: 10
      dropout: {class_path: dropout_lab.models.dropout.StandardDropout, init_args: {p: 0.25, inverted: true}}
  optimizer: {class_path: torch.optim.Adam, init_args: {lr: 0.001, fused: null, foreach: true}}
  scheduler: null
data:
  class_path: dropout_lab.datamodules.MNISTDataModule
  init_args: {root: /somewhere, batch_size: 100, val_size: 0.05}
"""


def specification(dump: str) -> Settings:
    """Return settings as a checkpoint carries them, with a key of Lightning's own."""
    settings: Settings = yaml.safe_load(dump)
    settings["model"]["_instantiator"] = "pytorch_lightning.cli.instantiate_module"
    return settings


def test_flat_settings_are_what_tells_runs_apart() -> None:
    assert flat_settings(specification(DUMP)) == {
        "seed": 3,
        "max_epochs": 10,
        "network": "FullyConnected",
        "network.hidden": "[100, 100]",
        "dropout": "StandardDropout",
        "dropout.p": 0.25,
        "dropout.inverted": True,
        "optimizer": "Adam",
        "optimizer.lr": 0.001,
        "data": "MNISTDataModule",
        "data.batch_size": 100,
        "data.val_size": 0.05,
    }


@pytest.mark.parametrize(
    ("dump", "name"),
    [
        (DUMP, "mnist-fullyconnected-standarddropout"),
        (DUMP.replace("name: null", "name: mine"), "mine"),
        (DUMP.replace("dropout: {class", "other: {class"), "mnist-fullyconnected"),
    ],
)
def test_run_name(dump: str, name: str) -> None:
    assert run_name(specification(dump)) == name


def test_what_is_measured_does_not_change_with_how_fast_it_was_learned() -> None:
    there, here = specification(DUMP), specification(DUMP)
    there["model"] |= {"compile": "default", "channels_last": True}
    assert changed_settings(there, here) == []
    here["data"]["init_args"]["val_size"] = 0.1
    assert changed_settings(there, here) == ["data.val_size"]


def test_keys_that_a_file_has_sorted_are_no_other_settings() -> None:
    layer = {"class_path": "MalDrop", "init_args": {"rho": 2}}
    there, here = (
        {
            "data": None,
            "trainer": {},
            "model": {"network": {"layers": [dict(sorted(layer.items(), reverse=last))]}},
        }
        for last in (False, True)
    )
    assert changed_settings(there, here) == []
