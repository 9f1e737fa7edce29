"""What every run gets without being asked: checkpoints, TensorBoard's pages."""

import re
from typing import Any, final

from pytorch_lightning import Callback, Trainer
from pytorch_lightning.callbacks import EarlyStopping, LearningRateMonitor, ModelCheckpoint
from pytorch_lightning.loggers import TensorBoardLogger
from pytorch_lightning.utilities.model_helpers import is_overridden

from app.errors import UserError
from app.runs import RunFolder
from app.specification import flat_settings
from callbacks import BestStep, Charts, FirstBatch, Hyperparameters, NetworkGraph, ScalarLayout
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


@final
class RunCheckpoint(ModelCheckpoint):
    """A checkpoint of the run folder. Its own name sets its state apart from a ModelCheckpoint of the user's."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Forget the state: a run that continues another keeps its own best, in its own folder."""


def checkpoint_callbacks(folder: RunFolder, monitor: str) -> list[Callback]:
    """Keep ``best.ckpt``, of the highest ``monitor``, and ``last.ckpt``, of the last epoch."""
    best = RunCheckpoint(
        dirpath=folder.checkpoints,
        monitor=monitor,
        mode="max",
        filename="best",
        enable_version_counter=False,
        save_on_train_epoch_end=False,
    )
    last = RunCheckpoint(
        dirpath=folder.checkpoints,
        filename="last",
        enable_version_counter=False,
        save_on_train_epoch_end=True,
    )
    return [best, last]


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


def best_step(trainer: Trainer) -> BestStep:
    """Return the user's :class:`BestStep`, which then says what is best, or a new one among the callbacks.

    Raises:
        UserError: there are two.
    """
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
    theirs = [callback for callback in callbacks if isinstance(callback, BestStep)]
    if len(theirs) > 1:
        raise UserError(
            f"there is one best.ckpt and so one BestStep, got {len(theirs)} in trainer.callbacks; it takes several "
            "thresholds"
        )
    if theirs:
        return theirs[0]
    ours = BestStep()
    callbacks.append(ours)
    return ours


def tensorboard_logger(folder: RunFolder) -> TensorBoardLogger:
    """Make a logger that writes into a run folder itself."""
    version, name, root = folder.path.name, folder.path.parent.name, folder.path.parent.parent
    return TensorBoardLogger(root, name=name, version=version, default_hp_metric=False)


def tensorboard_callbacks(
    specification: dict[str, Any], best: BestStep, model: ImageClassifier, data: ImageDataModule
) -> list[Callback]:
    """Make what fills TensorBoard's pages: HParams, custom scalars, learning rate, first batch, graph."""
    return [
        Hyperparameters(flat_settings(specification), best),
        ScalarLayout(CHARTS),
        LearningRateMonitor(),
        FirstBatch(data.to_pixels),
        NetworkGraph(model.network, data.image_shape),
    ]
