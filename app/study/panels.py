"""Right and wrong test images of a run as a small file, for the report's panels."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor

from dropout_lab.callbacks.examples import RightAndWrong, image_data
from dropout_lab.callbacks.figures import channels_last
from dropout_lab.ground import whole_file


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
        self.file = file
        self.images = images
        self.examples = RightAndWrong(images)

    def on_test_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
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
        if not self.examples.full:
            assert isinstance(outputs, Mapping), "ImageClassifier's steps return loss and logits"
            self.examples.add(outputs["logits"], *batch)

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        data = image_data(trainer, type(self).__name__)
        arrays: dict[str, NDArray[Any]] = {"class_names": np.array(data.class_names)}
        for kind, examples in self.examples.kinds.items():
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
