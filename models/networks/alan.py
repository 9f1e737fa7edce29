"""The convolutional network of the DropAlan study.

Source: A. Casallas, *DropAlan: An Input-Weighted Approach to Dropout Regularization*, §III.
"""

from collections.abc import Sequence
from typing import ClassVar, Literal, TypeVar, final

from torch import nn

from dropout_lab.models.dropout import DropoutFactory, NoDropout
from dropout_lab.models.dropout.base import check_choice
from dropout_lab.models.networks.base import Head, ImageShape, Network, check_image_shape, dropout_places

Affine = TypeVar("Affine", nn.Conv2d, nn.Linear)


def glorot(layer: Affine) -> Affine:
    """Draw a layer's weights from U(−a, a), a = √(6 / (inputs + outputs)), and set its biases to 0."""
    assert layer.bias is not None
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def as_made(layer: Affine) -> Affine:
    """Leave a layer as PyTorch has initialized it."""
    return layer


Initialization = Literal["glorot", "torch"]


@final
class AlanCNN(Network):
    """Conv 64@7×7 – ReLU – Pool – Conv 64@5×5 – ReLU – Pool – Dense 1000 – ReLU – dropout – Dense.

    Convolutions are valid (no padding). Departures: the paper's text says three convolutions, the published
    code runs two, since its first is bypassed; ``convolutions=3`` puts one more Conv 64@3×3 (padding 1) – ReLU
    first. The original also has a ReLU on the logits, the natural cause of its collapse to a loss of ln 10
    once all ten are dead; ``relu_logits=True`` reproduces it. As Keras does for the original, weights are drawn
    Glorot-uniform, W ~ U(−a, a) with a = √(6 / (inputs + outputs)), and biases are 0 (X. Glorot and Y. Bengio,
    *Understanding the Difficulty of Training Deep Feedforward Neural Networks*, 2010).

    Args:
        image_shape: channels, height, width; at least 18×18.
        dropout: makes the layer after the dense ReLU.
        rates: p of the one place; None leaves the layer its own.
        convolutions: 2, as run, or 3, as written.
        relu_logits: put a ReLU on the logits.
        initialization: ``"glorot"``, the original's, or ``"torch"``, PyTorch's default.
        normalization: ``"batch"`` puts a BatchNorm between the dense layer and its ReLU, or DropAlan; the paper's
            future work, §V.
    """

    # Of runs made before there was the argument: they began as PyTorch does.
    UNLIKE_BEFORE: ClassVar = ("initialization",)

    def __init__(
        self,
        image_shape: ImageShape = (3, 32, 32),
        num_classes: int = 10,
        dropout: DropoutFactory = NoDropout,
        rates: Sequence[float] | None = None,
        convolutions: Literal[2, 3] = 2,
        relu_logits: bool = False,
        initialization: Initialization = "glorot",
        normalization: Literal["batch"] | None = None,
    ) -> None:
        # 18 − 6 = 12, pooled 6, − 4 = 2, pooled 1: the smallest image that leaves a pixel.
        check_image_shape("AlanCNN", image_shape, smallest=18)
        if convolutions not in (2, 3):
            raise ValueError(f"convolutions must be 2 or 3, got {convolutions}")
        if normalization not in ("batch", None):
            raise ValueError(f"normalization must be batch or null, got {normalization!r}")
        check_choice("initialization", initialization, Initialization)
        initialized = glorot if initialization == "glorot" else as_made
        (layer,) = dropout_places(dropout, 1, rates)
        channels, height, width = image_shape
        first: list[nn.Module] = []
        if convolutions == 3:
            first = [initialized(nn.Conv2d(channels, 64, 3, padding=1)), nn.ReLU()]
            channels = 64
        convolution = [initialized(nn.Conv2d(channels, 64, 7)), nn.ReLU(), nn.MaxPool2d(2)]
        another = [initialized(nn.Conv2d(64, 64, 5)), nn.ReLU(), nn.MaxPool2d(2)]
        body = nn.Sequential(*first, *convolution, *another, nn.Flatten())
        features = 64 * (((height - 6) // 2 - 4) // 2) * (((width - 6) // 2 - 4) // 2)
        dense: nn.Module = initialized(nn.Linear(features, 1000))
        if normalization == "batch":
            dense = nn.Sequential(dense, nn.BatchNorm1d(1000))
        stage = layer.join(dense, nn.ReLU())
        logits = initialized(nn.Linear(1000, num_classes))
        head = Head(stage, logits, nn.ReLU() if relu_logits else None)
        super().__init__(image_shape, num_classes, body, head)
