"""Augmentation of whole uint8 batches, each sample by a draw of its own."""

import math
from collections.abc import Callable, Sequence
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
    """Pad with zeros and crop back at a random place: each image moves by up to ``padding`` pixels, 1 or more."""

    padding: int

    def __call__(self, pixels: Tensor) -> Tensor:
        """Shift each image by whole pixels, uniform over the (2·padding + 1)² places."""
        batch, channels, height, width = pixels.shape
        padded = F.pad(pixels, (self.padding,) * 4).contiguous()
        rows, columns = padded.shape[2:]
        plane = rows * columns
        top, left = torch.randint(2 * self.padding + 1, (2, batch), device=pixels.device)
        # Every window of the padded batch as a view, by where its first pixel is: choosing among them copies rows of
        # pixels, where an index for each pixel takes twenty times longer.
        reach = (channels - 1) * plane + (height - 1) * columns + width
        windows = padded.as_strided(
            (padded.numel() - reach + 1, channels, height, width), (1, plane, columns, 1)
        )
        image = torch.arange(batch, device=pixels.device) * (channels * plane)
        return windows.index_select(0, image + top * columns + left)


@final
@dataclass(frozen=True)
class RandomFlip:
    """Mirror each image left to right with probability 1/2.

    With ``vertical`` top to bottom as well, with a probability 1/2 of its own: for images without an up.
    """

    vertical: bool = False

    def __call__(self, pixels: Tensor) -> Tensor:
        for dimension in (-1, -2) if self.vertical else (-1,):
            flip = torch.rand(len(pixels), device=pixels.device) < 0.5
            pixels = chosen((pixels, pixels.flip(dimension)), flip)
        return pixels


@final
@dataclass(frozen=True)
class RandomResizedCrop:
    """Enlarge a random part of each image to the whole, bilinear.

    The part's share of the area is uniform over ``scale``, the logarithm of its width by height uniform over that of
    ``ratio``, its place uniform (C. Szegedy et al., *Going Deeper with Convolutions*, 2015, arXiv:1409.4842, section 6;
    torchvision's ``RandomResizedCrop``). Departures: edges are not rounded to whole pixels; where a draw is wider or
    higher than the image that side is cut to the image's, where torchvision draws again.

    Attributes:
        scale: least and greatest share of the area, in (0, 1].
        ratio: least and greatest width by height, relative to the image's.
    """

    scale: tuple[float, float] = (0.5, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)

    def __post_init__(self) -> None:
        if not 0 < self.scale[0] <= self.scale[1] <= 1:
            raise ValueError(f"scale must be two shares in (0, 1], the smaller first, got {self.scale}")
        if not 0 < self.ratio[0] <= self.ratio[1]:
            raise ValueError(f"ratio must be two positive numbers, the smaller first, got {self.ratio}")

    def __call__(self, pixels: Tensor) -> Tensor:
        batch, _, *lengths = pixels.shape
        area = torch.empty(batch, device=pixels.device).uniform_(*self.scale)
        shape = torch.empty(batch, device=pixels.device)
        ratio = shape.uniform_(math.log(self.ratio[0]), math.log(self.ratio[1])).exp()
        shares = torch.stack((area / ratio, area * ratio)).sqrt().clamp(max=1)
        places = torch.rand(2, batch, device=pixels.device)
        # Numbers, not a tensor of them, which would have to be brought to the device.
        sides = torch.stack([share * length for share, length in zip(shares, lengths, strict=True)])
        free = torch.stack([length - side for side, length in zip(sides, lengths, strict=True)])
        starts = places * free
        return resized_crops(pixels, starts, sides)


def chosen(versions: Sequence[Tensor], choice: Tensor) -> Tensor:
    """Take sample i of a batch ``(B, C, H, W)`` from version ``choice[i]`` of it: whole samples are copied, once."""
    samples = torch.arange(len(choice), device=choice.device)
    return torch.cat(list(versions)).index_select(0, samples + len(choice) * choice)


def resized_crops(pixels: Tensor, starts: Tensor, sides: Tensor) -> Tensor:
    """Enlarge a part of each image to the whole, bilinear, as ``resized_crop`` of torchvision does one by one.

    ``pixels``: ``(B, C, H, W)`` uint8. ``starts`` and ``sides``: ``(2, B)``, top and left, height and width of the
    parts in pixels, whole or not.
    """
    batch, _, height, width = pixels.shape
    axes = []
    for start, side, length in zip(starts, sides, (height, width), strict=True):
        inside = (torch.arange(length, device=pixels.device) + 0.5) * (side / length).unsqueeze(1) - 0.5
        # Nothing shines in from beyond the part's edge.
        inside = torch.minimum(inside.clamp(min=0), (side - 1).clamp(min=0).unsqueeze(1))
        axes.append((start.unsqueeze(1) + inside + 0.5) * (2 / length) - 1)
    rows, columns = axes
    shape = (batch, height, width)
    grid = torch.stack((columns.unsqueeze(1).expand(shape), rows.unsqueeze(2).expand(shape)), dim=3)
    enlarged = F.grid_sample(
        pixels.float(), grid, mode="bilinear", padding_mode="border", align_corners=False
    )
    return enlarged.round_().to(torch.uint8)
