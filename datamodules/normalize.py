"""The sources' ways to normalize images, each a shift and a scale taken from the train split alone."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, final

import torch
from torch import Tensor

NormalizationName = Literal["standard", "mean-255", "mean-image", "none"]


@final
@dataclass(frozen=True)
class Normalization:
    """x ↦ (x − shift) / scale, for pixels x on the scale 0 to 255.

    Attributes:
        shift: broadcastable to ``(C, H, W)``, float32.
        scale: likewise, without a zero.
    """

    shift: Tensor
    scale: Tensor

    def __call__(self, pixels: Tensor) -> Tensor:
        """Normalize ``(…, C, H, W)`` uint8 to float32."""
        return (pixels - self.shift).div_(self.scale)

    def inverse(self, images: Tensor) -> Tensor:
        """Return normalized images to pixels in [0, 1], to look at."""
        shift, scale = self.shift.to(images.device), self.scale.to(images.device)
        return (images * scale + shift).div(255).clamp(0, 1)


def channel_statistics(pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation of each channel, ``(C, 1, 1)`` float64, exactly: from histograms."""
    values = torch.arange(256, dtype=torch.float64)
    means, deviations = [], []
    for channel in range(pixels.shape[1]):
        counts = sum(
            (torch.bincount(part[:, channel].flatten(), minlength=256) for part in torch.split(pixels, 4096)),
            torch.zeros(256, dtype=torch.int64),
        ).double()
        mean = (counts * values).sum() / counts.sum()
        means.append(mean)
        deviations.append(((counts * (values - mean) ** 2).sum() / counts.sum()).sqrt())
    return torch.stack(means).view(-1, 1, 1), torch.stack(deviations).view(-1, 1, 1)


def standard(pixels: Tensor) -> Normalization:
    """(x − mean) / standard deviation, both per channel."""
    mean, deviation = channel_statistics(pixels)
    # A channel of one value carries nothing: it becomes 0, not 0/0.
    deviation[deviation == 0] = 1
    return Normalization(mean.float(), deviation.float())


def mean_255(pixels: Tensor) -> Normalization:
    """(x − mean) / 255, the mean per channel (Casallas, DropAlan)."""
    mean, _ = channel_statistics(pixels)
    return Normalization(mean.float(), torch.tensor(255.0))


def mean_image(pixels: Tensor) -> Normalization:
    """x − mean image, left on the scale 0 to 255 (Lerner, Drop-in; CS 6353)."""
    mean = pixels.sum(dim=0, dtype=torch.int64).double() / len(pixels)
    return Normalization(mean.float(), torch.tensor(1.0))


def unit_interval(pixels: Tensor) -> Normalization:
    """x / 255: no statistics, values in [0, 1]."""
    return Normalization(torch.tensor(0.0), torch.tensor(255.0))


NORMALIZATIONS: dict[str, Callable[[Tensor], Normalization]] = {
    "standard": standard,
    "mean-255": mean_255,
    "mean-image": mean_image,
    "none": unit_interval,
}
"""By name: from the train split's pixels, ``(N, C, H, W)`` uint8, to a normalization."""
