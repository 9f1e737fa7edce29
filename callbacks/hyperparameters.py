"""Fills TensorBoard's HParams tab."""

import math
from pathlib import Path
from typing import final

from pytorch_lightning import Callback, LightningModule, Trainer
from torch.utils.tensorboard import SummaryWriter

from callbacks.best_step import BestStep
from callbacks.tensorboard import summary_writers

VALIDATION, TEST = "hp/val_accuracy", "hp/test_accuracy"
ACCURACY = "val/accuracy"
MEASURED_LATER = ".measured-later"
"""End of the names of event files that are not of the fit."""


@final
class Hyperparameters(Callback):
    """Lists a run in the HParams tab: its settings, and the final accuracies beside them.

    The metrics of a tab must be named when the run begins, so they start as NaN; the validation accuracy is
    written when the fit ends, also by an exception, the test accuracy by :func:`write_test_metrics`.

    Args:
        settings: the run's settings by name.
        best: knows the best validation, whose accuracy is shown.
    """

    def __init__(self, settings: dict[str, str | int | float | bool], best: BestStep) -> None:
        """Keep the arguments."""
        self.settings = settings
        self.best = best

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Open the tab's row."""
        for logger in trainer.loggers:
            logger.log_hyperparams(self.settings, {VALIDATION: math.nan, TEST: math.nan})

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the best validation accuracy, if there was a validation."""
        if self.best.step is None:
            return
        for writer in summary_writers(trainer):
            writer.add_scalar(VALIDATION, self.best.metrics[ACCURACY], self.best.step)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Write it of a run that was stopped too, and ``hparams.yaml``, which loggers save at the end alone."""
        self.on_fit_end(trainer, pl_module)
        for logger in trainer.loggers:
            logger.save()


def write_test_metrics(folder: Path, metrics: dict[str, float], step: int) -> None:
    """Add a test to a run's curves and to its row in the HParams tab, at the step of the checkpoint.

    Lightning's own logging of a test knows no step, and puts a point at 0 into every curve.

    Args:
        folder: where the run's events are.
        metrics: by logged name, ``test/accuracy`` among them.
        step: the training step of the weights that were tested.
    """
    with SummaryWriter(str(folder), filename_suffix=MEASURED_LATER) as writer:
        for name, value in metrics.items():
            writer.add_scalar(name, value, step)
        writer.add_scalar(TEST, metrics["test/accuracy"], step)
