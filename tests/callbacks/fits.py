"""Small real fits for tests of callbacks: the embedded digits, a few batches, no files but TensorBoard's."""

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from pytorch_lightning import Callback, LightningModule, Trainer, seed_everything
from pytorch_lightning.loggers import TensorBoardLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from dropout_lab.datamodules import DigitsDataModule
from dropout_lab.models import ImageClassifier
from dropout_lab.models.dropout import DropoutFactory, StandardDropout
from dropout_lab.models.networks import FullyConnected, Network

BATCH_SIZE = 100


class SaveAfter(Callback):
    """Writes a checkpoint after a step, as a ModelCheckpoint does; to be listed last."""

    def __init__(self, step: int, file: Path) -> None:
        self.step = step
        self.file = file

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if trainer.global_step == self.step:
            trainer.save_checkpoint(self.file)


def small_network(dropout: DropoutFactory = StandardDropout, hidden: tuple[int, ...] = (32, 16)) -> Network:
    return FullyConnected(list(hidden), image_shape=(1, 8, 8), num_classes=10, dropout=dropout)


def fit(
    *callbacks: Callback,
    network: Network | None = None,
    classifier: ImageClassifier | None = None,
    logs: Path | None = None,
    ckpt_path: Path | None = None,
    **trainer: Any,
) -> Trainer:
    """Train on digits, 13 steps an epoch; one epoch unless ``trainer`` says otherwise. The same seed each time."""
    seed_everything(0, verbose=False)
    model = classifier or ImageClassifier(network or small_network())
    logger = TensorBoardLogger(logs, name="", version="") if logs else False
    options = {"max_epochs": 1, "accelerator": "cpu", "enable_checkpointing": False, "log_every_n_steps": 1}
    quiet = {"enable_progress_bar": False, "enable_model_summary": False}
    made = Trainer(callbacks=list(callbacks), logger=logger, **{**options, **quiet, **trainer})
    data = DigitsDataModule(batch_size=BATCH_SIZE)
    made.fit(model, datamodule=data, ckpt_path=ckpt_path, weights_only=True if ckpt_path else None)
    return made


def events(logs: Path) -> EventAccumulator:
    """Read what TensorBoard would show."""
    accumulator = EventAccumulator(str(logs), size_guidance={"scalars": 0, "images": 0, "histograms": 0})
    accumulator.Reload()
    return accumulator


def empty_figure(*_: object) -> Figure:
    """Return what is drawn in no time, where nobody looks at figures."""
    return Figure(figsize=(1, 1))


def scalars(logs: Path, tag: str) -> list[tuple[int, float]]:
    """Return steps and values of a curve."""
    return [(event.step, event.value) for event in events(logs).Scalars(tag)]
