"""The curves of a run as a small CSV file, for who compares many runs."""

import csv
from pathlib import Path
from typing import Any, ClassVar

import torch
from pytorch_lightning import Callback, LightningModule, Trainer

from dropout_lab.callbacks.ranks import is_first_rank, validates_fit
from dropout_lab.callbacks.timing import seconds
from dropout_lab.ground import whole_file

FIRST = ("epoch", "step", "seconds", "train/loss", "train/accuracy", "val/loss", "val/accuracy")


class EpochTable(Callback):
    """Writes a row for each epoch, and one for each validation within an epoch.

    Columns: ``epoch``, counted from 0 as Lightning does; ``step``, of the optimizer; ``seconds`` since the first
    training step began; then every metric of an epoch by its name. A validation within an epoch leaves ``train/…``
    empty. The file is replaced as a whole at each row, so that whoever reads it finds whole rows. Of several processes
    the first writes. ``train_seconds`` are those of the fit without its validations, ``seconds`` those before it was
    resumed, with them.
    """

    PROGRESS: ClassVar = {"rows", "row", "epoch_ended", "train_seconds", "seconds"}

    def __init__(self, file: Path) -> None:
        self.file = file
        self.train_seconds = 0.0
        self.seconds = 0.0
        self._rows: list[dict[str, float]] = []
        self._row: dict[str, float] = {}
        self._epoch_ended = False
        self._start = 0.0
        self._training_since: float | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._training_since = seconds(pl_module.device)
        self._start = self._training_since - self.seconds

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # The module logs an epoch's training metrics after this callback's last hook in it.
        self._finish(trainer)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if validates_fit(trainer):
            self._stop_clock(pl_module)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if validates_fit(trainer):
            self._begin(trainer, pl_module)
            self._add(trainer, "train/")
            self._training_since = seconds(pl_module.device)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not self._row or self._row["step"] != trainer.global_step:
            self._begin(trainer, pl_module)
        self._epoch_ended = True

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._stop_clock(pl_module)
        self._finish(trainer)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self._stop_clock(pl_module)
        self._end_row()

    def progress(self, device: torch.device) -> dict[str, Any]:
        """Return all that was seen, for a run that is resumed."""
        now = seconds(device)
        since = now if self._training_since is None else self._training_since
        return {
            "rows": [dict(row) for row in self._rows],
            "row": dict(self._row),
            "epoch_ended": self._epoch_ended,
            "train_seconds": self.train_seconds + now - since,
            "seconds": now - self._start,
        }

    def resume(self, progress: dict[str, Any]) -> None:
        """Take up what :meth:`progress` has returned."""
        self._rows = [dict(row) for row in progress["rows"]]
        self._row, self._epoch_ended = dict(progress["row"]), progress["epoch_ended"]
        self.train_seconds, self.seconds = progress["train_seconds"], progress["seconds"]

    def write(self) -> None:
        """Write the rows that are complete."""
        names = {name for row in self._rows for name in row}
        columns = [name for name in FIRST if name in names] + sorted(names - set(FIRST))
        if not columns:
            return
        with whole_file(self.file) as stream:
            writer = csv.DictWriter(stream, columns, lineterminator="\n")
            writer.writeheader()
            writer.writerows(self._rows)

    def _begin(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._end_row()
        self._row = {
            "epoch": trainer.current_epoch,
            "step": trainer.global_step,
            "seconds": seconds(pl_module.device) - self._start,
        }

    def _finish(self, trainer: Trainer) -> None:
        if self._epoch_ended:
            self._add(trainer, "val/")
            self._end_row()

    def _add(self, trainer: Trainer, without: str) -> None:
        self._row |= {
            name: float(value)
            for name, value in trainer.callback_metrics.items()
            if not name.startswith(without) and not name.endswith("_step")
        }

    def _end_row(self) -> None:
        if self._row:
            self._rows.append(self._row)
            self._row, self._epoch_ended = {}, False
            if is_first_rank():
                self.write()

    def _stop_clock(self, pl_module: LightningModule) -> None:
        if self._training_since is not None:
            self.train_seconds += seconds(pl_module.device) - self._training_since
            self._training_since = None
