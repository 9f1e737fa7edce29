"""Fully connected networks of any depth: Lerner's study and the CS 6353 notebook."""

import math
from collections.abc import Sequence
from typing import Literal, final

from torch import nn

from dropout_lab.models.dropout import DropoutFactory, NoDropout
from dropout_lab.models.networks.base import Head, ImageShape, Network, dropout_places

NORMALIZATIONS = {"batch": nn.BatchNorm1d, "layer": nn.LayerNorm}


@final
class FullyConnected(Network):
    """{affine – [normalization] – ReLU – dropout} × (L−1) – affine.

    "L layers" counts affine layers: ``hidden=[100]`` is a network of two layers.

    Source: H. Lerner, *Drop-in: An Attempted Dropout Variation*, §4; ``FullyConnectedNet`` of CS 6353.

    Args:
        hidden: units of each hidden layer.
        image_shape: channels, height, width of the input, which is flattened.
        dropout: makes the layer for each place, one after each hidden ReLU.
        rates: p of each place; None leaves each layer its own.
        normalization: between affine layer and ReLU.
        weight_scale: standard deviation of the normal initial weights, biases 0, as in CS 6353;
            None takes PyTorch's initialization.
    """

    def __init__(
        self,
        hidden: list[int],
        image_shape: ImageShape = (3, 32, 32),
        num_classes: int = 10,
        dropout: DropoutFactory = NoDropout,
        rates: Sequence[float] | None = None,
        normalization: Literal["batch", "layer"] | None = None,
        weight_scale: float | None = None,
    ) -> None:
        if not hidden or min(hidden) < 1:
            raise ValueError(f"hidden needs at least one layer size, each 1 or more, got {hidden}")
        if normalization is not None and normalization not in NORMALIZATIONS:
            raise ValueError(
                f"normalization must be one of {sorted(NORMALIZATIONS)} or null, got {normalization!r}"
            )
        if weight_scale is not None and not 0 < weight_scale < math.inf:
            raise ValueError(f"weight_scale must be above 0 and finite, or null, got {weight_scale}")
        sizes = [math.prod(image_shape), *hidden]
        stages = []
        layers = dropout_places(dropout, len(hidden), rates)
        for inputs, outputs, layer in zip(sizes[:-1], hidden, layers, strict=True):
            affine: nn.Module = nn.Linear(inputs, outputs)
            if normalization is not None:
                affine = nn.Sequential(affine, NORMALIZATIONS[normalization](outputs))
            stages.append(layer.join(affine, nn.ReLU()))
        head = Head(stages.pop(), nn.Linear(hidden[-1], num_classes))
        super().__init__(image_shape, num_classes, nn.Sequential(nn.Flatten(), *stages), head)
        if weight_scale is not None:
            for module in self.modules():
                if isinstance(module, nn.Linear):
                    nn.init.normal_(module.weight, std=weight_scale)
                    nn.init.zeros_(module.bias)
