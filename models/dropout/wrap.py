"""Dropout layers from elsewhere: ``torch.nn.AlphaDropout``, ``torchvision.ops.DropBlock2d``, a user's own."""

import copy
from typing import final

from torch import Tensor, nn

from dropout_lab.models.dropout.base import Dropout, DropoutFactory, check_drop_probability

TORCH_DROPOUTS = (
    nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout,
)  # fmt: skip
"""The dropout layers of torch.nn; all have a plain attribute ``p``."""


@final
class ForeignDropout(Dropout):
    """Any module with ``forward(x)`` in the place of a dropout variant; labels and weight are not handed on.

    ``kept`` stays ``None``: what such a layer does with its units is its own business.
    """

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer
        self.scheduled = "p" if isinstance(layer, TORCH_DROPOUTS) else None

    def forward(self, x: Tensor, target: Tensor | None = None, weight: Tensor | None = None) -> Tensor:
        out: Tensor = self.layer(x)
        return out

    def extra_repr(self) -> str:
        return repr(self.layer)

    def set_rate(self, p: float) -> None:
        check_drop_probability(p)
        if not isinstance(self.layer, TORCH_DROPOUTS):
            raise ValueError(f"rates cannot set p of {type(self.layer).__name__}; leave rates out (null)")
        self.layer.p = p


def as_dropout(layer: nn.Module) -> Dropout:
    """Return a variant as it is, and any other module wrapped."""
    if not isinstance(layer, nn.Module):
        raise TypeError(f"a dropout place needs a torch.nn.Module, got {type(layer).__name__}")
    return layer if isinstance(layer, Dropout) else ForeignDropout(layer)


def made_layers(make: DropoutFactory, places: int) -> list[Dropout]:
    """Make a dropout layer for each place.

    What a configured factory makes may be one layer again and again, or share the layers inside it (a Chain's);
    each place has its own.
    """
    made: list[Dropout] = []
    for _ in range(places):
        layer = as_dropout(_make_one(make))
        shared = {module for other in made for module in other.modules()}
        made.append(copy.deepcopy(layer) if shared & set(layer.modules()) else layer)
    return made


def _make_one(make: DropoutFactory) -> nn.Module:
    try:
        return make()
    except TypeError as error:
        # Python has no class of its own for it.
        if "abstract class" not in str(error):
            raise
        reason = f"a dropout place needs a class that can be made: {error}; name a subclass"
        raise ValueError(reason) from error
