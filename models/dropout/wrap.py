"""Dropout layers from elsewhere: ``torch.nn.AlphaDropout``, ``torchvision.ops.DropBlock2d``, a user's own."""

import copy
from collections.abc import Iterable
from typing import final

import torch
from torch import Tensor, nn

from dropout_lab.models.dropout.base import Dropout, DropoutFactory, check_drop_probability

TORCH_DROPOUTS = (
    nn.Dropout,
    nn.Dropout1d,
    nn.Dropout2d,
    nn.Dropout3d,
    nn.AlphaDropout,
    nn.FeatureAlphaDropout,
)
"""The dropout layers of torch.nn; all have a plain attribute ``p``."""


@final
class ForeignDropout(Dropout):
    """Any module with ``forward(x)`` in the place of a dropout variant; labels and weight are not handed on.

    ``kept`` stays ``None``: what such a layer does with its units is its own business.
    """

    def __init__(self, layer: nn.Module) -> None:
        """Wrap a layer."""
        super().__init__()
        self.layer = layer
        self.scheduled = "p" if isinstance(layer, TORCH_DROPOUTS) else None

    def forward(self, x: Tensor, target: Tensor | None = None, weight: Tensor | None = None) -> Tensor:
        """Apply the layer to x."""
        out: Tensor = self.layer(x)
        return out

    def extra_repr(self) -> str:
        """Show the layer."""
        return repr(self.layer)

    def set_rate(self, p: float) -> None:
        """Set the layer's p, which the dropout layers of torch.nn have.

        Raises:
            ValueError: p is out of range, or the layer is none of torch.nn's.
        """
        check_drop_probability(p)
        if not isinstance(self.layer, TORCH_DROPOUTS):
            raise ValueError(f"rates cannot set p of {type(self.layer).__name__}; leave rates out (null)")
        self.layer.p = p


def as_dropout(layer: nn.Module) -> Dropout:
    """Return a variant as it is, and any other module wrapped.

    Raises:
        TypeError: it is no module.
    """
    if not isinstance(layer, nn.Module):
        raise TypeError(f"a dropout place needs a torch.nn.Module, got {type(layer).__name__}")
    return layer if isinstance(layer, Dropout) else ForeignDropout(layer)


def made_layers(make: DropoutFactory, places: int) -> list[Dropout]:
    """Make a dropout layer for each place.

    What a configured factory makes may be one layer again and again, or share the layers inside it (a Chain's);
    each place has its own.

    Raises:
        TypeError: what is made is no module.
        ValueError: the class is abstract.
    """
    made: list[Dropout] = []
    for _ in range(places):
        layer = as_dropout(_made(make))
        shared = {module for other in made for module in other.modules()}
        made.append(copy.deepcopy(layer) if shared & set(layer.modules()) else layer)
    return made


def _made(make: DropoutFactory) -> nn.Module:
    try:
        return make()
    except TypeError as error:
        # Python has no class of its own for it.
        if "abstract class" not in str(error):
            raise
        raise ValueError(
            f"a dropout place needs a class that can be made: {error}; name a subclass"
        ) from error


def dropout_layers(module: nn.Module) -> dict[str, Dropout]:
    """Return the dropout variants in a module by their names in it, in the order of registration.

    A layer inside another (of a Chain) is not listed.
    """
    layers: dict[str, Dropout] = {}
    for name, each in module.named_modules():
        if isinstance(each, Dropout) and not any(name.startswith(f"{outer}.") for outer in layers):
            layers[name] = each
    return layers


def divergence(layers: Iterable[Dropout]) -> Tensor | None:
    """Return the sum of what the layers add to the loss, a scalar; None if none of them does."""
    parts = [part for layer in layers if (part := layer.kl()) is not None]
    return torch.stack(parts).sum() if parts else None


def scheduled_layers(module: nn.Module) -> dict[str, Dropout]:
    """Return the layers in a module that have a ``rho`` or a ``p`` to schedule, by their names in it.

    Unlike :func:`dropout_layers` it looks into a Chain, whose parts are set one by one. Left out are NoDropout,
    VariationalDropout, whose p is where learning starts, and modules of one's own.
    """
    return {
        name: each
        for name, each in module.named_modules()
        if isinstance(each, Dropout) and each.scheduled is not None
    }
