"""Where the dropout layers of a module are."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from models.dropout.base import Dropout


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
