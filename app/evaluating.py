"""The commands ``validate``, ``test`` and ``predict``, once data, model and trainer stand."""

from pathlib import Path
from typing import Any

from app.checkpoints import load_weights, read_weights
from app.console import print_line, print_metrics, print_result
from app.errors import UserError
from app.predictions import PredictionCSV
from app.resumption.going_on import read_config
from app.runs import RunFolder
from app.session import Session
from app.specification import changed_settings
from callbacks import write_test_metrics


def validate(session: Session, folder: RunFolder, ckpt_path: str) -> None:
    """Measure a run's checkpoint on the validation split."""
    _load(session, ckpt_path)
    metrics = session.trainer.validate(
        session.model, datamodule=session.data, weights_only=True, verbose=False
    )
    _add_result(session, folder, "validate", ckpt_path, metrics)


def test(session: Session, folder: RunFolder, ckpt_path: str) -> None:
    """Measure a run's checkpoint on the test split."""
    step = _load(session, ckpt_path)
    metrics = session.trainer.test(session.model, datamodule=session.data, weights_only=True, verbose=False)
    if _add_result(session, folder, "test", ckpt_path, metrics) and session.writes.tensorboard:
        write_test_metrics(folder.path, dict(metrics[0]), step)


def predict(session: Session, folder: RunFolder, ckpt_path: str) -> None:
    """Write a run's predictions on the test split."""
    _load(session, ckpt_path)
    kept = not session.writes.nothing and _belongs(session, folder, ckpt_path)
    if kept:
        session.add_callbacks(PredictionCSV(folder.predictions))
    session.trainer.predict(
        session.model, datamodule=session.data, weights_only=True, return_predictions=False
    )
    if kept:
        print_line(f"predictions  {folder.predictions}")


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
    figures = without_split(metrics[0])
    if session.writes.nothing or not _belongs(session, folder, ckpt_path):
        print_metrics(f"{command} of {ckpt_path}", figures)
        return False
    name = command if Path(ckpt_path).stem == "best" else f"{command} {Path(ckpt_path).stem}"
    folder.add_result(name, {"checkpoint": ckpt_path, "metrics": figures})
    print_result(folder)
    return name == command


def _belongs(session: Session, folder: RunFolder, ckpt_path: str) -> bool:
    """Return whether what is measured now is what the run's own settings and weights give; say why not."""
    there = read_config(folder.config)
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


def without_split(metrics: dict[str, float]) -> dict[str, float]:
    """Return figures by their names without ``val/`` or ``test/``."""
    return {name.rsplit("/", 1)[-1]: float(value) for name, value in metrics.items()}
