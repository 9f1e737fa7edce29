"""Training accuracy as validation measures it: dropout off, on images as they are."""

from collections.abc import Iterable
from typing import Any, ClassVar, Protocol, final, runtime_checkable

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.utilities import rank_zero_warn
from torch import Tensor

from dropout_lab.callbacks.ranks import validates_fit
from dropout_lab.callbacks.tensorboard import Charted, Charts
from dropout_lab.callbacks.undisturbed import undisturbed
from dropout_lab.models.dropout.base import check_count


@runtime_checkable
class TrainingBatches(Protocol):
    """Data that hand out training images to be measured on."""

    def training_batches(self, images: int | None, step: int) -> Iterable[tuple[Tensor, Tensor]]:
        """Return this process's part of so many training images, in batches; None for all of them."""


@final
class TrainAccuracy(Callback, Charted):
    """Measures the share of training images that the network classifies correctly in evaluation, at each validation.

    ``train_eval/accuracy`` is of the weights that are validated, dropout off, BatchNorm in evaluation, images not
    augmented. ``train/accuracy`` is another number: that of the epoch's batches while they were trained on, dropout on,
    with weights that change. How far ``train_eval`` is above ``val`` is what a network overfits by.

    A split of no more than ``images`` is measured whole. Of a larger one so many are drawn with replacement, anew at
    each validation: what is drawn follows from the data's seed and the step, so that checkpoints hold nothing of it.
    Each rank measures its part, and the sums are added. The random streams of training are left as they are: the same
    weights are trained, to the bit. Without validation nothing is measured, and a warning says so.

    Source: ``check_accuracy(num_samples=1000)`` in the solver of the CS 6353 (CS 231n) assignments, with which the
    Dropout notebook and Lerner, *Drop-in*, figures 4 and 6, measure after each epoch. Departure: its further
    measurement after the first step of a fit is left out.

    Args:
        images: how many at most; None: all of the split.
    """

    section = "training accuracy, dropout off"
    charts: ClassVar[Charts] = {"accuracy": ["train_eval/accuracy"]}

    def __init__(self, images: int | None = 1000) -> None:
        if images is not None:
            check_count("images", images, least=1)
        self.images = images
        self._accuracy: float | None = None

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        data = trainer.datamodule  # type: ignore[attr-defined]
        if not isinstance(data, TrainingBatches):
            raise ValueError(
                f"TrainAccuracy needs a data module with training_batches, got {type(data).__name__}; take one of "
                "dropout_lab.datamodules, or leave it out"
            )
        if not trainer.enable_validation:
            rank_zero_warn("TrainAccuracy measures nothing: it needs validation, which is switched off")

    def on_validation_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, *index: int
    ) -> None:
        # Not at the end, where a callback that averages weights may have put those back that are trained on.
        if not any(index) and validates_fit(trainer):
            self._accuracy = self._measure(trainer, pl_module)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._accuracy is not None:
            # Equal on all ranks; sync_dist tells Lightning so.
            pl_module.log("train_eval/accuracy", self._accuracy, sync_dist=True)
            self._accuracy = None

    def _measure(self, trainer: Trainer, pl_module: LightningModule) -> float:
        data: TrainingBatches = trainer.datamodule  # type: ignore[attr-defined]
        precision = trainer.precision_plugin
        found = torch.zeros(2, dtype=torch.int64, device=pl_module.device)
        with undisturbed(pl_module), precision.val_step_context():
            for batch in data.training_batches(self.images, trainer.global_step):
                images, target = trainer.strategy.batch_to_device(precision.convert_input(batch))
                found[0] += (pl_module(images).argmax(dim=1) == target).sum()
                found[1] += len(target)
        correct, count = trainer.strategy.reduce(found, reduce_op="sum").tolist()
        return float(correct / count)
