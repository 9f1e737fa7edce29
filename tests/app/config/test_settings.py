"""Settings laid over one another, filled in and named."""

from pathlib import Path
from typing import Any

import pytest

from dropout_lab.app.config.settings import filled_in, merged, nested, placeholders, settings_hash
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
    assert merged(old, new) == both


def test_merging_changes_neither() -> None:
    old, new = {"a": {"b": [1]}}, {"a": {"b+": [2]}}
    merged(old, new)
    assert (old, new) == ({"a": {"b": [1]}}, {"a": {"b+": [2]}})


def test_filled_in_keeps_types_where_it_is_the_whole_text() -> None:
    settings = {"p": "${p}", "rates": ["${p}", 1], "text": "p of ${p}, ${q}", "n": 3}
    assert placeholders(settings) == {"p", "q"}
    assert filled_in(settings, {"p": 0.5, "q": 2}) == {
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
    moved = merged(
        settings, {"data": {"root": "b", "num_workers": 3}, "trainer": {"logger": False}, "name": "n"}
    )
    assert settings_hash(moved) == settings_hash(settings)
    assert settings_hash(dict(reversed(settings.items()))) == settings_hash(settings)
    for other in ({"seed_everything": 1}, {"data": {"batch_size": 3}}, {"trainer": {"max_epochs": 3}}):
        assert settings_hash(merged(settings, other)) != settings_hash(settings)


def test_numbers_are_read_as_on_the_command_line() -> None:
    assert [parse_value(text) for text in ("1e-3", "-2E5", "0.5", "3", "x", "[1, 2e1]")] == [
        1e-3, -2e5, 0.5, 3, "x", [1, 20.0],
    ]  # fmt: skip
    assert nested("data.root", 3) == {"data": {"root": 3}}


@pytest.mark.parametrize(
    ("text", "message"),
    [("a: [", "broken.yaml: line 2: "), ("a: 1\nb: 2\na: 3", "line 3: a stands twice"), ("[1]", "must be keys")],
)  # fmt: skip
def test_a_broken_file(text: str, message: str) -> None:
    file = Path("broken.yaml")
    file.write_text(text + "\n")
    with pytest.raises(UserError, match=message):
        read_yaml(file)
