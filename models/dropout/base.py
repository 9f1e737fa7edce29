"""What every dropout variant is: one contract, one way to join a network."""

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor, nn

DropoutFactory = Callable[[], nn.Module]
"""Makes a fresh dropout layer: a class, a ``functools.partial``, or ``class_path`` with ``init_args`` in YAML."""


class Dropout(nn.Module, ABC):
    """A dropout variant: ``forward(x, target, weight)`` gives a tensor of x's shape, dtype and device.

    Shapes: x is ``(B, D)`` or ``(B, C, H, W)``; then each sample's units form one set.

    In training each forward leaves ``kept``: detached, bool, of x's shape or broadcastable to it, which units
    passed; ``None`` where the variant has no mask. It is a plain attribute and no buffer: buffers are
    broadcast from rank 0 at every forward under DDP, and each rank has a mask of its own.
    """

    def __init__(self) -> None:
        """Start without a mask."""
        super().__init__()
        self.kept: Tensor | None = None

    @abstractmethod
    def forward(self, x: Tensor, target: Tensor | None = None, weight: Tensor | None = None) -> Tensor:
        """Drop units of x.

        Args:
            x: activations, ``(B, D)`` or ``(B, C, H, W)``.
            target: labels, ``(B,)`` int64, for variants that look at them.
            weight: weight of the linear layer that follows, ``(classes, D)``, for variants that look at it.
        """

    def join(self, affine: nn.Module, activation: nn.Module) -> nn.Module:
        """Build the stage in which this layer follows an affine map and its activation.

        The default is affine → activation → this layer. A variant that replaces the activation, reads the
        pre-activation or masks the weights builds another stage here, so that no network knows any variant.

        Returns:
            A module with ``forward(x, target=None, weight=None)``.
        """
        return Stage(affine, activation, self)

    def alone(self, place: str) -> nn.Module:
        """Return the module for a place that follows no affine map and activation.

        Args:
            place: what stands before it, for the error message.

        Raises:
            ValueError: in variants that cannot work there; here none.
        """
        return self

    def set_rate(self, p: float) -> None:
        """Set the probability of dropping, in the variants that have one."""


class RateDropout(Dropout, ABC):
    """A variant with a probability of dropping ``p``, settable at any time without recompilation.

    Args:
        p: probability of dropping, in [0, 1).

    Raises:
        ValueError: p is out of range.
    """

    drop_probability: Tensor

    def __init__(self, p: float) -> None:
        """Check p and store it."""
        super().__init__()
        # Compiled code reads the tensor: a Python float would be a constant of the graph, and a new p would
        # recompile. It is an argument, not a result of training, so it stays out of the state dict.
        self.register_buffer("drop_probability", torch.empty(()), persistent=False)
        self.p = p

    @property
    def p(self) -> float:
        """Probability of dropping."""
        return self._p

    @p.setter
    def p(self, value: float) -> None:
        if not 0 <= value < 1:
            raise ValueError(f"p must be in [0, 1), got {value}")
        self._p = float(value)
        self.drop_probability.fill_(value)

    def set_rate(self, p: float) -> None:
        """Set the probability of dropping."""
        self.p = p

    def extra_repr(self) -> str:
        """Show p."""
        return f"p={self.p}"


class Stage(nn.Module):
    """affine → activation → dropout, with labels and the next layer's weight handed to the dropout."""

    def __init__(self, affine: nn.Module, activation: nn.Module, dropout: Dropout) -> None:
        """Put the three in order."""
        super().__init__()
        self.affine = affine
        self.activation = activation
        self.dropout = dropout

    def forward(self, x: Tensor, target: Tensor | None = None, weight: Tensor | None = None) -> Tensor:
        """Map x to the units that passed."""
        units: Tensor = self.dropout(self.activation(self.affine(x)), target, weight)
        return units
