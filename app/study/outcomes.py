"""Which test images a run has classified correctly, as a small file: what an interval over test images is made of."""

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, final

import numpy as np
from numpy.typing import NDArray
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor

from dropout_lab.app.records import damaged
from dropout_lab.callbacks.ranks import gathered
from dropout_lab.datamodules import ImageDataModule
from dropout_lab.ground import whole_file


class Outcomes(NamedTuple):
    """Test images of a run, and whether each was classified correctly."""

    images: NDArray[np.uint32]
    """``(N,)``, CRC-32 of the pixels as stored: the same image has the same number in every split and run."""
    right: NDArray[np.bool_]
    """``(N,)``."""


@final
class OutcomeFile(Callback):
    """Writes the :class:`Outcomes` of a test; the file is NumPy's, compressed, and written as a whole.

    Args:
        file: where to write; its folder is there.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self._right: list[Tensor] = []

    def on_test_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._right = []

    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Tensor | Mapping[str, Any] | None,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        assert isinstance(outputs, Mapping), "ImageClassifier's steps return loss and logits"
        self._right.append(outputs["logits"].argmax(dim=1) == batch[1])

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # Lightning deals the images of a test out in turn, and draws none twice.
        parts = gathered([value for part in self._right for value in part.tolist()])
        self._right = []
        if not trainer.is_global_zero:
            return
        data: ImageDataModule = trainer.datamodule  # type: ignore[attr-defined]
        right = np.empty(sum(map(len, parts)), dtype=np.bool_)
        for rank, part in enumerate(parts):
            right[rank :: len(parts)] = part
        test = data.splits.test
        images = [zlib.crc32(image) for chunk in test.chunks() for image in chunk.cpu().numpy()]
        with whole_file(self.file, "wb") as stream:
            np.savez_compressed(stream, images=np.array(images[: len(right)], dtype=np.uint32), right=right)


def read_outcomes(file: Path, remedy: str) -> Outcomes:
    """Read what :class:`OutcomeFile` has written; UserError if the file is damaged."""
    try:
        with np.load(file, allow_pickle=False) as arrays:
            found = Outcomes(arrays["images"], arrays["right"])
        if found.images.dtype != np.uint32 or found.right.dtype != np.bool_:
            raise ValueError(f"images and right are {found.images.dtype} and {found.right.dtype}")
        if found.images.ndim != 1 or found.images.shape != found.right.shape:
            raise ValueError(f"images and right have the shapes {found.images.shape} and {found.right.shape}")
    except (KeyError, OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise damaged(file, error, remedy) from error
    return found
