"""What every dropout variant is: one contract, one way to join a network."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

DropoutFactory = Callable[[], nn.Module]
"""Makes a fresh dropout layer: a class, a ``functools.partial``, or ``class_path`` with ``init_args`` in YAML."""


def check_drop_probability(p: float) -> None:
    """Check a probability of dropping.

    Raises:
        ValueError: it is not in [0, 1), or so close to 1 that 1/(1 − p) is infinite in float32.
    """
    if not 0 <= p < 1:
        raise ValueError(f"p must be in [0, 1), got {p}")
    if torch.tensor(p, dtype=torch.float32) == 1:
        raise ValueError(f"p must be in [0, 1) and is too close to 1, got {p}")


class Dropout(nn.Module, ABC):
    """A dropout variant: ``forward(x, target, weight)`` gives a tensor of x's shape, dtype and device.

    Shapes: x is ``(B, D)`` or ``(B, C, H, W)``; then each sample's units form one set.

    In training each forward leaves ``kept``: detached, bool, of x's shape or broadcastable to it, which units
    passed; ``None`` where the variant has no mask. It is a plain attribute and no buffer: buffers are
    broadcast from rank 0 at every forward under DDP, and each rank has a mask of its own.

    ``sampling`` lets a layer drop in evaluation too (:func:`dropout_lab.models.dropout.sampling`).

    Attributes:
        needs_labels: looks at labels and at the weight of the final linear layer in training.
        needs_stage: replaces or reads more than the units, so it must be joined to an affine map.
        revives: brings back units that were 0, so that its ``kept`` says all, whatever came before it.
        scheduled: what a schedule may change while training goes on: ``rho``, ``p`` (by :meth:`set_rate`), or None.
    """

    needs_labels: bool = False
    needs_stage: bool = False
    revives: bool = False
    scheduled: Literal["rho", "p"] | None = None

    def __init__(self) -> None:
        """Start without a mask."""
        super().__init__()
        self.kept: Tensor | None = None
        self.sampling = False

    @property
    def drops(self) -> bool:
        """Whether a forward now draws a mask: in training, or when sampling was asked for."""
        return self.training or self.sampling

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

    def inner(self) -> "Dropout":
        """Return the layer for a place whose units the final linear layer does not read: here this one.

        A variant that looks at the final layer's weight has nothing to look at there.
        """
        return self

    def alone(self, place: str) -> nn.Module:
        """Return the module for a place that follows no affine map and activation.

        Args:
            place: what stands before it, for the error message.

        Raises:
            ValueError: the variant needs the affine map or the activation.
        """
        if self.needs_stage:
            raise ValueError(
                f"{type(self).__name__} works on an affine map and its activation and cannot stand after {place}; "
                "choose another variant, or a network whose dropout places all follow an affine map"
            )
        return self

    def set_rate(self, p: float) -> None:
        """Set the probability of dropping.

        Raises:
            ValueError: p is out of range, or the variant has none.
        """
        raise ValueError(f"{type(self).__name__} has no p for rates to set; leave rates out (null)")

    def synchronize(self) -> None:
        """Bring what is counted over training together over ranks; a collective call under DDP."""

    def own(self) -> None:
        """Copy what the last forward has left: where CUDA graphs are replayed, the next one overwrites it."""
        if self.kept is not None:
            self.kept = self.kept.clone()

    def kl(self) -> Tensor | None:
        """Return what this layer adds to the loss, a divergence summed over units; None for nothing."""
        return None


class RateDropout(Dropout, ABC):
    """A variant with a probability ``p``, settable at any time without recompilation.

    Args:
        p: probability of dropping, in [0, 1) unless the variant says otherwise.

    Raises:
        ValueError: p is out of range.
    """

    scheduled = "p"
    drop_probability: Tensor

    def __init__(self, p: float) -> None:
        """Check p and store it."""
        super().__init__()
        # Compiled code reads the tensor: a Python float would be a constant of the graph, and a new p would
        # recompile. It is an argument, not a result of training, so it stays out of the state dict.
        self.register_buffer("drop_probability", torch.empty((), dtype=torch.float32), persistent=False)
        self.p = p

    @property
    def p(self) -> float:
        """The probability."""
        return self._p

    @p.setter
    def p(self, value: float) -> None:
        self.check_rate(value)
        self._p = float(value)
        self.drop_probability.fill_(value)

    def eager_p(self) -> float:
        """Return p for eager code; 0 in compiled code, which must take ``drop_probability``.

        There even to look at a Python number makes it a constant of the graph, and another one recompiles.
        """
        return 0.0 if torch.compiler.is_compiling() else self._p

    def check_rate(self, p: float) -> None:
        """Raise ValueError if p is out of range."""
        check_drop_probability(p)

    def set_rate(self, p: float) -> None:
        """Set the probability."""
        self.p = p

    def extra_repr(self) -> str:
        """Show p."""
        return f"p={self.p}"

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "RateDropout":
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        # A module cast to bfloat16 keeps its p: there 0.999 would become 1, and 0.2 would become 0.2002.
        device = self.drop_probability.device
        self.drop_probability = torch.tensor(self._p, dtype=torch.float32, device=device)
        return self


class CountDropout(Dropout, ABC):
    """A variant that drops a number of units ``rho``, settable at any time without recompilation.

    Args:
        rho: units (or channels) to drop of each sample, 0 or more; more than there are is found at the first
            forward.

    Raises:
        ValueError: rho is negative or no whole number.
    """

    scheduled = "rho"
    drop_count: Tensor

    def __init__(self, rho: int) -> None:
        """Check rho and store it."""
        super().__init__()
        # A tensor for the reason given in RateDropout; derived from a schedule, so not in the state dict.
        self.register_buffer("drop_count", torch.zeros((), dtype=torch.int64), persistent=False)
        self.rho = rho

    @property
    def rho(self) -> int:
        """Units to drop of each sample."""
        return self._rho

    @rho.setter
    def rho(self, value: float) -> None:
        if not (0 <= value < 2**63 and value % 1 == 0):
            raise ValueError(f"rho must be a whole number, 0 or more, got {value}")
        self.check_rho(int(value))
        self._rho = int(value)
        self.drop_count.fill_(int(value))

    @property
    @abstractmethod
    def units(self) -> int | None:
        """How many units (or channels) there are to drop from; None before the first input."""

    def check_rho(self, rho: int) -> None:
        """Raise ValueError if there are fewer than rho units, where that is known."""

    def extra_repr(self) -> str:
        """Show rho."""
        return f"rho={self.rho}"

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "CountDropout":
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        # As in RateDropout: what is derived from an argument is made from it again.
        self.drop_count = torch.tensor(self._rho, device=self.drop_count.device)
        return self


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
