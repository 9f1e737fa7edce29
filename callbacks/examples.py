"""Images that the network gets right and wrong: chosen, kept, returned to pixels."""

from dataclasses import dataclass
from typing import Protocol, final, runtime_checkable

import torch
from matplotlib.figure import Figure
from pytorch_lightning import Trainer
from torch import Tensor

from dropout_lab.callbacks.figures import panel_figure


@runtime_checkable
class ImageData(Protocol):
    """A data module that names its classes and returns normalized images to pixels."""

    class_names: tuple[str, ...]

    def to_pixels(self, images: Tensor) -> Tensor:
        """Return normalized images ``(B, C, H, W)`` to pixels in [0, 1]."""


def image_data(trainer: Trainer, callback: str) -> ImageData:
    """Return the trainer's data module, which a callback needs to name classes and return pixels."""
    data: object = trainer.datamodule  # type: ignore[attr-defined]
    if not isinstance(data, ImageData):
        raise ValueError(
            f"{callback} needs a data module with class_names and to_pixels, as those of datamodules are; "
            f"got {type(data).__name__}"
        )
    return data


@final
@dataclass(frozen=True)
class Taken:
    """Images of one kind, as they are looked at: labels, and the probability of the predicted ones."""

    stored: Tensor
    """As stored, ``(N, C, H, W)``, within [0, 1]."""
    normalized: Tensor
    """As the network sees them, each stretched to [0, 1]."""
    target: Tensor
    predicted: Tensor
    probability: Tensor
    class_names: tuple[str, ...]

    def figure(self, title: str) -> Figure:
        said = zip(self.predicted, self.probability, strict=True)
        return panel_figure(
            [("as stored", self.stored), ("normalized", self.normalized)],
            [self.class_names[label] for label in self.target],
            [f"{self.class_names[label]}\n{share:.0%}" for label, share in said],
            title,
        )


@final
class Examples:
    """The first images of one kind, and what was said of them."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.count = 0
        self.parts: list[tuple[Tensor, ...]] = []

    def add(self, images: Tensor, target: Tensor, predicted: Tensor, probability: Tensor) -> None:
        room = self.most - self.count
        if room > 0 and len(images):
            self.parts.append(tuple(part[:room].cpu() for part in (images, target, predicted, probability)))
            self.count += len(self.parts[-1][0])

    def taken(self, data: ImageData) -> Taken:
        """Return them, one or more, as they are looked at."""
        images, target, predicted, probability = (torch.cat(part) for part in zip(*self.parts, strict=True))
        images = images.float()
        low, high = images.amin(dim=(1, 2, 3), keepdim=True), images.amax(dim=(1, 2, 3), keepdim=True)
        normalized = (images - low) / (high - low).clamp(min=1e-12)
        return Taken(data.to_pixels(images), normalized, target, predicted, probability, data.class_names)


@final
class RightAndWrong:
    """The first images that were classified correctly, and as many that were not."""

    def __init__(self, most: int) -> None:
        self.kinds = {"right": Examples(most), "wrong": Examples(most)}

    @property
    def full(self) -> bool:
        return all(examples.count >= examples.most for examples in self.kinds.values())

    def add(self, logits: Tensor, images: Tensor, target: Tensor) -> None:
        highest = logits.softmax(dim=1).max(dim=1)
        is_right = highest.indices == target
        for examples, chosen in zip(self.kinds.values(), (is_right, ~is_right), strict=True):
            examples.add(images[chosen], target[chosen], highest.indices[chosen], highest.values[chosen])
