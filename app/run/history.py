"""The curves of a fit as a small CSV file, for who compares many fits."""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor

from dropout_lab.app.files import whole_file
from dropout_lab.callbacks.examples import RightAndWrong, image_data
from dropout_lab.callbacks.figures import channels_last
from dropout_lab.callbacks.ranks import is_first_rank, validates_fit
from dropout_lab.callbacks.timing import seconds

FIRST = ("epoch", "step", "seconds", "train/loss", "train/accuracy", "val/loss", "val/accuracy")


@final
class EpochTable(Callback):
    """Writes a row for each epoch, and one for each validation within an epoch.

    Columns: ``epoch``, counted from 0 as Lightning does; ``step``, of the optimizer; ``seconds`` since the first
    training step began; then every metric of an epoch by its name. A validation within an epoch leaves ``train/…``
    empty. The file is replaced as a whole at each row, so that whoever reads it finds whole rows. Of several processes
    the first writes.

    Args:
        file: where to write; its folder is there.

    Attributes:
        train_seconds: of the fit, without its validations.
    """

    def __init__(self, file: Path) -> None:
        """Start with no row."""
        self.file = file
        self.train_seconds = 0.0
        self._rows: list[dict[str, float]] = []
        self._row: dict[str, float] = {}
        self._epoch_ended = False
        self._start = 0.0
        self._training_since: float | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clocks."""
        self._start = self._training_since = seconds(pl_module.device)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Finish the row of the epoch before: the module logs its training metrics after this callback's last hook."""
        self._finish(trainer)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop the clock of training."""
        if validates_fit(trainer):
            self._stop_clock(pl_module)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start a row with what the validation has measured."""
        if validates_fit(trainer):
            self._begin(trainer, pl_module)
            self._add(trainer, "train/")
            self._training_since = seconds(pl_module.device)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start a row, if no validation has just done so."""
        if not self._row or self._row["step"] != trainer.global_step:
            self._begin(trainer, pl_module)
        self._epoch_ended = True

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Finish the last row."""
        self._stop_clock(pl_module)
        self._finish(trainer)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Write what there is."""
        self._stop_clock(pl_module)
        self._write()

    def _begin(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._write()
        self._row = {
            "epoch": trainer.current_epoch,
            "step": trainer.global_step,
            "seconds": seconds(pl_module.device) - self._start,
        }

    def _finish(self, trainer: Trainer) -> None:
        if self._epoch_ended:
            self._add(trainer, "val/")
            self._write()

    def _add(self, trainer: Trainer, without: str) -> None:
        self._row |= {
            name: float(value)
            for name, value in trainer.callback_metrics.items()
            if not name.startswith(without) and not name.endswith("_step")
        }

    def _write(self) -> None:
        if not self._row:
            return
        self._rows.append(self._row)
        self._row, self._epoch_ended = {}, False
        names = {name for row in self._rows for name in row}
        columns = [name for name in FIRST if name in names] + sorted(names - set(FIRST))
        if not is_first_rank():
            return
        with whole_file(self.file) as stream:
            writer = csv.DictWriter(stream, columns, lineterminator="\n")
            writer.writeheader()
            writer.writerows(self._rows)

    def _stop_clock(self, pl_module: LightningModule) -> None:
        if self._training_since is not None:
            self.train_seconds += seconds(pl_module.device) - self._training_since
            self._training_since = None


@final
class PanelFile(Callback):
    """Writes the first test images that are classified correctly and wrongly, and what was said of them.

    For each kind, ``right`` and ``wrong``, as far as there are such images: ``<kind>/stored`` and
    ``<kind>/normalized``, uint8 ``(N, H, W, C)``; ``<kind>/target`` and ``<kind>/predicted``, labels;
    ``<kind>/probability`` of the prediction. ``class_names`` are by label. The file is NumPy's, compressed, and
    written as a whole. It looks at what the test computes, and changes nothing of it.

    Args:
        file: where to write; its folder is there.
        images: how many of each kind at most.
    """

    def __init__(self, file: Path, images: int) -> None:
        """Start without images."""
        self.file = file
        self.images = images
        self.examples = RightAndWrong(images)

    def on_test_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget the test before."""
        self.examples = RightAndWrong(self.images)

    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Tensor | Mapping[str, Any] | None,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Take what is still wanted of a batch."""
        if not self.examples.full:
            assert isinstance(outputs, Mapping), "ImageClassifier's steps return loss and logits"
            self.examples.add(outputs["logits"], *batch)

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write; of several processes the first one's."""
        if not trainer.is_global_zero:
            return
        data = image_data(trainer, type(self).__name__)
        arrays: dict[str, NDArray[Any]] = {"class_names": np.array(data.class_names)}
        for kind, examples in self.examples.kinds().items():
            if examples.count:
                taken = examples.taken(data)
                arrays |= {
                    f"{kind}/stored": _bytes(taken.stored),
                    f"{kind}/normalized": _bytes(taken.normalized),
                    f"{kind}/target": taken.target.numpy(),
                    f"{kind}/predicted": taken.predicted.numpy(),
                    f"{kind}/probability": taken.probability.float().numpy(),
                }
        with whole_file(self.file, "wb") as stream:
            np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]  # its last argument is a flag


def _bytes(images: Tensor) -> NDArray[np.uint8]:
    rounded: NDArray[np.uint8] = np.rint(255 * channels_last(images)).astype(np.uint8)
    return rounded
