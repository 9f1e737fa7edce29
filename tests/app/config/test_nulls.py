"""Null is refused where a class has no use for it."""

from typing import Any

import pytest
import torch

from dropout_lab.app.config.nulls import check_nulls, never_null
from dropout_lab.app.errors import UserError
from dropout_lab.app.run.build import build
from dropout_lab.datamodules import DigitsDataModule, ImageFolderDataModule


def spec(class_path: str, **init_args: Any) -> dict[str, Any]:
    return {"class_path": class_path, "init_args": init_args}


def test_arguments_that_may_not_be_null() -> None:
    own = dict(never_null(ImageFolderDataModule))
    # Of the class itself, of its base, whose default is another, and of the base of that.
    assert own["val_size"] == 0.15
    assert own["image_size"] == 64
    assert own["batch_size"] == 100
    assert own.keys().isdisjoint(
        {"cache", "bit_depth", "train_limit", "drop_last", "device", "common", "self"}
    )
    assert dict(never_null(torch.optim.SGD))["momentum"] == 0
    assert "foreach" not in dict(never_null(torch.optim.SGD))
    assert dict(never_null(test_arguments_that_may_not_be_null)) == {}


def test_where_a_network_holds_others() -> None:
    network = spec("dropout_lab.models.networks.FullyConnected", hidden=[8], dropout=None)
    with pytest.raises(
        ValueError, match=r"^model.network.dropout must not be null; leave it out for NoDropout"
    ):
        check_nulls({"model": {"network": network}})
    layers = [spec("dropout_lab.models.dropout.StandardDropout", p=None)]
    network["init_args"]["dropout"] = spec("dropout_lab.models.dropout.Chain", layers=layers)
    with pytest.raises(ValueError, match=r"^model.network.dropout.layers.0.p must not be null"):
        check_nulls({"model": {"network": network}})


@pytest.mark.parametrize("name", sorted(dict(never_null(DigitsDataModule))))
def test_before_anything_is_read(name: str) -> None:
    data = {"class_path": "DigitsDataModule", "init_args": {name: None}}
    with pytest.raises(UserError, match=rf"^data\.{name} must not be null; leave it out for "):
        build({"seed_everything": 0, "data": data})
