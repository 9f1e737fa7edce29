"""Fills TensorBoard's HParams tab."""

import math
from typing import final

from pytorch_lightning import Callback, LightningModule, Trainer

from callbacks.best_step import BestStep
from callbacks.tensorboard import summary_writers

VALIDATION, TEST = "hp/val_accuracy", "hp/test_accuracy"


@final
class Hyperparameters(Callback):
    """Lists a run in the HParams tab: its settings, and the final accuracies beside them.

    The metrics of a tab must be named when the run begins, so they start as NaN; the validation accuracy is
    written when the fit ends, the test accuracy by :class:`HyperparametersTest`.

    Args:
        settings: the run's settings by name.
        best: knows the best validation accuracy.
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
            writer.add_scalar(VALIDATION, self.best.value, self.best.step)


@final
class HyperparametersTest(Callback):
    """Adds the test accuracy to a run's row in the HParams tab."""

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the test accuracy."""
        for writer in summary_writers(trainer):
            writer.add_scalar(TEST, float(trainer.callback_metrics["test/accuracy"]), trainer.global_step)
