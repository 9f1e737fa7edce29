"""What the commands do, once data, model and trainer stand."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pytorch_lightning import Callback, Trainer
from pytorch_lightning.callbacks import ModelCheckpoint

from app.checkpoints import read_weights
from app.console import print_header, print_line, print_result
from app.defaults import tensorboard_callbacks, tensorboard_logger
from app.runs import RunFolder, make_run_folder, next_run_folder
from app.specification import run_name
from callbacks import BestStep, PredictionCSV, write_test_metrics
from datamodules import ImageDataModule
from models import ImageClassifier


@dataclass(frozen=True)
class Session:
    """What a command works with.

    Attributes:
        trainer: Lightning's, without loggers of this application.
        model: as specified, untrained.
        data: read and found good.
        config: the options as YAML, enough to run again.
        specification: the same with what the data fill in, as plain values.
        with_tensorboard: log to TensorBoard in the run folder; the user gave no logger and did not forbid it.
        best_step: watches validation, in a fit.
        checkpoint: keeps the best and the last weights, in a fit.
    """

    trainer: Trainer
    model: ImageClassifier
    data: ImageDataModule
    config: str
    specification: dict[str, Any]
    with_tensorboard: bool
    best_step: BestStep
    checkpoint: ModelCheckpoint

    @property
    def is_rehearsal(self) -> bool:
        """Whether a few batches are run and nothing is written (``--trainer.fast_dev_run``)."""
        return bool(self.specification["trainer"]["fast_dev_run"])

    def add_callbacks(self, *callbacks: Callback) -> None:
        """Let the trainer call these too."""
        self.trainer.callbacks.extend(callbacks)  # type: ignore[attr-defined]


def fit(session: Session, ckpt_path: str | None) -> None:
    """Train in a new run folder, and write down what was reached."""
    trainer = session.trainer
    if ckpt_path is not None:
        read_weights(ckpt_path, session.model)
    if session.is_rehearsal:
        trainer.fit(session.model, datamodule=session.data, ckpt_path=ckpt_path, weights_only=True)
        return
    folder = _new_folder(session)
    session.checkpoint.dirpath = str(folder.checkpoints)
    if session.with_tensorboard:
        trainer.loggers = [tensorboard_logger(folder)]
        session.add_callbacks(
            *tensorboard_callbacks(session.specification, session.best_step, session.model, session.data)
        )
    print_header(folder, session.model, session.data)
    try:
        trainer.fit(session.model, datamodule=session.data, ckpt_path=ckpt_path, weights_only=True)
    except BaseException:
        # Nothing was learned: a folder without a checkpoint would only be in the way.
        if trainer.is_global_zero and trainer.global_step == 0:
            shutil.rmtree(folder.path)
        raise
    if trainer.is_global_zero:
        folder.add_result(
            "fit",
            {
                "epochs": trainer.current_epoch,
                "steps": trainer.global_step,
                "best_epoch": session.best_step.epoch,
                "best_step": session.best_step.step,
                "metrics": _without_split(session.best_step.metrics),
            },
        )
        print_result(folder)


def validate(session: Session, folder: RunFolder, ckpt_path: str) -> None:
    """Measure a run's checkpoint on the validation split."""
    _load(session, ckpt_path)
    (metrics,) = session.trainer.validate(session.model, datamodule=session.data, verbose=False)
    _add_result(session, folder, "validate", ckpt_path, metrics)


def test(session: Session, folder: RunFolder, ckpt_path: str) -> None:
    """Measure a run's checkpoint on the test split."""
    step = _load(session, ckpt_path)
    (metrics,) = session.trainer.test(session.model, datamodule=session.data, verbose=False)
    if session.with_tensorboard and session.trainer.is_global_zero:
        write_test_metrics(folder.path, dict(metrics), step)
    _add_result(session, folder, "test", ckpt_path, metrics)


def predict(session: Session, folder: RunFolder, ckpt_path: str) -> None:
    """Write a run's predictions on the test split."""
    _load(session, ckpt_path)
    if not session.is_rehearsal:
        session.add_callbacks(PredictionCSV(folder.predictions))
    session.trainer.predict(session.model, datamodule=session.data, return_predictions=False)
    if not session.is_rehearsal:
        print_line(f"predictions  {folder.predictions}")


def _load(session: Session, ckpt_path: str) -> int:
    """Load weights and return their step.

    Lightning's own way would also restore the fit's callbacks, which evaluation has none of, and warn.
    """
    weights = read_weights(ckpt_path, session.model)
    session.model.load_state_dict(weights.state)
    return weights.step


def _add_result(session: Session, folder: RunFolder, command: str, ckpt_path: str, metrics: Any) -> None:
    if session.trainer.is_global_zero and not session.is_rehearsal:
        folder.add_result(command, {"checkpoint": ckpt_path, "metrics": _without_split(metrics)})
        print_result(folder)


def _new_folder(session: Session) -> RunFolder:
    root, name = Path(session.specification["runs"]), run_name(session.specification)
    if not session.trainer.is_global_zero:
        # Only rank 0 writes; the path of checkpoints is broadcast from there.
        return next_run_folder(root, name)
    folder = make_run_folder(root, name)
    config = yaml.safe_load(session.config)
    # What was continued from is no setting: whoever takes up this config starts afresh.
    config.pop("ckpt_path")
    folder.config.write_text(yaml.safe_dump(config, sort_keys=False))
    return folder


def _without_split(metrics: dict[str, float]) -> dict[str, float]:
    return {name.rsplit("/", 1)[-1]: float(value) for name, value in metrics.items()}
