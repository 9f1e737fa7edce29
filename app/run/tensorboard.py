"""What every run gets without being asked: a best step, TensorBoard's pages; and what is asked for twice."""

from typing import Any

from pytorch_lightning import Callback
from pytorch_lightning.callbacks import LearningRateMonitor
from pytorch_lightning.loggers import TensorBoardLogger

from dropout_lab.app.config.settings import flat_settings
from dropout_lab.app.run.folder import RunFolder
from dropout_lab.callbacks import BestStep, Charts, TensorBoardPages
from dropout_lab.datamodules import ImageDataModule
from dropout_lab.models import ImageClassifier

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


def tensorboard_callbacks(
    specification: dict[str, Any],
    best: BestStep,
    model: ImageClassifier,
    data: ImageDataModule,
    written: bool,
) -> list[Callback]:
    """Make what fills TensorBoard's pages: HParams, custom scalars, learning rate, first batch, graph.

    Args:
        specification: the settings.
        best: knows the best validation.
        model: of the run.
        data: likewise.
        written: what comes before training has been written already, by the run that goes on.
    """
    charts = {**CHARTS, **TWO_CLASS_CHARTS} if data.num_classes == 2 else CHARTS
    pages = TensorBoardPages(
        flat_settings(specification), best, charts, model.network, data.image_shape, data.to_pixels, written
    )
    return [pages, LearningRateMonitor()]
