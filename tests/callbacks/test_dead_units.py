"""DeadUnits against activations kept and looked at by hand."""

from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor, nn

from dropout_lab.callbacks import DeadUnits
from dropout_lab.callbacks.dead_units import AliveUnits, alive_units, dead_shares
from dropout_lab.models import ImageClassifier
from dropout_lab.models.dropout import NoDropout, StandardDropout
from dropout_lab.models.networks import FullyConnected, Network
from dropout_lab.models.networks.base import Head
from tests.callbacks.fits import SaveAfter, events, fit, scalars, small_network


class Twice(Network):
    """A convolution whose ReLU is called again on the units of a dense layer; the first channel is dead."""

    def __init__(self, inplace: bool) -> None:
        relu = nn.ReLU(inplace=inplace)
        convolution = nn.Conv2d(1, 4, 3, padding=1)
        dense = nn.Linear(256, 8)
        body = nn.Sequential(convolution, relu, nn.Flatten(), dense, relu)
        super().__init__((1, 8, 8), 10, body, Head(NoDropout(), nn.Linear(8, 10)))
        with torch.no_grad():
            convolution.get_parameter("bias")[0] = -1e3
            dense.get_parameter("bias")[:2] = -1e3


class Outputs(Callback):
    """Keeps what a module has returned in training, a clone for each call."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.kept: list[Tensor] = []

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        module = pl_module.get_submodule(self.name)
        module.register_forward_hook(self._keep)

    def _keep(self, module: nn.Module, inputs: Any, output: Tensor) -> None:
        if module.training:
            self.kept.append(output.detach().clone())


def logged(logs: Path) -> dict[str, float]:
    tags = [tag for tag in events(logs).Tags()["scalars"] if tag.startswith("dead")]
    return {tag: scalars(logs, tag)[-1][1] for tag in tags}


def dead_by_hand(outputs: list[Tensor]) -> float:
    units = torch.cat(outputs).flatten(1)
    dead = [all(value == 0 for value in unit.tolist()) for unit in units.t()]
    return sum(dead) / len(dead)


@pytest.mark.parametrize("inplace", [False, True])
def test_a_relu_called_twice_with_known_dead_units(inplace: bool, tmp_path: Path) -> None:
    outputs = Outputs("network.body.1")
    fit(outputs, DeadUnits(), network=Twice(inplace), logs=tmp_path)
    shares = logged(tmp_path)
    assert set(shares) == {
        "dead/network.body.1", "dead_channels/network.body.1", "dead/network.body.1#2", "dead/network.head.stage",
    }  # fmt: skip
    assert shares["dead_channels/network.body.1"] == 0.25
    assert shares["dead/network.body.1"] == pytest.approx(dead_by_hand(outputs.kept[::2]))
    assert shares["dead/network.body.1#2"] == pytest.approx(dead_by_hand(outputs.kept[1::2]))
    assert shares["dead/network.body.1#2"] >= 0.25
    assert shares["dead/network.head.stage"] == shares["dead/network.body.1#2"]


def test_dropout_layers_are_looked_at_too(tmp_path: Path) -> None:
    outputs = Outputs("network.head.stage.dropout")
    network = small_network(lambda: StandardDropout(0.9))
    fit(outputs, DeadUnits(), network=network, logs=tmp_path, limit_train_batches=1)
    shares = logged(tmp_path)
    assert shares["dead/network.head.stage.dropout"] == pytest.approx(dead_by_hand(outputs.kept))
    assert shares["dead/network.head.stage.dropout"] >= shares["dead/network.head.stage.activation"]


def test_alive_is_any_value_but_zero() -> None:
    outputs = torch.tensor([[0.0, 0.0, 0.0, 0.0, -0.0], [0.0, 1e-45, -2.0, torch.nan, 0.0]])
    assert alive_units(outputs).tolist() == [False, True, True, True, False]


def test_each_unit_is_found_in_whatever_batch_it_lives() -> None:
    batches, size = 20, 3
    watched = AliveUnits(torch.zeros(batches + 1, dtype=torch.bool))
    for batch in range(batches):
        outputs = torch.zeros(size, batches + 1)
        outputs[batch % size, batch] = 1
        watched.look(outputs)
        assert watched.alive().tolist() == [unit <= batch for unit in range(batches + 1)]


def test_only_what_may_be_dead_is_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    widths: list[int] = []

    def look(outputs: Tensor) -> Tensor:
        widths.append(outputs.shape[1])
        return alive_units(outputs)

    monkeypatch.setattr("dropout_lab.callbacks.dead_units.alive_units", look)
    watched = AliveUnits(torch.zeros(8, dtype=torch.bool))
    for batch in range(9):
        outputs = torch.zeros(2, 8)
        outputs[:, min(batch, 7)] = 1
        watched.look(outputs)
    # The set shrinks after batches 1, 2, 4 and 8, where nothing is left.
    assert widths == [8, 7, 6, 6, 4, 4, 4, 4]


def test_shares_of_units_and_of_channels() -> None:
    alive = torch.zeros(4, 2, 2, dtype=torch.bool)
    alive[0] = alive[1, 0, 0] = True
    assert dead_shares(alive) == {"dead": 11 / 16, "dead_channels": 0.5}
    assert dead_shares(torch.tensor([True, False])) == {"dead": 0.5}


def test_outputs_that_change_in_shape_are_an_error() -> None:
    watched = AliveUnits(torch.zeros(3, 4, 4, dtype=torch.bool))
    with pytest.raises(ValueError, match=r"were of shape \(3, 4, 4\) and are now \(3, 5, 5\)"):
        watched.look(torch.zeros(2, 3, 5, 5))


def hooks(module: nn.Module) -> int:
    return sum(len(each._forward_hooks) for each in module.modules())


def test_hooks_are_gone_after_a_fit_and_after_a_failure() -> None:
    class Failing(Callback):
        def on_train_batch_end(self, *arguments: Any, **named: Any) -> None:
            raise RuntimeError("as told")

    classifier = ImageClassifier(small_network())
    before = hooks(classifier)
    fit(DeadUnits(), classifier=classifier, limit_train_batches=2)
    assert hooks(classifier) == before
    with pytest.raises(RuntimeError, match="as told"):
        fit(DeadUnits(), Failing(), classifier=classifier)
    assert hooks(classifier) == before


def test_other_forwards_of_a_batch_are_not_counted(tmp_path: Path) -> None:
    class Again(Callback):
        """Runs the network with large images after each batch; there all units live."""

        def on_train_batch_end(
            self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
        ) -> None:
            with torch.no_grad(), torch.random.fork_rng():
                pl_module(torch.full((2, 1, 8, 8), 1e9).bernoulli_(0.5))

    network = FullyConnected([6], image_shape=(1, 8, 8), num_classes=10, dropout=NoDropout)
    with torch.no_grad():
        network.get_parameter("head.stage.affine.bias")[:3] = -1e3
        network.get_parameter("head.stage.affine.weight").abs_()
    fit(Again(), DeadUnits(), network=network, logs=tmp_path, limit_train_batches=2)
    assert logged(tmp_path)["dead/network.head.stage.activation"] == 0.5


def test_a_layer_that_is_never_seen_is_named() -> None:
    network = small_network()
    network.add_module("unused", nn.ReLU())
    with pytest.warns(UserWarning, match="no training forward of network.unused: .*torch.compile"):
        fit(DeadUnits(), network=network, max_epochs=2, limit_train_batches=2)


@pytest.mark.filterwarnings("ignore:You're resuming from a checkpoint that ended before the epoch ended")
def test_an_epoch_resumed_in_its_midst_remembers_what_was_alive(tmp_path: Path) -> None:
    options: dict[str, Any] = {"max_epochs": 1, "limit_train_batches": 4}
    outputs, resumed = Outputs("network.head.stage.dropout"), Outputs("network.head.stage.dropout")
    midst = tmp_path / "midst.ckpt"
    network = small_network(lambda: StandardDropout(0.95), hidden=(32, 400))
    fit(outputs, DeadUnits(), SaveAfter(3, midst), network=network, **options)
    network = small_network(lambda: StandardDropout(0.95), hidden=(32, 400))
    fit(resumed, DeadUnits(), network=network, logs=tmp_path / "resumed", ckpt_path=midst, **options)
    share = logged(tmp_path / "resumed")["dead/network.head.stage.dropout"]
    assert len(resumed.kept) == 1
    assert share == pytest.approx(dead_by_hand([*outputs.kept[:3], *resumed.kept]))
    assert share < dead_by_hand(resumed.kept)
