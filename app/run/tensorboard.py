"""TensorBoard's logger, pages and event files, as every run gets them that logs there."""

from pathlib import Path

from pytorch_lightning import Callback, Trainer
from pytorch_lightning.callbacks import LearningRateMonitor
from pytorch_lightning.loggers import TensorBoardLogger

from dropout_lab.app.config.settings import flat_settings
from dropout_lab.app.run.build import Parts
from dropout_lab.app.run.folder import RunFolder
from dropout_lab.callbacks import MEASURED_LATER, Charts, TensorBoardPages

EVENTS = "events.out.tfevents.*"
# What every run logs, as TensorBoard's page of custom scalars groups it.
CHARTS: dict[str, Charts] = {
    "learning": {
        "accuracy": ["^train/accuracy$", "^val/accuracy$"],
        "loss": ["^train/loss$", "^val/loss$"],
        "calibration error": ["^train/ece$", "^val/ece$"],
        "learning rate": ["^lr-"],
    }
}

# The same of two classes, where accuracy alone deceives.
TWO_CLASS_CHARTS: dict[str, Charts] = {
    "two classes": {
        "accuracy and that of the commoner class": ["^val/accuracy$", "^val/majority$"],
        "balanced accuracy": ["^train/balanced_accuracy$", "^val/balanced_accuracy$"],
        "sensitivity and specificity": ["^val/sensitivity$", "^val/specificity$"],
        "area under the ROC curve": ["^train/auroc$", "^val/auroc$"],
        "average precision": ["^train/ap$", "^val/ap$"],
    }
}


def tensorboard_logger(folder: RunFolder) -> TensorBoardLogger:
    """Make a logger that writes into a run folder itself."""
    version, name, root = folder.path.name, folder.path.parent.name, folder.path.parent.parent
    return TensorBoardLogger(root, name=name, version=version, default_hp_metric=False)


def tensorboard_callbacks(parts: Parts, resumed: bool) -> list[Callback]:
    """Make what fills TensorBoard's pages: HParams, custom scalars, learning rate, first batch, graph.

    Of a run that is resumed, what comes before training has been written already.
    """
    charts = {**CHARTS, **TWO_CLASS_CHARTS} if parts.data.num_classes == 2 else CHARTS
    pages = TensorBoardPages(
        flat_settings(parts.specification),
        parts.best,
        charts,
        parts.model.network,
        parts.data.image_shape,
        parts.data.to_pixels,
        resumed,
    )
    # A second one would draw each rate twice.
    monitored = any(isinstance(each, LearningRateMonitor) for each in parts.callbacks)
    return [pages] if monitored else [pages, LearningRateMonitor()]


def written_events(trainer: Trainer, folder: Path) -> dict[str, int]:
    """Return how many bytes each of a run's event files has, once all that was logged is in them."""
    for logger in trainer.loggers:
        if isinstance(logger, TensorBoardLogger):
            logger.experiment.flush()
    return {file.name: file.stat().st_size for file in _of_the_fit(folder)}


def cut_events(folder: Path, sizes: dict[str, int]) -> None:
    """Cut a run's event files to their sizes at a checkpoint; what ``test`` has written stays."""
    for file in _of_the_fit(folder):
        if file.name not in sizes:
            file.unlink()
        elif file.stat().st_size > sizes[file.name]:
            with file.open("r+b") as stream:
                stream.truncate(sizes[file.name])


def _of_the_fit(folder: Path) -> list[Path]:
    return [file for file in folder.glob(EVENTS) if not file.name.endswith(MEASURED_LATER)]
