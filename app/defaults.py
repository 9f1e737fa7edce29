"""What every run gets without being asked: checkpoints, TensorBoard's pages."""

from typing import Any

from pytorch_lightning import Callback
from pytorch_lightning.callbacks import LearningRateMonitor, ModelCheckpoint
from pytorch_lightning.loggers import TensorBoardLogger

from app.runs import RunFolder
from app.specification import flat_settings
from callbacks import BestStep, FirstBatch, Hyperparameters, NetworkGraph
from datamodules import ImageDataModule
from models import ImageClassifier


def checkpoint_callback(monitor: str | None) -> ModelCheckpoint:
    """Keep ``best.ckpt``, of the highest ``monitor``, and ``last.ckpt``; without a monitor the last alone."""
    return ModelCheckpoint(
        monitor=monitor,
        mode="max",
        filename="best" if monitor else "last",
        save_last=True if monitor else None,
        enable_version_counter=False,
    )


def tensorboard_logger(folder: RunFolder) -> TensorBoardLogger:
    """Make a logger that writes into a run folder itself."""
    version, name, root = folder.path.name, folder.path.parent.name, folder.path.parent.parent
    return TensorBoardLogger(root, name=name, version=version, default_hp_metric=False)


def tensorboard_callbacks(
    specification: dict[str, Any], best: BestStep, model: ImageClassifier, data: ImageDataModule
) -> list[Callback]:
    """Make what fills TensorBoard's pages: HParams, learning rate, first batch, graph."""
    return [
        Hyperparameters(flat_settings(specification), best),
        LearningRateMonitor(),
        FirstBatch(data.to_pixels),
        NetworkGraph(model.network, data.image_shape),
    ]
