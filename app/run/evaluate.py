"""The commands ``validate``, ``test`` and ``predict``, once data, model and trainer stand."""

import argparse
import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any, final

import torch
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import BasePredictionWriter

from dropout_lab.app.config.settings import changed_settings
from dropout_lab.app.console import print_line
from dropout_lab.app.errors import UserError
from dropout_lab.app.files import whole_file
from dropout_lab.app.run.build import Session
from dropout_lab.app.run.checkpoint import load_weights, read_weights
from dropout_lab.app.run.folder import RunFolder, find_run_folder, read_config, without_split
from dropout_lab.app.run.messages import print_metrics, print_result
from dropout_lab.callbacks import write_test_metrics
from dropout_lab.callbacks.ranks import gathered

Row = tuple[int, int, float, int]
"""Index, prediction, probability, label."""


@final
class PredictionCSV(BasePredictionWriter):
    """Writes ``index,prediction,probability,label``, a line for each image in the order of the data.

    ``prediction`` is the class of the highest probability, ``label`` is empty where it is unknown. The file
    appears when it is whole.

    Args:
        file: the CSV file, replaced if it is there.
    """

    def __init__(self, file: Path) -> None:
        """Keep the path."""
        super().__init__(write_interval="epoch")
        self.file = file

    def write_on_epoch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        predictions: Sequence[Any],
        batch_indices: Sequence[Any],
    ) -> None:
        """Gather the batches of all processes, and write them."""
        indices = [index for batch in batch_indices[0] for index in batch]
        highest = torch.cat([prediction.probabilities for prediction in predictions]).max(dim=1)
        target = torch.cat([prediction.target for prediction in predictions])
        rows: list[Row] = list(
            zip(indices, highest.indices.tolist(), highest.values.tolist(), target.tolist(), strict=True)
        )
        of_all_ranks = [row for part in gathered(rows) for row in part]
        if trainer.is_global_zero:
            self._write(sorted(of_all_ranks))

    def _write(self, rows: list[Row]) -> None:
        with whole_file(self.file) as stream:
            writer = csv.writer(stream)
            writer.writerow(("index", "prediction", "probability", "label"))
            for index, prediction, probability, label in rows:
                writer.writerow((index, prediction, f"{probability:.6f}", "" if label < 0 else label))


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


def resolve_run(words: list[str]) -> tuple[list[str], RunFolder]:
    """Put a run's config and checkpoint in the place of ``--run FOLDER``.

    ``--ckpt_path`` takes ``best``, ``last`` or a file; by default the best, or the last of a run without
    validation. Without ``--run`` the run is the one that the file lies in. Other options follow the run's config,
    so they win over it.

    Args:
        words: the command and its options.

    Returns:
        The words for the parser, and the run.

    Raises:
        UserError: no run is named, or it has no such checkpoint.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--run", type=Path)
    parser.add_argument("--ckpt_path")
    options, others = parser.parse_known_args(words[1:])
    if options.run is not None:
        folder = find_run_folder(options.run)
    elif options.ckpt_path is not None and Path(options.ckpt_path).is_file():
        folder = find_run_folder(Path(options.ckpt_path).resolve().parent.parent)
    else:
        raise UserError(
            f"{words[0]} needs --run FOLDER, the run to look at: fit prints its name, like runs/mnist"
        )
    which = options.ckpt_path or folder.default_checkpoint()
    checkpoint = folder.checkpoint(which) if which in ("best", "last") else Path(which)
    return [words[0], "--config", str(folder.config), *others, "--ckpt_path", str(checkpoint)], folder
