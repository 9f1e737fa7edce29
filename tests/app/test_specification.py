"""Settings as plain values."""

import pytest

from dropout_lab.app.config.settings import changed_settings, flat_settings, run_name, specification

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


def test_what_the_data_fill_in() -> None:
    network = specification(DUMP, {"num_classes": 7, "image_shape": (1, 28, 28)})["model"]["network"]
    assert network["init_args"]["num_classes"] == 7
    assert network["init_args"]["image_shape"] == [1, 28, 28]


def test_flat_settings_are_what_tells_runs_apart() -> None:
    assert flat_settings(specification(DUMP, {})) == {
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
    assert run_name(specification(dump, {})) == name


def test_what_is_measured_does_not_change_with_how_fast_it_was_learned() -> None:
    there, here = specification(DUMP, {}), specification(DUMP, {})
    there["model"] |= {"compile": "default", "channels_last": True}
    assert changed_settings(there, here) == []
    here["data"]["init_args"]["val_size"] = 0.1
    assert changed_settings(there, here) == ["data.val_size"]
