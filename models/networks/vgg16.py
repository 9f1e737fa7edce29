"""VGG-16, the larger network of the Malicious Dropout study.

Source: K. Simonyan, A. Zisserman, *Very Deep Convolutional Networks for Large-Scale Image Recognition*, 2014
(arXiv 1409.1556), as torchvision has it; J. Maris, I. Pashayev, *Improving Generalization of Feed-Forward Classifiers
with Malicious Dropout*, §4.3, §5.3.
"""

from collections.abc import Sequence
from typing import Literal, final

from torch import nn

from dropout_lab.models.dropout import DropoutFactory, NoDropout
from dropout_lab.models.networks.base import Head, ImageShape, Network, check_image_shape, dropout_places
from dropout_lab.models.networks.published import as_rgb, published_model


@final
class VGG16(Network):
    """13 convolutions – pool to 7×7 – {Dense 4096 – ReLU – dropout} × 2 – affine, the first dropout left out.

    Layers and initialization are torchvision's. Its pool to 7×7 takes images of any size, and repeats where there is
    less: 32×32 images arrive as one pixel, 64×64 as four.

    Departure: torchvision also drops after the first dense layer. The study speaks of the penultimate layer alone,
    and does not say what became of the other; here it is gone, so that the networks compared differ in one place.
    ``places=2`` brings it back, as a place for the variant too.

    torchvision's weights expect images as :class:`~dropout_lab.models.networks.Backbone` says.

    Args:
        image_shape: channels, height, width; at least 32×32. Grey images are shown to all three channels.
        dropout: makes the layer for each place.
        rates: p of each place; None leaves each layer its own.
        places: 1, the penultimate layer; 2, after the first dense layer too.
        pretrained: start from torchvision's default weights (528 MB, fetched once), ImageNet's 1,000 classes.
        weights: start from these instead: ``IMAGENET1K_V1``, or a file with a state dict in torchvision's layout.
            The last layer is kept if it has ``num_classes`` outputs.
    """

    def __init__(
        self,
        image_shape: ImageShape = (3, 64, 64),
        num_classes: int = 200,
        dropout: DropoutFactory = NoDropout,
        rates: Sequence[float] | None = None,
        places: Literal[1, 2] = 1,
        pretrained: bool = False,
        weights: str | None = None,
    ) -> None:
        check_image_shape("VGG16", image_shape, smallest=32)
        if places not in (1, 2):
            raise ValueError(f"places must be 1 or 2, got {places}")
        rgb = as_rgb("VGG16", image_shape[0])
        *inner, penultimate = dropout_places(dropout, places, rates)
        published = published_model("vgg16", image_shape, num_classes, pretrained, weights)
        features, pool, classifier = published.module.children()
        first, _, _, second, _, _, last = classifier.children()
        assert isinstance(last, nn.Linear)
        # Not torchvision's ReLU, which overwrites the pre-activation that a variant may read.
        dense = [layer.join(first, nn.ReLU()) for layer in inner] or [first, nn.ReLU()]
        body = nn.Sequential(*rgb, features, pool, nn.Flatten(), *dense)
        super().__init__(image_shape, num_classes, body, Head(penultimate.join(second, nn.ReLU()), last))
        self.start = published.start
