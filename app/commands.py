"""What the commands do, once data, model and trainer stand."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pytorch_lightning import Callback, Trainer

from app.checkpoints import load_weights, read_weights
from app.console import print_header, print_line, print_metrics, print_result, print_stop
from app.defaults import (
    best_step,
    check_monitors,
    checkpoint_callbacks,
    tensorboard_callbacks,
    tensorboard_logger,
)
from app.errors import UserError
from app.runs import RunFolder, make_run_folder, next_run_folder
from app.specification import changed_settings, run_name
from callbacks import PredictionCSV, Timing, TrainingCollapsed, write_test_metrics
from datamodules import ImageDataModule
from models import ImageClassifier
from whole_file import naming, whole_file


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


def fit(session: Session, ckpt_path: str | None) -> None:
    """Train in a new run folder, and write down what was reached.

    A run that CollapseDetector stops ends well, as by EarlyStopping: its figures until then stand, with the reason
    beside them as ``stopped``, and the exit code is 0.
    """
    trainer, writes = session.trainer, session.writes
    best = best_step(trainer, session.specification["monitor"])
    check_monitors(trainer, session.model)
    # Bad settings of the optimizer are found here, before there is a folder.
    session.model.configure_optimizers()
    if ckpt_path is not None:
        read_weights(ckpt_path, session.model, to_continue=True)
    if writes.nothing:
        if stop := _train(session, ckpt_path):
            print_line(str(stop))
        return
    folder = _new_folder(session)
    if writes.tensorboard:
        trainer.loggers = [tensorboard_logger(folder)]
        session.add_callbacks(
            *tensorboard_callbacks(session.specification, best, session.model, session.data)
        )
    if writes.checkpoints:
        session.add_callbacks(*checkpoint_callbacks(folder, best.monitor))
    print_header(folder, session.model, session.data, trainer)
    try:
        with naming(folder.path):
            stop = _train(session, ckpt_path)
        if trainer.global_step == 0 and stop is None:
            raise UserError("nothing was trained: the limits of the trainer leave no batch")
    except BaseException:
        # Without a checkpoint the folder would only be in the way.
        if trainer.is_global_zero and not any(folder.checkpoints.glob("*.ckpt")):
            folder.remove()
        raise
    if trainer.is_global_zero:
        figures = {
            "epochs": trainer.current_epoch,
            "steps": trainer.global_step,
            "best_epoch": best.epoch,
            "best_step": best.step,
            "first_steps": best.first_steps,
            "data": session.data.fingerprint,
            "stopped": None if stop is None else str(stop),
            "metrics": _without_split(best.metrics),
        }
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            if isinstance(callback, Timing):
                figures["time"] = callback.summary
        folder.add_result("fit", figures)
        if stop is not None:
            print_stop(str(stop), folder)
        print_result(folder)


def validate(session: Session, folder: RunFolder, ckpt_path: str) -> None:
    """Measure a run's checkpoint on the validation split."""
    _load(session, ckpt_path)
    metrics = session.trainer.validate(session.model, datamodule=session.data, verbose=False)
    _add_result(session, folder, "validate", ckpt_path, metrics)


def test(session: Session, folder: RunFolder, ckpt_path: str) -> None:
    """Measure a run's checkpoint on the test split."""
    step = _load(session, ckpt_path)
    metrics = session.trainer.test(session.model, datamodule=session.data, verbose=False)
    if _add_result(session, folder, "test", ckpt_path, metrics) and session.writes.tensorboard:
        write_test_metrics(folder.path, dict(metrics[0]), step)


def predict(session: Session, folder: RunFolder, ckpt_path: str) -> None:
    """Write a run's predictions on the test split."""
    _load(session, ckpt_path)
    kept = not session.writes.nothing and _belongs(session, folder, ckpt_path)
    if kept:
        session.add_callbacks(PredictionCSV(folder.predictions))
    session.trainer.predict(session.model, datamodule=session.data, return_predictions=False)
    if kept:
        print_line(f"predictions  {folder.predictions}")


def _train(session: Session, ckpt_path: str | None) -> TrainingCollapsed | None:
    """Train; return why it was stopped, if it was."""
    try:
        session.trainer.fit(session.model, datamodule=session.data, ckpt_path=ckpt_path, weights_only=True)
    except TrainingCollapsed as stop:
        return stop
    return None


def _load(session: Session, ckpt_path: str) -> int:
    """Load weights and return their step."""
    weights = read_weights(ckpt_path, session.model)
    load_weights(weights, session.trainer, session.model)
    return weights.step


def _add_result(session: Session, folder: RunFolder, command: str, ckpt_path: str, metrics: Any) -> bool:
    """Write figures into the run if they are the run's own; return whether they were."""
    if not metrics or not metrics[0]:
        raise UserError(f"{command} has measured nothing: the limits of the trainer leave no batch")
    if not session.trainer.is_global_zero:
        return False
    figures = _without_split(metrics[0])
    if session.writes.nothing or not _belongs(session, folder, ckpt_path):
        print_metrics(f"{command} of {ckpt_path}", figures)
        return False
    name = command if Path(ckpt_path).stem == "best" else f"{command} {Path(ckpt_path).stem}"
    folder.add_result(name, {"checkpoint": ckpt_path, "metrics": figures})
    print_result(folder)
    return name == command


def _belongs(session: Session, folder: RunFolder, ckpt_path: str) -> bool:
    """Return whether what is measured now is what the run's own settings and weights give; say why not."""
    there = yaml.safe_load(folder.config.read_text())
    changed = changed_settings(there, session.specification)
    session.data.setup()
    trained_on = folder.result().get("fit", {}).get("data")
    # An image more draws another split, in which the run may have learned what is a test image now.
    if not changed and trained_on not in (None, session.data.fingerprint):
        changed.append("the images, or who is in which split")
    if Path(ckpt_path).resolve().parent != folder.checkpoints.resolve():
        changed.append("the checkpoint, which is not of this run")
    if changed:
        print_line(f"not written into {folder.path}: it differs in {', '.join(changed)}")
    return not changed


def _new_folder(session: Session) -> RunFolder:
    root, name = Path(session.specification["runs"]).expanduser(), run_name(session.specification)
    if not session.trainer.is_global_zero:
        # Only rank 0 writes; the path of checkpoints is broadcast from there.
        return next_run_folder(root, name)
    folder = make_run_folder(root, name)
    config = yaml.safe_load(session.config)
    # What was continued from is no setting: whoever takes up this config starts afresh.
    for answered in ("ckpt_path", "run"):
        config.pop(answered)
    try:
        with whole_file(folder.config) as stream:
            yaml.safe_dump(config, stream, sort_keys=False)
    except OSError:
        folder.remove()
        raise
    return folder


def _without_split(metrics: dict[str, float]) -> dict[str, float]:
    return {name.rsplit("/", 1)[-1]: float(value) for name, value in metrics.items()}
