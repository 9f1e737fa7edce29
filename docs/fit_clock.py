"""A callback that lets another process decide when a fit trains its next epoch, and tells it how long that took.

It is imported in any checkout, an older one too, so nothing of this project is imported here.
"""

import sys
from time import perf_counter
from typing import Any, final

import torch
from pytorch_lightning import Callback, LightningModule, Trainer

MARK = "seconds of an epoch:"


@final
class FitClock(Callback):
    """Waits for a line on stdin before each epoch; after it, prints the seconds of its steps and of the rest.

    The rest is what comes once an epoch, as checkpoints, metrics and logs. Validations and waiting are in neither.
    """

    def __init__(self) -> None:
        # Since when time is counted; None in validations, and before the first epoch.
        self._since: float | None = None
        self._steps = self._rest = 0.0

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._since is not None:
            self._rest += self._lap(pl_module)
            print(MARK, self._steps, self._rest, flush=True)
        sys.stdin.readline()
        self._steps = self._rest = 0.0
        self._since = now(pl_module.device)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if batch_idx + 1 == trainer.num_training_batches:
            self._steps = self._lap(pl_module)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._since is not None:
            self._rest += self._lap(pl_module)
            self._since = None

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.sanity_checking:
            self._since = now(pl_module.device)

    def _lap(self, pl_module: LightningModule) -> float:
        assert self._since is not None, "the clock stands in validations alone"
        before, self._since = self._since, now(pl_module.device)
        return self._since - before


def now(device: torch.device) -> float:
    """Read the clock, once the device has done what it was given."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
    return perf_counter()
