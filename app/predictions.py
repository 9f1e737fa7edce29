"""Writes predictions to a CSV file."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any, final

import torch
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import BasePredictionWriter

from app.whole_file import whole_file
from callbacks.ranks import gathered

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
