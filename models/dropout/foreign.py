"""Dropout layers from elsewhere: ``torch.nn.AlphaDropout``, ``torchvision.ops.DropBlock2d``, a user's own."""

from typing import final

from torch import Tensor, nn

from models.dropout.base import Dropout, DropoutFactory

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

    def forward(self, x: Tensor, target: Tensor | None = None, weight: Tensor | None = None) -> Tensor:
        """Apply the layer to x."""
        out: Tensor = self.layer(x)
        return out

    def __repr__(self) -> str:
        """Show the layer itself."""
        return repr(self.layer)

    def set_rate(self, p: float) -> None:
        """Set the layer's p if it is one of torch.nn's."""
        if isinstance(self.layer, TORCH_DROPOUTS):
            self.layer.p = p


def make_dropout(make: DropoutFactory) -> Dropout:
    """Make one dropout layer for a place of a network.

    Raises:
        TypeError: what was made is no module.
    """
    layer = make()
    if not isinstance(layer, nn.Module):
        raise TypeError(f"a dropout place needs a torch.nn.Module, got {type(layer).__name__}")
    return layer if isinstance(layer, Dropout) else ForeignDropout(layer)
