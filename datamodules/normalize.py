"""The sources' ways to normalize images, each a shift and a scale taken from the train split alone."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, final

import torch
from torch import Tensor

from dropout_lab.datamodules.batches import Images

NormalizationName = Literal["standard", "mean-255", "mean-scalar-255", "mean-image", "none"]


@final
@dataclass(frozen=True)
class Normalization:
    """x ↦ (x − shift) / scale, for pixels x on the scale 0 to 255.

    Shift and scale are float32, broadcastable to ``(C, H, W)``; where one does nothing its flag saves the work.
    """

    shift: Tensor
    scale: Tensor
    shifts: bool = True
    scales: bool = True

    def __call__(self, pixels: Tensor) -> Tensor:
        """Normalize ``(…, C, H, W)`` uint8 to float32."""
        # One conversion, then in place: subtracting uint8 from float32 converts on the way, bit by bit, and is slower.
        # Keeping the normalized split instead would take four times the memory and gather four times the bytes, which
        # takes as long as this.
        images = pixels.to(torch.float32, copy=True)
        if self.shifts:
            images.sub_(self.shift)
        if self.scales:
            images.div_(self.scale)
        return images

    def to(self, device: torch.device) -> "Normalization":
        return replace(self, shift=self.shift.to(device), scale=self.scale.to(device))

    def inverse(self, images: Tensor) -> Tensor:
        """Return normalized images to pixels in [0, 1], to look at."""
        shift, scale = self.shift.to(images.device), self.scale.to(images.device)
        return (images * scale + shift).div(255).clamp(0, 1)


def channel_statistics(images: Images) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation of each channel, ``(C, 1, 1)`` float64, exactly: from histograms."""
    counts = torch.zeros(images.pixels.shape[1], 256, dtype=torch.float64)
    for chunk in images.chunks():
        for channel, counted in enumerate(counts):
            counted += torch.bincount(chunk[:, channel].flatten(), minlength=256)
    values, total = torch.arange(256, dtype=torch.float64), counts.sum(dim=1, keepdim=True)
    means = (counts * values).sum(dim=1, keepdim=True) / total
    variances = (counts * (values - means) ** 2).sum(dim=1, keepdim=True) / total
    return means.unsqueeze(2), variances.sqrt().unsqueeze(2)


def standard(images: Images) -> Normalization:
    """(x − mean) / standard deviation, both per channel."""
    mean, deviation = channel_statistics(images)
    # A channel of one value carries nothing: it becomes 0, not 0/0.
    deviation[deviation == 0] = 1
    return Normalization(mean.float(), deviation.float())


def mean_255(images: Images) -> Normalization:
    """(x − mean) / 255, the mean per channel (Casallas, DropAlan)."""
    mean, _ = channel_statistics(images)
    return Normalization(mean.float(), torch.tensor(255.0))


def mean_scalar_255(images: Images) -> Normalization:
    """(x − m) / 255, m one mean over all pixels and channels (Casallas, DropAlan, as the published code runs).

    Departure: the code takes the mean of the first 1,000 images of MNIST and of the first 10,000 of CIFAR-10; here it
    is that of the train split.
    """
    mean, _ = channel_statistics(images)
    return Normalization(mean.mean().float(), torch.tensor(255.0))


def mean_image(images: Images) -> Normalization:
    """x − mean image, left on the scale 0 to 255 (Lerner, Drop-in; CS 6353)."""
    total = torch.stack([chunk.sum(dim=0, dtype=torch.int64) for chunk in images.chunks()]).sum(dim=0)
    mean = total.double() / len(images.labels)
    return Normalization(mean.float(), torch.tensor(1.0), scales=False)


def unit_interval(images: Images) -> Normalization:
    """x / 255: no statistics, values in [0, 1]."""
    return Normalization(torch.tensor(0.0), torch.tensor(255.0), shifts=False)


NORMALIZATIONS: dict[str, Callable[[Images], Normalization]] = {
    "standard": standard,
    "mean-255": mean_255,
    "mean-scalar-255": mean_scalar_255,
    "mean-image": mean_image,
    "none": unit_interval,
}
"""By name: from the train split to a normalization."""
