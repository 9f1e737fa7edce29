"""Progress for logs: where no terminal redraws a bar, a line an epoch."""

import time
from typing import final

from pytorch_lightning import Callback, LightningModule, Trainer
from rich.console import Console


@final
class EpochLines(Callback):
    """Prints a line an epoch: its number, its seconds, the metrics.

    Args:
        console: where to print.
        metrics: logged metrics to show.
    """

    def __init__(
        self,
        console: Console,
        metrics: tuple[str, ...] = ("train/loss", "train/accuracy", "val/loss", "val/accuracy"),
    ) -> None:
        """Keep the arguments."""
        self.console = console
        self.metrics = metrics
        self._start = 0.0

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock."""
        self._start = time.monotonic()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Print the line."""
        if not trainer.is_global_zero:
            return
        shown = [
            f"{name} {float(trainer.callback_metrics[name]):.4f}"
            for name in self.metrics
            if name in trainer.callback_metrics
        ]
        last = f"/{trainer.max_epochs}" if trainer.max_epochs and trainer.max_epochs > 0 else ""
        seconds = time.monotonic() - self._start
        line = "  ".join([f"epoch {trainer.current_epoch + 1}{last}", *shown, f"{seconds:.1f} s"])
        self.console.print(line, highlight=False, soft_wrap=True)
