"""The basic convolutional network of the Malicious Dropout study.

Source: J. Maris, I. Pashayev, *Improving Generalization of Feed-Forward Classifiers with Malicious Dropout*, §4.3.
"""

from collections.abc import Sequence
from typing import final

from torch import nn

from dropout_lab.models.dropout import DropoutFactory, NoDropout
from dropout_lab.models.dropout.base import check_count
from dropout_lab.models.networks.base import Head, ImageShape, Network, check_image_shape, dropout_places


@final
class MalDropCNN(Network):
    """Conv 10@3×3 – ReLU – BN – Conv 1@3×3 – ReLU – dropout – affine, with padding 1.

    Its penultimate layer has as many units as the image has pixels: the paper's 4,096 come from 64×64. With more
    ``channels`` the dropout place is over that many feature maps, and a variant that drops channels has some to choose
    from, as §6 wishes.

    Args:
        image_shape: channels, height, width.
        dropout: makes the layer before the affine one.
        rates: p of the one place; None leaves the layer its own.
        channels: of the second convolution, 1 in the source.
    """

    def __init__(
        self,
        image_shape: ImageShape = (1, 64, 64),
        num_classes: int = 10,
        dropout: DropoutFactory = NoDropout,
        rates: Sequence[float] | None = None,
        channels: int = 1,
    ) -> None:
        check_image_shape("MalDropCNN", image_shape, smallest=1)
        check_count("channels", channels, least=1)
        (layer,) = dropout_places(dropout, 1, rates)
        colors, height, width = image_shape
        body = nn.Sequential(nn.Conv2d(colors, 10, 3, padding=1), nn.ReLU(), nn.BatchNorm2d(10))
        stage = layer.join(nn.Conv2d(10, channels, 3, padding=1), nn.ReLU())
        head = Head(stage, nn.Linear(channels * height * width, num_classes))
        super().__init__(image_shape, num_classes, body, head)
