"""From a study to its runs, held against lists written by hand."""

from typing import Any

import pytest

from dropout_lab.app.errors import UserError
from dropout_lab.app.study.grid import expand, only
from dropout_lab.app.study.read_spec import read_study
from tests.app.study.studies import dropout, runs, write_study

GRID = {
    "method": {
        "none": dropout("NoDropout"),
        "standard": dropout({"class_path": "StandardDropout", "init_args": {"p": "${p}"}}),
    },
    "layers": {2: {"model": {"network": {"hidden": [8]}}}, 3: {"model": {"network": {"hidden": [8, 8]}}}},
    "p": [0.25, 0.5],
}


def titles(**changes: Any) -> list[tuple[Any, ...]]:
    return [(*run.labels.values(), run.seed) for run in runs(**changes)]


def test_a_method_without_p_runs_once() -> None:
    assert titles(grid=GRID) == [
        ("none", 2, 0.25, 0), ("none", 2, 0.25, 1), ("none", 3, 0.25, 0), ("none", 3, 0.25, 1),
        ("standard", 2, 0.25, 0), ("standard", 2, 0.25, 1), ("standard", 2, 0.5, 0), ("standard", 2, 0.5, 1),
        ("standard", 3, 0.25, 0), ("standard", 3, 0.25, 1), ("standard", 3, 0.5, 0), ("standard", 3, 0.5, 1),
    ]  # fmt: skip


def test_skip_leaves_combinations_out() -> None:
    skip = [
        {"method": "none", "p": 0.25},
        {"method": "standard", "layers": [2, 3], "p": [0.25]},
        {"layers": 3},
    ]
    assert titles(grid=GRID, skip=skip, seeds=7) == [("none", 2, 0.5, 7), ("standard", 2, 0.5, 7)]


def test_settings_of_a_run() -> None:
    run = runs(grid=GRID)[-1]
    assert run.settings["seed_everything"] == 1
    assert run.settings["model"]["network"] == {
        "class_path": "FullyConnected",
        "init_args": {
            "hidden": [8, 8],
            "dropout": {"class_path": "StandardDropout", "init_args": {"p": 0.5}},
        },
    }
    assert run.settings["trainer"] == {"max_epochs": 2, "accelerator": "cpu"}


def test_what_is_set_wins_over_the_grid_and_a_moved_root_is_the_same_run() -> None:
    file = write_study(grid=GRID)
    plain = expand(read_study(file))
    moved = expand(read_study(file, changes=["data.root=elsewhere"]))
    assert [run.hash for run in moved] == [run.hash for run in plain]
    assert moved[0].settings["data"]["init_args"]["root"] == "elsewhere"
    wide = expand(read_study(file, changes=["model.network.hidden=[9]"]))
    # Two and three layers are then the same.
    assert len(wide) == len(plain) / 2
    assert wide[0].settings["model"]["network"]["init_args"]["hidden"] == [9]


def test_the_seed_may_stand_in_settings() -> None:
    base = {"settings": {"data": {"class_path": "D", "init_args": {"seed": "${seed}"}}}}
    assert [run.settings["data"]["init_args"]["seed"] for run in runs(base=base, seeds=[3, 5])] == [
        3,
        5,
        3,
        5,
    ]


def test_only() -> None:
    study = read_study(write_study(grid=GRID))
    every = expand(study)
    some = only(study, every, ["p=0.5", "layers=2", "layers=3", "seed=1"])
    assert [(*run.labels.values(), run.seed) for run in some] == [
        # One and the same at each p.
        ("none", 2, 0.25, 1),
        ("none", 3, 0.25, 1),
        ("standard", 2, 0.5, 1),
        ("standard", 3, 0.5, 1),
    ]
    assert only(study, every, []) == every
    for words, message in {
        "method=nune": "no value of method 'nune'; did you mean none?",
        "depth=2": "no axis 'depth'; there are method, layers, p, seed",
        "p": "no value of p ''",
    }.items():
        with pytest.raises(UserError, match=message):
            only(study, every, [words])
