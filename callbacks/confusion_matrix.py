"""Which classes are taken for which."""

from typing import Any, final

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor
from torchmetrics.functional.classification import multiclass_confusion_matrix

from dropout_lab.callbacks.examples import image_data
from dropout_lab.callbacks.figures import confusion_figure, plain
from dropout_lab.callbacks.ranks import due
from dropout_lab.callbacks.tensorboard import summary_writers
from dropout_lab.models.dropout.base import check_count


@final
class ConfusionMatrix(Callback):
    """Draws the confusion matrix of a validation, over the images of all ranks, as ``confusion/validation``.

    Args:
        every_n_epochs: epochs from one figure to the next; the last epoch is always drawn.
    """

    def __init__(self, every_n_epochs: int = 1) -> None:
        check_count("every_n_epochs", every_n_epochs, least=1)
        self.every_n_epochs = every_n_epochs
        self.counts: Tensor | None = None
        self._predicted: list[Tensor] = []
        self._true: list[Tensor] = []

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._predicted, self._true = [], []

    def on_validation_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, *index: int
    ) -> None:
        if due(trainer, self.every_n_epochs):
            self._predicted.append(outputs["logits"].argmax(dim=1))
            self._true.append(batch[1])

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not due(trainer, self.every_n_epochs):
            return
        names = image_data(trainer, type(self).__name__).class_names
        counts = multiclass_confusion_matrix(
            torch.cat(self._predicted), torch.cat(self._true), len(names), validate_args=False
        )
        self.counts = trainer.strategy.reduce(counts, reduce_op="sum")
        for writer in summary_writers(trainer):
            figure = confusion_figure(self.counts, names)
            with plain():
                writer.add_figure("confusion/validation", figure, trainer.global_step, close=False)
