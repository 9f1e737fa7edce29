"""When validation was best, and what else was measured then."""

import math
from typing import final

from pytorch_lightning import Callback, LightningModule, Trainer


@final
class BestStep(Callback):
    """Keeps the best value of a validation metric, the epoch and step it was reached at, and the other metrics.

    A run that continues another starts afresh, as its ``best.ckpt`` does.

    Args:
        monitor: logged metric to watch; higher is better.
    """

    def __init__(self, monitor: str = "val/accuracy") -> None:
        """Start with nothing seen."""
        self.monitor = monitor
        self.epoch: int | None = None
        self.step: int | None = None
        self.metrics: dict[str, float] = {}

    @property
    def value(self) -> float:
        """The best value so far; −∞ before the first validation."""
        return self.metrics.get(self.monitor, -math.inf)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Compare."""
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        if trainer.sanity_checking or self.monitor not in metrics:
            return
        if metrics[self.monitor] > self.value:
            self.epoch = trainer.current_epoch
            self.step = trainer.global_step
            self.metrics = {name: value for name, value in metrics.items() if name.startswith("val/")}
