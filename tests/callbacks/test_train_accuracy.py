"""Training accuracy with dropout off, against a network that is computed by hand."""

from typing import Any

import numpy as np
import pytest
import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.callbacks import EMAWeightAveraging
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from dropout_lab.callbacks import TrainAccuracy
from dropout_lab.datamodules import DigitsDataModule
from dropout_lab.models import ImageClassifier
from dropout_lab.models.dropout import StandardDropout
from dropout_lab.models.networks import FullyConnected
from tests.callbacks.fits import fit, small_network


class ByHand(Callback):
    """Computes at each validation what is to be logged there, with NumPy."""

    def __init__(self, images: int | None) -> None:
        self.images = images
        self.expected: list[float] = []
        self.logged: list[float] = []

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.sanity_checking:
            return
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        pixels, labels = (
            data.normalization(data.splits.train.pixels).numpy(),
            data.splits.train.labels.numpy(),
        )
        index = list(range(len(labels)))
        if self.images is not None and self.images < len(labels):
            generator = np.random.default_rng((data.seed, trainer.global_step, len(labels)))
            index = generator.integers(len(labels), size=self.images).tolist()
        layers = [each for each in pl_module.network.modules() if isinstance(each, nn.Linear)]  # type: ignore[union-attr]
        right = 0
        for i in index:
            units = pixels[i].reshape(-1).astype(np.float64)
            for place, layer in enumerate(layers):
                units = layer.weight.numpy() @ units + layer.bias.numpy()
                if place < len(layers) - 1:
                    units = np.maximum(units, 0)
            right += int(units.argmax() == labels[i])
        self.expected.append(right / len(index))
        self.logged.append(float(trainer.callback_metrics["train_eval/accuracy"]))


@pytest.mark.parametrize("images", [None, 200])
def test_is_that_of_the_network_by_hand(images: int | None) -> None:
    by_hand = ByHand(images)
    network = small_network(lambda: StandardDropout(0.75), hidden=(64,))
    trainer = fit(TrainAccuracy(images), by_hand, network=network, val_check_interval=6, max_epochs=2)
    assert len(by_hand.logged) == 4
    assert by_hand.logged == pytest.approx(by_hand.expected, abs=1e-6)
    assert len(set(by_hand.logged)) > 1
    # With dropout on, and of weights that were still learning, it is another number.
    assert by_hand.logged[-1] > float(trainer.callback_metrics["train/accuracy"]) + 0.1


def test_is_that_of_averaged_weights_where_these_are_validated() -> None:
    found = []
    for order in (["average", "measure"], ["measure", "average"], ["measure"]):
        made = {"average": EMAWeightAveraging(decay=0.9), "measure": TrainAccuracy(None)}
        torch.manual_seed(0)
        trainer = fit(*(made[name] for name in order), network=small_network(hidden=(64,)))
        found.append(float(trainer.callback_metrics["train_eval/accuracy"]))
    assert found[0] == found[1] != found[2]


class Streams(Callback):
    """Keeps the random state, the masks and BatchNorm's numbers around a validation."""

    def __init__(self) -> None:
        self.seen: list[list[torch.Tensor]] = []

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.look(trainer, pl_module)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.look(trainer, pl_module)

    def look(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.sanity_checking:
            kept = [each.kept for each in pl_module.modules() if isinstance(each, StandardDropout)]
            assert all(mask is not None for mask in kept)
            masks = [mask.clone() for mask in kept if mask is not None]
            buffers = [each.clone() for each in pl_module.network.buffers()]  # type: ignore[union-attr]
            self.seen.append([torch.get_rng_state(), *masks, *buffers])


def test_leaves_no_trace() -> None:
    network = FullyConnected(
        [16], image_shape=(1, 8, 8), num_classes=10, normalization="batch", dropout=StandardDropout
    )
    streams = Streams()
    fit(TrainAccuracy(100), streams, network=network, limit_val_batches=1, limit_train_batches=3)
    before, after = streams.seen
    assert len(before) > 4
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))


def test_holds_nothing_that_a_checkpoint_must_keep() -> None:
    assert TrainAccuracy().state_dict() == {}


def test_without_validation_a_warning() -> None:
    with pytest.warns(UserWarning, match="TrainAccuracy measures nothing: it needs validation"):
        trainer = fit(TrainAccuracy(), limit_val_batches=0, limit_train_batches=2)
    assert "train_eval/accuracy" not in trainer.callback_metrics


@pytest.mark.parametrize("images", [0, -1, 2.5])
def test_a_number_of_images_that_is_none(images: Any) -> None:
    with pytest.raises(ValueError, match="images must be a whole number, 1 or more, got"):
        TrainAccuracy(images)


def test_data_that_hand_out_no_training_images() -> None:
    data = DigitsDataModule()
    data.prepare_data()
    images = DataLoader(TensorDataset(torch.zeros(4, 1, 8, 8), torch.zeros(4, dtype=torch.int64)))
    trainer = Trainer(
        callbacks=[TrainAccuracy()], logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, accelerator="cpu", max_epochs=1,
    )  # fmt: skip
    with pytest.raises(
        ValueError, match="TrainAccuracy needs a data module with training_batches, got NoneType"
    ):
        trainer.fit(ImageClassifier(small_network()), images, images)
