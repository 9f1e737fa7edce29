"""What the network gets right, and what it takes for something else."""

from collections.abc import Mapping
from typing import Any, final

import torch
from matplotlib.figure import Figure
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor

from callbacks.figures import panel_figure
from callbacks.image_data import ImageData, image_data
from callbacks.stages import due
from callbacks.tensorboard import summary_writers


@final
class PredictionPanels(Callback):
    """Draws validation images that are classified correctly and wrongly, as stored and as normalized.

    Above each image stands its true class, below it the prediction and its probability. They are the first of
    each kind in the split, so that one can follow an image over the epochs; of several processes, the first one's.

    Source: H. Lerner, *Drop-in: An Attempted Dropout Variation*, Figs 8-11.

    Args:
        images: how many of each kind to show at most.
        every_n_epochs: epochs from one figure to the next; the last epoch is always drawn.

    Raises:
        ValueError: an argument is below 1.
    """

    def __init__(self, images: int = 10, every_n_epochs: int = 1) -> None:
        """Start without images."""
        if min(images, every_n_epochs) < 1:
            raise ValueError(
                f"images and every_n_epochs must be 1 or more, got {images} and {every_n_epochs}"
            )
        self.images = images
        self.every_n_epochs = every_n_epochs
        self.right = Examples(images)
        self.wrong = Examples(images)

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget the validation before."""
        self.right, self.wrong = Examples(self.images), Examples(self.images)

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Tensor | Mapping[str, Any] | None,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Take what is still wanted of a batch."""
        wanted = due(trainer, self.every_n_epochs) and summary_writers(trainer)
        if not wanted or (self.right.full and self.wrong.full):
            return
        assert isinstance(outputs, Mapping), "ImageClassifier's steps return loss and logits"
        images, target = batch
        highest = outputs["logits"].softmax(dim=1).max(dim=1)
        is_right = highest.indices == target
        for examples, chosen in ((self.right, is_right), (self.wrong, ~is_right)):
            examples.add(images[chosen], target[chosen], highest.indices[chosen], highest.values[chosen])

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw."""
        if not due(trainer, self.every_n_epochs):
            return
        for writer in summary_writers(trainer):
            data = image_data(trainer, type(self).__name__)
            for kind, examples in (("right", self.right), ("wrong", self.wrong)):
                if examples.count:
                    figure = examples.figure(data, f"{kind} after epoch {trainer.current_epoch + 1}")
                    writer.add_figure(f"predictions/{kind}", figure, trainer.global_step, close=False)


@final
class Examples:
    """The first images of one kind, and what was said of them."""

    def __init__(self, most: int) -> None:
        """Start empty."""
        self.most = most
        self.count = 0
        self.parts: list[tuple[Tensor, ...]] = []

    @property
    def full(self) -> bool:
        """Whether no more are wanted."""
        return self.count >= self.most

    def add(self, images: Tensor, target: Tensor, predicted: Tensor, probability: Tensor) -> None:
        """Take the images of a batch, as far as there is room."""
        room = self.most - self.count
        if room > 0 and len(images):
            self.parts.append(tuple(part[:room].cpu() for part in (images, target, predicted, probability)))
            self.count += len(self.parts[-1][0])

    def figure(self, data: ImageData, title: str) -> Figure:
        """Draw them."""
        images, target, predicted, probability = (torch.cat(part) for part in zip(*self.parts, strict=True))
        images = images.float()
        low, high = images.amin(dim=(1, 2, 3), keepdim=True), images.amax(dim=(1, 2, 3), keepdim=True)
        return panel_figure(
            [
                ("as stored", data.to_pixels(images)),
                ("normalized", (images - low) / (high - low).clamp(min=1e-12)),
            ],
            [data.class_names[label] for label in target],
            [
                f"{data.class_names[label]}\n{share:.0%}"
                for label, share in zip(predicted, probability, strict=True)
            ],
            title,
        )
