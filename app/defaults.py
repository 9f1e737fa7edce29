"""What every run gets without being asked: a best step, TensorBoard's pages; and what is asked for twice."""

import re
from typing import Any

from pytorch_lightning import Callback, Trainer
from pytorch_lightning.callbacks import EarlyStopping, LearningRateMonitor, ModelCheckpoint
from pytorch_lightning.loggers import TensorBoardLogger
from pytorch_lightning.utilities.model_helpers import is_overridden

from app.errors import UserError
from app.runs import RunFolder
from app.specification import flat_settings
from callbacks import (
    BestStep,
    Charts,
    FirstBatch,
    Hyperparameters,
    NetworkGraph,
    ScalarLayout,
    TensorBoardPages,
)
from callbacks.tensorboard import Charted
from datamodules import ImageDataModule
from models import ImageClassifier

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
LOWER_IS_BETTER = {"val/loss", "val/nll", "val/ece"}


def check_monitors(trainer: Trainer, model: ImageClassifier) -> None:
    """Check that callbacks watch metrics that there are; Lightning asks only after an epoch.

    Those are the model's, and the curves that other callbacks say they draw.

    Raises:
        UserError: one watches a metric that is not logged.
    """
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
    charts = [each.charts() for each in callbacks if isinstance(each, Charted)]
    drawn = [tag for chart in charts for tags in chart.values() for tag in tags]
    known = [*map(re.escape, model.logged_metrics()), *drawn]
    for callback in callbacks:
        if not isinstance(callback, EarlyStopping | ModelCheckpoint | BestStep) or callback.monitor is None:
            continue
        if not any(re.fullmatch(tag, callback.monitor) for tag in known):
            raise UserError(
                f"{type(callback).__name__} watches {callback.monitor!r}, which is not logged; "
                f"there are {', '.join([*model.logged_metrics(), *drawn])}"
            )


def check_told_apart(callbacks: list[Callback]) -> None:
    """Check that no two callbacks would share a state in checkpoints, which Lightning refuses with a traceback.

    Raises:
        UserError: two would.
    """
    keys = [each.state_key for each in callbacks if is_overridden("state_dict", each, parent=Callback)]
    if twice := next((key for key in keys if keys.count(key) > 1), None):
        raise UserError(f"trainer.callbacks has {twice} twice, perhaps by two config files: leave one out")


def best_step(trainer: Trainer, monitor: str | None) -> BestStep:
    """Return the user's :class:`BestStep`, which then says what is best, or a new one among the callbacks.

    Args:
        trainer: has the callbacks.
        monitor: metric that says what is best; None leaves it to BestStep, as a BestStep without one leaves it here.

    Raises:
        UserError: there are two, or they are not of one mind; the metric is better the lower it is.
    """
    if monitor in LOWER_IS_BETTER:
        raise UserError(f"monitor must be a metric that is better the higher it is, got {monitor!r}")
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
    theirs = [callback for callback in callbacks if isinstance(callback, BestStep)]
    if len(theirs) > 1:
        raise UserError(
            f"there is one best.ckpt and so one BestStep, got {len(theirs)} in trainer.callbacks; it takes several "
            "thresholds"
        )
    if not theirs:
        ours = BestStep(monitor)
        callbacks.append(ours)
        return ours
    best = theirs[0]
    if monitor is not None and not best.chosen:
        best.watch(monitor)
    if monitor not in (None, best.monitor):
        raise UserError(
            f"monitor is {monitor!r}, and BestStep watches {best.monitor!r}: name the same, or leave it to "
            "BestStep with --monitor null"
        )
    return best


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
        Hyperparameters(flat_settings(specification), best),
        ScalarLayout(charts),
        NetworkGraph(model.network, data.image_shape),
        FirstBatch(data.to_pixels),
        written,
    )
    return [pages, LearningRateMonitor()]
