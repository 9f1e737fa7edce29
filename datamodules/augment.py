"""Augmentation of whole uint8 batches, each sample by a draw of its own."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor

Augmentation = Callable[[Tensor], Tensor]
"""``(B, C, H, W)`` uint8 to the same shape and type."""


@final
@dataclass(frozen=True)
class RandomShift:
    """Pad with zeros and crop back at a random place: each image moves by up to ``padding`` pixels.

    Attributes:
        padding: pixels, 1 or more.
    """

    padding: int

    def __call__(self, pixels: Tensor) -> Tensor:
        """Shift each image by whole pixels, uniform over the (2·padding + 1)² places."""
        batch, channels, height, width = pixels.shape
        padded = F.pad(pixels, (self.padding,) * 4)
        top, left = torch.randint(2 * self.padding + 1, (2, batch, 1))
        rows = (top + torch.arange(height)).view(batch, 1, height, 1)
        columns = (left + torch.arange(width)).view(batch, 1, 1, width)
        samples = torch.arange(batch).view(batch, 1, 1, 1)
        return padded[samples, torch.arange(channels).view(1, channels, 1, 1), rows, columns]


@final
@dataclass(frozen=True)
class RandomFlip:
    """Mirror each image left to right with probability 1/2."""

    def __call__(self, pixels: Tensor) -> Tensor:
        """Mirror some of the images."""
        flip = torch.rand(len(pixels)) < 0.5
        return torch.where(flip.view(-1, 1, 1, 1), pixels.flip(-1), pixels)


@final
@dataclass(frozen=True)
class RandomVerticalFlip:
    """Turn each image upside down, as a mirror does, with probability 1/2."""

    def __call__(self, pixels: Tensor) -> Tensor:
        """Mirror some of the images."""
        flip = torch.rand(len(pixels)) < 0.5
        return torch.where(flip.view(-1, 1, 1, 1), pixels.flip(-2), pixels)


@final
@dataclass(frozen=True)
class InOrder:
    """Augmentations one after another."""

    steps: tuple[Augmentation, ...]

    def __call__(self, pixels: Tensor) -> Tensor:
        """Apply each step."""
        for step in self.steps:
            pixels = step(pixels)
        return pixels
