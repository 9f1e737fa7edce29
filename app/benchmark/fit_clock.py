"""How long the epochs of a fit take, without its validations."""

import json
from pathlib import Path
from typing import Any, NamedTuple, final

from pytorch_lightning import Callback, LightningModule, Trainer

from dropout_lab.callbacks.timing import seconds


class EpochSeconds(NamedTuple):
    """Seconds of an epoch."""

    steps: float
    """From its start to the end of its last step."""
    rest: float
    """What comes once: checkpoints, metrics, logs; validation is left out."""


@final
class FitClock(Callback):
    """Writes the seconds of each epoch as JSON, when the fit has ended.

    Args:
        file: where to.
    """

    def __init__(self, file: Path) -> None:
        """Start with no epoch."""
        self.file = file
        self._epochs: list[EpochSeconds] = []
        # Since when time is counted; None in validations, and before the first epoch.
        self._since: float | None = None
        self._steps = self._rest = 0.0

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """End the epoch before and start one."""
        self._end_epoch(pl_module)
        self._since = seconds(pl_module.device)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Read the clock after the last step."""
        if batch_idx + 1 == trainer.num_training_batches:
            self._steps = self._lap(pl_module)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop the clock."""
        if self._since is not None:
            self._rest += self._lap(pl_module)
            self._since = None

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Let it go on."""
        if not trainer.sanity_checking:
            self._since = seconds(pl_module.device)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """End the last epoch and write."""
        self._end_epoch(pl_module)
        self.file.write_text(json.dumps(self._epochs))

    def _end_epoch(self, pl_module: LightningModule) -> None:
        if self._since is None:
            return
        self._epochs.append(EpochSeconds(self._steps, self._rest + self._lap(pl_module)))
        self._since, self._steps, self._rest = None, 0.0, 0.0

    def _lap(self, pl_module: LightningModule) -> float:
        assert self._since is not None, "the clock stands in validations alone"
        now = seconds(pl_module.device)
        lap, self._since = now - self._since, now
        return lap


def read_epochs(file: Path) -> list[EpochSeconds]:
    """Read what :class:`FitClock` has written."""
    return [EpochSeconds(*each) for each in json.loads(file.read_text())]
