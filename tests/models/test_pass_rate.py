"""MalDrop's pass rate in a fit: what validation is measured with, what a checkpoint holds and gives back."""

from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor

from dropout_lab.models import ImageClassifier
from dropout_lab.models.dropout import MalDrop
from tests.callbacks.fits import SaveAfter, fit, small_network

HEAD = "network.head.stage.dropout"
UNITS = 16


class Rates(Callback):
    """Keeps each training mask, and how validation scales the units, beside the number of batches before it."""

    def __init__(self) -> None:
        self.kept: list[Tensor] = []
        self.scales: list[tuple[int, Tensor]] = []

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        kept = pl_module.get_submodule(HEAD).kept
        assert isinstance(kept, Tensor)
        self.kept.append(kept)

    def on_validation_batch_start(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        scale = pl_module.get_submodule(HEAD)(torch.ones(1, UNITS))
        self.scales.append((len(self.kept), scale.squeeze(0)))

    def by_hand(self, batches: int) -> Tensor:
        masks = torch.cat(self.kept[:batches])
        return torch.tensor([sum(unit) / len(unit) for unit in masks.t().tolist()])


def network() -> ImageClassifier:
    return ImageClassifier(small_network(lambda: MalDrop(4), hidden=(32, UNITS)))


def test_validation_within_an_epoch_uses_the_rate_so_far() -> None:
    rates = Rates()
    fit(
        rates,
        classifier=network(),
        val_check_interval=4,
        limit_val_batches=1,
        limit_train_batches=10,
        max_epochs=2,
    )
    assert [batches for batches, _ in rates.scales] == [0, 4, 8, 14, 18]
    assert (rates.scales[0][1] == 1).all()
    for batches, scale in rates.scales[1:]:
        torch.testing.assert_close(scale, rates.by_hand(batches))


@pytest.mark.filterwarnings("ignore:You're resuming from a checkpoint that ended before the epoch ended")
def test_a_checkpoint_within_an_epoch_gives_the_rate_back(tmp_path: Path) -> None:
    options: dict[str, Any] = {"limit_train_batches": 6}
    rates, midst = Rates(), tmp_path / "midst.ckpt"
    fit(rates, SaveAfter(4, midst), classifier=network(), **options)
    state = torch.load(midst, weights_only=True)["state_dict"]
    torch.testing.assert_close(state[f"{HEAD}.pass_rate"], rates.by_hand(4))
    later, resumed = Rates(), network()
    fit(later, classifier=resumed, ckpt_path=midst, limit_val_batches=1, **options)
    rates.kept = [*rates.kept[:4], *later.kept]
    assert len(later.kept) == 2
    assert torch.equal(later.scales[-1][1], resumed.state_dict()[f"{HEAD}.pass_rate"])
    torch.testing.assert_close(later.scales[-1][1], rates.by_hand(6))
