"""What every network is: a body that makes features, a head that makes logits, and numbered dropout places."""

import warnings
from abc import ABC
from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor, nn

from dropout_lab.models.dropout import Dropout, DropoutFactory, dropout_layers, made_layers
from dropout_lab.models.dropout.base import weight_of

ImageShape = tuple[int, int, int]
"""Channels, height, width."""


@final
class Head(nn.Module):
    """The penultimate stage, ``forward(x, target, weight)``, and the linear layer that reads it.

    It owns both, so that a variant that looks at labels and at the next layer's weight (MalDrop) is handed them as
    plain arguments: this compiles without a graph break, survives ``deepcopy`` and pickle, and no key stands twice in
    the state dict. An activation is applied to the logits; a classifier should have none.
    """

    def __init__(self, stage: nn.Module, linear: nn.Linear, activation: nn.Module | None = None) -> None:
        super().__init__()
        self.stage = stage
        self.linear = linear
        self.activation = activation or nn.Identity()

    def forward(self, x: Tensor, target: Tensor | None = None) -> Tensor:
        units = self.stage(x, target, weight_of(self.linear, x))
        logits: Tensor = self.activation(self.linear(units.flatten(1)))
        return logits


class Network(nn.Module, ABC):
    """Images ``(B, C, H, W)`` to logits ``(B, num_classes)``; the base class for networks of your own.

    A network of your own gives ``body`` and ``head`` to this constructor and takes at least
    ``image_shape`` and ``num_classes``, which the command line fills in from the data.
    """

    start: str | None = None
    """Where the weights come from, in words; None: from chance."""

    auxiliary: Sequence[tuple[float, Tensor]] = ()
    """What a training forward leaves beside its logits: those of auxiliary heads, ``(B, num_classes)``, each with its
    weight in the loss. A plain attribute that :meth:`take_auxiliary` empties."""

    def __init__(self, image_shape: ImageShape, num_classes: int, body: nn.Module, head: Head) -> None:
        super().__init__()
        self.image_shape = image_shape
        self.num_classes = num_classes
        self.body = body
        self.head = head
        self._shape_lazy_layers()

    def forward(self, images: Tensor, target: Tensor | None = None) -> Tensor:
        logits: Tensor = self.head(self.body(images), target)
        return logits

    def take_auxiliary(self) -> Sequence[tuple[float, Tensor]]:
        """Return what the last training forward left in ``auxiliary``, and forget it: it holds on to the graph."""
        taken, self.auxiliary = self.auxiliary, ()
        return taken

    def _shape_lazy_layers(self) -> None:
        # Some variants learn their shapes from the first input, and optimizers and checkpoints want them before.
        # In evaluation nothing is drawn and nothing counted.
        self.eval()
        image = torch.ones(1, *self.image_shape)
        with torch.no_grad():
            first, second = self(image), self(image)
        self.train()
        if not first.is_meta and not torch.allclose(first, second, rtol=1e-3, atol=1e-3, equal_nan=True):
            warnings.warn(
                f"{type(self).__name__} gives other logits for the same image in evaluation: something of it draws "
                "there, as torch.nn.functional.dropout does without training=self.training; what is measured is random",
                stacklevel=3,
            )

    def dropout_layers(self) -> dict[str, Dropout]:
        """Return the dropout layer of each place by its name in this module, from input to output."""
        return dropout_layers(self)


def dropout_places(
    make: DropoutFactory, places: int, rates: Sequence[float] | None = None, heads: int = 1
) -> list[Dropout]:
    """Make one dropout layer for each place of a network; the units of the last ones go to a head's linear layer.

    ``rates`` has the p of each place, from input to output; None leaves each layer the p that it was made with.
    """
    made = made_layers(make, places)
    layers = [*(layer.inner() for layer in made[:-heads]), *made[-heads:]]
    if rates is not None:
        if len(rates) != places:
            raise ValueError(f"rates needs one p for each of the {places} dropout places, got {list(rates)}")
        for layer, p in zip(layers, rates, strict=True):
            layer.set_rate(p)
    return layers


def check_image_shape(network: str, image_shape: ImageShape, smallest: int, even: int = 1) -> None:
    """Check that images suit a network's convolutions and pools: their sides, in pixels, multiples of ``even``."""
    channels, height, width = image_shape
    if channels < 1 or min(height, width) < smallest or height % even or width % even:
        sides = f"at least {smallest} pixels" + (f" and a multiple of {even}" if even > 1 else "")
        raise ValueError(
            f"{network} needs images whose height and width are {sides}, got image_shape={tuple(image_shape)}; "
            "set the data's image_size"
        )
