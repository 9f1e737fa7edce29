"""What callbacks that draw images ask of the data module."""

from typing import Protocol, runtime_checkable

from pytorch_lightning import Trainer
from torch import Tensor


@runtime_checkable
class ImageData(Protocol):
    """A data module that names its classes and returns normalized images to pixels."""

    class_names: tuple[str, ...]

    def to_pixels(self, images: Tensor) -> Tensor:
        """Return normalized images ``(B, C, H, W)`` to pixels in [0, 1]."""


def image_data(trainer: Trainer, callback: str) -> ImageData:
    """Return the trainer's data module.

    Raises:
        ValueError: there is none, or one that cannot name classes or return pixels.
    """
    data: object = trainer.datamodule  # type: ignore[attr-defined]
    if not isinstance(data, ImageData):
        raise ValueError(
            f"{callback} needs a data module with class_names and to_pixels, as those of datamodules are; "
            f"got {type(data).__name__}"
        )
    return data
