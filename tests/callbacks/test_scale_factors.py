"""ScaleFactors against the factors of each batch, worked out by hand."""

from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor

from dropout_lab.callbacks import ScaleFactors
from dropout_lab.callbacks.scale_factors import largest_factor
from dropout_lab.models.dropout import DropAlan, NoDropout, StandardDropout, dropout_layers
from tests.callbacks.fits import fit, scalars, small_network

HEAD = "network.head.stage.dropout"


def test_of_a_batch_by_hand() -> None:
    inputs = torch.tensor([[1.0, -2.0, 0.0, 3.0]])
    assert largest_factor(inputs, torch.tensor([[2.0, 10.0, 7.0, 0.0]])) == 5
    assert largest_factor(inputs, torch.zeros(1, 4)) == 0
    assert largest_factor(torch.zeros(1, 2), torch.ones(1, 2)) == 0
    # Denormal in float16, where 1.25 · 3 of the least number is 4 of it.
    half = torch.tensor([[2.0, 3 * 2.0**-24]], dtype=torch.float16)
    assert (half * 1.25 / half).max() > 1.3
    assert largest_factor(half, half * 1.25) == 1.25


class ByHand(Callback):
    """Keeps 1/(1 − d) of each unit that DropAlan has kept, from its inputs and its mask."""

    def __init__(self) -> None:
        self.largest: list[float] = []

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        def look(layer: torch.nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            if layer.training:
                assert isinstance(layer, DropAlan)
                assert layer.kept is not None
                factors = 1 / (1 - layer.drop_curve(inputs[0].detach()))
                self.largest[-1] = max(self.largest[-1], float(factors[layer.kept].max()))

        dropout_layers(pl_module)[HEAD].register_forward_hook(look)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.largest.append(0.0)


def test_of_an_epoch_by_hand(tmp_path: Path) -> None:
    by_hand = ByHand()
    network = small_network(lambda: DropAlan(scaled=True))
    fit(by_hand, ScaleFactors(), network=network, logs=tmp_path, max_epochs=2)
    logged = [value for _, value in scalars(tmp_path, f"scale_factor/{HEAD}")]
    assert logged == pytest.approx(by_hand.largest, rel=1e-5)
    assert 5 <= min(logged) <= max(logged) <= 1001


@pytest.mark.parametrize(("dropout", "factor"), [(lambda: StandardDropout(0.2), 1.25), (NoDropout, 1.0)])
def test_of_variants_with_one_factor(dropout: Any, factor: float) -> None:
    trainer = fit(ScaleFactors(), network=small_network(dropout), limit_train_batches=2)
    assert float(trainer.callback_metrics[f"scale_factor/{HEAD}"]) == pytest.approx(factor)
