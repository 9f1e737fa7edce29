"""TensorBoard's logger and pages, as every run gets them that logs there."""

from pytorch_lightning import Callback
from pytorch_lightning.callbacks import LearningRateMonitor
from pytorch_lightning.loggers import TensorBoardLogger

from dropout_lab.app.config.settings import flat_settings
from dropout_lab.app.run.build import Parts
from dropout_lab.app.run.folder import RunFolder
from dropout_lab.callbacks import Charts, TensorBoardPages

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

    Args:
        parts: of the run.
        resumed: what comes before training has been written already.
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
    return [pages, LearningRateMonitor()]
