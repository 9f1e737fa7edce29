"""Measuring a run's weights: the commands ``validate``, ``test`` and ``predict``, and the test after training."""

import csv
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, final

import torch
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import BasePredictionWriter

from dropout_lab.app.config.settings import changed_settings
from dropout_lab.app.console import print_line
from dropout_lab.app.errors import FORBIDDEN, UserError
from dropout_lab.app.run.build import Parts
from dropout_lab.app.run.checkpoint import StoredCheckpoint, load_weights, read_checkpoint
from dropout_lab.app.run.folder import RunFolder, without_split
from dropout_lab.app.run.messages import print_metrics, print_result
from dropout_lab.app.run.resume import OTHER_DATA
from dropout_lab.callbacks import write_test_metrics
from dropout_lab.callbacks.ranks import gathered
from dropout_lab.datamodules.image_files import DecodedDataModule
from dropout_lab.ground import whole_file

COLUMNS = ("index", "prediction", "probability", "label", "predicted_class", "class")


@final
class PredictionCSV(BasePredictionWriter):
    """Writes :data:`COLUMNS`, a line for each image in the order of the data.

    ``prediction`` is the class of the highest probability, ``label`` is empty where it is unknown; both by number, and
    then by name. ``file`` is there for images that have one: ``index`` counts those that could be read, and a listing
    counts all. The file appears when it is whole.

    Args:
        file: to write.
        class_names: by label.
        image_files: the file of each image; None for data without.
    """

    def __init__(
        self, file: Path, class_names: Sequence[str], image_files: Sequence[Path] | None = None
    ) -> None:
        super().__init__(write_interval="epoch")
        self.file = file
        self.class_names = class_names
        self.image_files = image_files

    def write_on_epoch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        predictions: Sequence[Any],
        batch_indices: Sequence[Any],
    ) -> None:
        indices = [index for batch in batch_indices[0] for index in batch]
        highest = torch.cat([prediction.probabilities for prediction in predictions]).max(dim=1)
        target = torch.cat([prediction.target for prediction in predictions])
        columns = indices, highest.indices.tolist(), highest.values.tolist(), target.tolist()
        rows = sorted(row for part in gathered(list(zip(*columns, strict=True))) for row in part)
        if not trainer.is_global_zero:
            return
        with whole_file(self.file) as stream:
            writer = csv.writer(stream)
            writer.writerow(COLUMNS if self.image_files is None else (*COLUMNS, "file"))
            for index, prediction, probability, label in rows:
                known = ("", "") if label < 0 else (label, self.class_names[label])
                numbers = index, prediction, f"{probability:.6f}", known[0]
                file = [] if self.image_files is None else [self.image_files[index]]
                writer.writerow((*numbers, self.class_names[prediction], known[1], *file))


def validate(parts: Parts, folder: RunFolder, stored: StoredCheckpoint) -> None:
    """Measure a run's checkpoint on the validation split."""
    load_weights(stored, parts.trainer, parts.model, folder)
    metrics = parts.trainer.validate(parts.model, datamodule=parts.data, weights_only=True, verbose=False)
    _add_result(parts, folder, "validate", stored.file, metrics)


def test(parts: Parts, folder: RunFolder, stored: StoredCheckpoint) -> None:
    """Measure a run's checkpoint on the test split."""
    step = load_weights(stored, parts.trainer, parts.model, folder)
    metrics = parts.trainer.test(parts.model, datamodule=parts.data, weights_only=True, verbose=False)
    if _add_result(parts, folder, "test", stored.file, metrics) and parts.tensorboard:
        write_test_metrics(folder.path, dict(metrics[0]), step)


def predict(parts: Parts, folder: RunFolder, stored: StoredCheckpoint) -> None:
    """Write a run's predictions on the test split."""
    load_weights(stored, parts.trainer, parts.model, folder)
    kept = not parts.rehearsal and _is_own(parts, folder, stored.file)
    if kept:
        if not os.access(folder.path, os.W_OK):
            raise UserError(
                f"{folder.predictions} cannot be written: copy the run's folder, and predict with the copy"
            )
        files = parts.data.sample_files[-1] if isinstance(parts.data, DecodedDataModule) else None
        parts.callbacks.append(PredictionCSV(folder.predictions, parts.data.class_names, files))
    parts.trainer.predict(parts.model, datamodule=parts.data, weights_only=True, return_predictions=False)
    if kept:
        print_line(f"predictions  {folder.predictions}")


def evaluate_trained(parts: Parts, folder: RunFolder, stopped: bool) -> dict[str, float]:
    """Test a run right after its training: its best weights, or without validation the last; return ``test/…`` by name.

    One that has collapsed before its first validation has no weights worth a test.
    """
    step = parts.trainer.global_step
    if parts.best.step is not None:
        step = load_weights(read_checkpoint(folder.best), parts.trainer, parts.model)
    elif stopped:
        return {}
    if parts.tensorboard:
        # Lightning's own logging of a test knows no step.
        parts.trainer.loggers = []
    measured = parts.trainer.test(parts.model, datamodule=parts.data, weights_only=True, verbose=False)
    metrics = {name: float(value) for name, value in measured[0].items()} if measured else {}
    if metrics and parts.tensorboard and parts.trainer.is_global_zero:
        write_test_metrics(folder.path, metrics, step)
    return metrics


def _add_result(parts: Parts, folder: RunFolder, command: str, checkpoint: Path, metrics: Any) -> bool:
    """Write figures into the run if they are the run's own; return whether they were."""
    if not metrics or not metrics[0]:
        raise UserError(f"{command} has measured nothing: the limits of the trainer leave no batch")
    if not parts.trainer.is_global_zero:
        return False
    figures = without_split(metrics[0], "val" if command == "validate" else command)
    if parts.rehearsal or not _is_own(parts, folder, checkpoint):
        print_metrics({f"{command} of {checkpoint}": figures})
        return False
    name = command if checkpoint.stem == "best" else f"{command} {checkpoint.stem}"
    try:
        folder.add_result(name, {"checkpoint": str(checkpoint), "metrics": figures})
    except OSError as error:
        # Whatever the disk says, what was measured is shown.
        print_metrics({f"{command} of {checkpoint}": figures})
        if error.errno not in FORBIDDEN:
            raise
        print_line(f"not written into {folder.path}: {error.strerror}")
        return False
    print_result(folder)
    return name == command


def _is_own(parts: Parts, folder: RunFolder, checkpoint: Path) -> bool:
    """Return whether what is measured now is what the run's own settings and weights give; say why not."""
    changed = changed_settings(folder.read_config(), parts.specification)
    trained_on = folder.result().get("fit", {}).get("data")
    # An image more draws another split, in which the run may have learned what is a test image now.
    if not changed and trained_on not in (None, parts.data.fingerprint):
        changed.append(OTHER_DATA)
    if checkpoint.resolve().parent != folder.checkpoints.resolve():
        changed.append("the checkpoint, which is not of this run")
    if changed:
        print_line(f"not written into {folder.path}: it differs in {', '.join(changed)}")
    return not changed
