"""Shows in TensorBoard what the network is fed."""

from collections.abc import Callable
from typing import Any, final

from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor
from torchvision.utils import make_grid

from callbacks.tensorboard import summary_writers


@final
class FirstBatch(Callback):
    """Draws the first training batch as two image grids: as stored, and as normalized for the network.

    Args:
        to_pixels: returns normalized images ``(B, C, H, W)`` to pixels in [0, 1].
        images: how many to show at most.
    """

    def __init__(self, to_pixels: Callable[[Tensor], Tensor], images: int = 64) -> None:
        """Keep the arguments; drawing waits for the batch."""
        self.to_pixels = to_pixels
        self.images = images
        self._drawn = False

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Draw the first batch, once."""
        if self._drawn:
            return
        self._drawn = True
        images = batch[0][: self.images].float().cpu()
        for writer in summary_writers(trainer):
            writer.add_image("first batch/as stored", make_grid(self.to_pixels(images)), trainer.global_step)
            seen = make_grid(images, normalize=True, scale_each=True)
            writer.add_image("first batch/as the network sees it", seen, trainer.global_step)
