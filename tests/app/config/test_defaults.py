"""Settings have the hash of those that did not name some of their defaults yet."""

from copy import deepcopy
from typing import Any

import pytest

from dropout_lab.app.config.defaults import left_out, named_defaults
from dropout_lab.app.config.settings import settings_hash


def settings(network: str = "MalDropCNN", **arguments: Any) -> dict[str, Any]:
    data = {"batch_size": 50, "drop_last": None, "replacement": False, "augment": 0, "root": "data"}
    dropout = {"class_path": "dropout_lab.models.dropout.DropAct", "init_args": {"p": 0.5, "of": "all"}}
    made = {"class_path": network, "init_args": {"rates": None, "dropout": dropout, **arguments}}
    return {
        "seed_everything": 0,
        "data": {"class_path": "MNISTDataModule", "init_args": data},
        "model": {"network": made, "optimizer": {"class_path": "torch.optim.SGD", "init_args": {"momentum": 0.0}}},
        "trainer": {"max_epochs": 2, "callbacks": [{"class_path": "TrainAccuracy", "init_args": {"images": 1000}}]},
    }  # fmt: skip


def without(whole: dict[str, Any], *names: str) -> dict[str, Any]:
    """Return settings without arguments, wherever they are."""

    def rest(value: Any) -> Any:
        if isinstance(value, list):
            return [rest(each) for each in value]
        return (
            {key: rest(value[key]) for key in value if key not in names} if isinstance(value, dict) else value
        )

    found: dict[str, Any] = rest(whole)
    return found


def test_which_arguments_have_their_defaults() -> None:
    found = {".".join(map(str, path)).replace(".init_args", "") for path in named_defaults(settings())}
    # Of a class, its base, a class within a class and one in a list; false is not 0, nor a p of 0.5 DropAct's 0.2.
    assert found == {
        "data.drop_last", "data.replacement", "data.root", "model.network.rates", "model.network.dropout.of",
        "model.optimizer.momentum", "trainer.callbacks.0.images",
    }  # fmt: skip


@pytest.mark.parametrize("names", [("replacement",), ("replacement", "channels", "of", "images")])
def test_what_was_not_named_yet_is_found(names: tuple[str, ...]) -> None:
    whole = settings(channels=1)
    before = deepcopy(whole)
    wanted = settings_hash(without(whole, *names))
    assert wanted != settings_hash(whole)
    paths = left_out(whole, wanted)
    assert paths is not None
    assert sorted(str(path[-1]) for path in paths) == sorted(names)
    # What was found for one run is tried first for the next, and no other here.
    assert left_out(settings(channels=1, hidden=3), "another", [paths]) is None
    assert whole == before


@pytest.mark.parametrize(
    "names", [("batch_size",), ("p",), ("max_epochs", "replacement"), ("initialization",)]
)
def test_what_is_no_default_is_not_left_out(names: tuple[str, ...]) -> None:
    # AlanCNN's runs began as PyTorch does before it had an initialization, whose default is another.
    whole = settings("AlanCNN", initialization="glorot")
    assert left_out(whole, settings_hash(without(whole, *names))) is None
