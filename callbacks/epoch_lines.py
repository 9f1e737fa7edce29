"""Progress for logs: where no terminal redraws a bar, a line an epoch."""

from time import monotonic
from typing import final

from pytorch_lightning import Callback, LightningModule, Trainer
from rich.console import Console


@final
class EpochLines(Callback):
    """Prints a line an epoch: its number, its seconds, and of these metrics those that there are."""

    def __init__(
        self,
        console: Console,
        metrics: tuple[str, ...] = ("train/loss", "train/accuracy", "val/loss", "val/accuracy", "val/auroc"),
    ) -> None:
        self.console = console
        self.metrics = metrics
        self._start = 0.0
        self._ended = ""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # An epoch within which a fit is resumed does not start again.
        self._start = monotonic()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._print(trainer)
        self._start = monotonic()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        last = f"/{trainer.max_epochs}" if trainer.max_epochs and trainer.max_epochs > 0 else ""
        # The module logs its training metrics after this hook, so printing waits.
        self._ended = f"epoch {trainer.current_epoch + 1}{last}  {monotonic() - self._start:.1f} s"

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._print(trainer)

    def _print(self, trainer: Trainer) -> None:
        if not self._ended or not trainer.is_global_zero:
            return
        known = trainer.callback_metrics
        shown = [f"{name} {float(known[name]):.4f}" for name in self.metrics if name in known]
        self.console.print("  ".join([self._ended, *shown]), highlight=False, soft_wrap=True)
        self._ended = ""
