"""What a command works with."""

from dataclasses import dataclass
from typing import Any

from pytorch_lightning import Callback, Trainer

from datamodules import ImageDataModule
from models import ImageClassifier


@dataclass(frozen=True)
class Writes:
    """What a command leaves behind.

    Attributes:
        tensorboard: log to TensorBoard; the user gave no logger and did not forbid it.
        checkpoints: keep the best and the last weights.
        nothing: a rehearsal: not even a run folder.
    """

    tensorboard: bool = False
    checkpoints: bool = False
    nothing: bool = False


@dataclass(frozen=True)
class Session:
    """What a command works with.

    Attributes:
        trainer: Lightning's, without loggers and checkpoints of this application.
        model: as specified, untrained.
        data: read and found good.
        config: the options as YAML, enough to run again.
        specification: the same with what the data fill in, as plain values.
        writes: what is left behind.
    """

    trainer: Trainer
    model: ImageClassifier
    data: ImageDataModule
    config: str
    specification: dict[str, Any]
    writes: Writes

    def add_callbacks(self, *callbacks: Callback) -> None:
        """Let the trainer call these too."""
        self.trainer.callbacks.extend(callbacks)  # type: ignore[attr-defined]
