"""Weights of classes in the loss."""

import numpy as np
import pytest
import torch
from pytorch_lightning import LightningDataModule, Trainer
from sklearn.utils.class_weight import compute_class_weight
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from dropout_lab.models import ImageClassifier
from dropout_lab.models.classifier import balanced_weights
from dropout_lab.models.dropout import NoDropout
from dropout_lab.models.networks import FullyConnected

LABELS = torch.tensor([0] * 30 + [1] * 10)


class Counted(LightningDataModule):
    """Forty images, and how many there are of each class."""

    @property
    def class_counts(self) -> Tensor:
        return LABELS.bincount()

    def train_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        return DataLoader(TensorDataset(torch.randn(40, 1, 4, 4), LABELS), batch_size=20)

    def val_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        return self.train_dataloader()


def model() -> ImageClassifier:
    network = FullyConnected([4], (1, 4, 4), 2, dropout=NoDropout)
    return ImageClassifier(network, class_weights="balanced")


def trainer() -> Trainer:
    return Trainer(max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False,
                   enable_progress_bar=False, enable_model_summary=False)  # fmt: skip


def test_equal_scikit_learn() -> None:
    expected = compute_class_weight("balanced", classes=np.array([0, 1]), y=LABELS.numpy())
    assert balanced_weights(Counted()).tolist() == pytest.approx(expected.tolist())


def test_a_fit_takes_them_from_the_data() -> None:
    trained = model()
    trainer().fit(trained, datamodule=Counted())
    for part in (trained, trained.train_metrics, trained.val_metrics, trained.test_metrics):
        assert part.class_weights is not None
        assert part.class_weights.tolist() == pytest.approx([40 / 60, 2])
    plain = ImageClassifier(FullyConnected([4], (1, 4, 4), 2, dropout=NoDropout))
    plain.load_state_dict(trained.state_dict())


def test_data_that_do_not_count() -> None:
    with pytest.raises(ValueError, match="needs a data module with class_counts, got NoneType"):
        trainer().fit(model(), Counted().train_dataloader(), Counted().val_dataloader())


def test_a_class_without_an_image() -> None:
    class Empty(Counted):
        @property
        def class_counts(self) -> Tensor:
            return torch.tensor([3, 0])

    with pytest.raises(ValueError, match=r"a training image of each class, got \[3, 0\] images"):
        balanced_weights(Empty())


def test_another_word() -> None:
    network = FullyConnected([4], (1, 4, 4), 2, dropout=NoDropout)
    with pytest.raises(ValueError, match="2 numbers above 0, one a class, or 'balanced', got 'even'"):
        ImageClassifier(network, class_weights="even")  # type: ignore[arg-type]
