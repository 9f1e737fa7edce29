"""The two convolutional networks of Gavier's study.

Source: I. M. Gavier, *Activation Dropout, Inverse Dropout and Correlated Dropout*, §4. Every convolution is
3×3 with padding 1, which alone gives the printed 6,272 and 2,048 features.
"""

from collections.abc import Sequence
from typing import final

from torch import nn

from dropout_lab.models.dropout import Dropout, DropoutFactory, StandardDropout
from dropout_lab.models.networks.base import Head, ImageShape, Network, check_image_shape, dropout_places


@final
class GavierMNIST(Network):
    """Conv 16 – ReLU – Conv 32 – ReLU – Pool – {FC 1000 – ReLU – dropout} × 2 – affine.

    6,272 features come from 28×28 images.

    Args:
        image_shape: channels, height, width; even and at least 2×2.
        dropout: makes the layer for each of the two places; None is the source's network:
            ``StandardDropout`` at its rates, 0.2 and 0.2.
        rates: p of each place; None leaves each layer its own.
    """

    def __init__(
        self,
        image_shape: ImageShape = (1, 28, 28),
        num_classes: int = 10,
        dropout: DropoutFactory | None = None,
        rates: Sequence[float] | None = None,
    ) -> None:
        check_image_shape("GavierMNIST", image_shape, smallest=2, even=2)
        first, second = _places(dropout, rates, own=(0.2, 0.2))
        channels, height, width = image_shape
        features = 32 * (height // 2) * (width // 2)
        convolutions = [nn.Conv2d(channels, 16, 3, padding=1), nn.ReLU()]
        convolutions += [nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()]
        body = nn.Sequential(*convolutions, first.join(nn.Linear(features, 1000), nn.ReLU()))
        head = Head(second.join(nn.Linear(1000, 1000), nn.ReLU()), nn.Linear(1000, num_classes))
        super().__init__(image_shape, num_classes, body, head)


@final
class GavierCIFAR(Network):
    """Three blocks {Conv – ReLU – BN} × 2 – Pool – dropout of 32, 64, 128 channels, then FC 256 twice.

    2,048 features come from 32×32 images. Five dropout places, three after a pool and two after a hidden ReLU.

    Args:
        image_shape: channels, height, width; multiples of 8.
        dropout: makes the layer for each of the five places; None is the source's network:
            ``StandardDropout`` at its rates, 0.2, 0.3, 0.4, 0.5, 0.5.
        rates: p of each place; None leaves each layer its own.
    """

    def __init__(
        self,
        image_shape: ImageShape = (3, 32, 32),
        num_classes: int = 10,
        dropout: DropoutFactory | None = None,
        rates: Sequence[float] | None = None,
    ) -> None:
        check_image_shape("GavierCIFAR", image_shape, smallest=8, even=8)
        *after_pool, fourth, fifth = _places(dropout, rates, own=(0.2, 0.3, 0.4, 0.5, 0.5))
        channels, height, width = image_shape
        blocks: list[nn.Module] = []
        for outputs, layer in zip((32, 64, 128), after_pool, strict=True):
            for inputs in (channels, outputs):
                blocks += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(), nn.BatchNorm2d(outputs)]
            blocks += [nn.MaxPool2d(2), layer.alone("a pooling layer")]
            channels = outputs
        features = 128 * (height // 8) * (width // 8)
        body = nn.Sequential(*blocks, nn.Flatten(), fourth.join(nn.Linear(features, 256), nn.ReLU()))
        head = Head(fifth.join(nn.Linear(256, 256), nn.ReLU()), nn.Linear(256, num_classes))
        super().__init__(image_shape, num_classes, body, head)


def _places(
    dropout: DropoutFactory | None, rates: Sequence[float] | None, own: Sequence[float]
) -> list[Dropout]:
    if dropout is None:
        dropout, rates = StandardDropout, own if rates is None else rates
    return dropout_places(dropout, len(own), rates)
