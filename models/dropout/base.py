"""What every dropout variant is: one contract, one way to join a network."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import ClassVar, Literal, final, get_args

import torch
from torch import Tensor, nn

DropoutFactory = Callable[[], nn.Module]
"""Makes a fresh dropout layer: a class, a ``functools.partial``, or ``class_path`` with ``init_args`` in YAML."""


def check_choice(name: str, value: str, choices: object) -> None:
    """Check an argument that is one of the words of a ``Literal``."""
    if value not in get_args(choices):
        raise ValueError(f"{name} must be one of {', '.join(get_args(choices))}, got {value!r}")


def check_count(name: str, value: float, least: int) -> None:
    """Check an argument that counts something."""
    if not (least <= value < 2**63 and value % 1 == 0):
        raise ValueError(f"{name} must be a whole number, {least} or more, got {value}")


def in_float32(value: float) -> float:
    """Return a number as float32 has it, also where a default device holds no values (``torch.device("meta")``)."""
    return torch.tensor(value, dtype=torch.float32, device="cpu").item()


def check_drop_probability(p: float) -> None:
    """Check that p is in [0, 1), and not so close to 1 that 1/(1 − p) is infinite in float32."""
    if not 0 <= p < 1:
        raise ValueError(f"p must be in [0, 1), got {p}")
    if in_float32(p) == 1:
        raise ValueError(f"p must be in [0, 1) and is too close to 1, got {p}")


def weight_of(linear: nn.Linear, x: Tensor) -> Tensor:
    """Return the weight that a linear layer would multiply x by if it were called.

    ``torch.nn.utils.prune``, ``weight_norm`` and ``spectral_norm`` compute it in hooks of the call: read without one it
    is that of an earlier step (pytorch/pytorch #69353). Parametrizations compute it whenever it is read.
    """
    if "weight" not in linear._parameters:
        for hook in linear._forward_pre_hooks.values():
            hook(linear, (x,))
    return linear.weight


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
        shown: the arguments as ``repr`` shows them, a format string for the layer.
    """

    needs_labels: bool = False
    needs_stage: bool = False
    revives: bool = False
    scheduled: Literal["rho", "p"] | None = None
    shown: ClassVar[str] = ""

    def __init__(self) -> None:
        super().__init__()
        self.kept: Tensor | None = None
        self.sampling = False

    @property
    def drops(self) -> bool:
        """Whether a forward now draws a mask: in training, or when sampling was asked for."""
        return self.training or self.sampling

    @abstractmethod
    def forward(self, x: Tensor, target: Tensor | None = None, weight: Tensor | None = None) -> Tensor:
        """Drop units of x; labels ``(B,)`` int64 and the next layer's weight ``(classes, D)`` are for some variants."""

    def join(self, affine: nn.Module, activation: nn.Module) -> nn.Module:
        """Build the stage in which this layer follows an affine map and its activation.

        The default is affine → activation → this layer. A variant that replaces the activation, reads the
        pre-activation or masks the weights builds another stage here, so that no network knows any variant. The
        stage has ``forward(x, target=None, weight=None)``.
        """
        return Stage(affine, activation, self)

    def inner(self) -> "Dropout":
        """Return the layer for a place whose units the final linear layer, and its weight, do not read."""
        return self

    def alone(self, place: str) -> nn.Module:
        """Return the module for a place after something else, ``place``, than an affine map and its activation."""
        if self.needs_stage:
            raise ValueError(
                f"{type(self).__name__} works on an affine map and its activation and cannot stand after {place}; "
                "choose another variant, or a network whose dropout places all follow an affine map"
            )
        return self

    def set_rate(self, p: float) -> None:
        """Set the probability of dropping; ValueError if it is out of range, or the variant has none."""
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

    def extra_repr(self) -> str:
        return self.shown.format(self)


class RateDropout(Dropout, ABC):
    """A variant with a probability ``p``, settable at any time without recompilation.

    Args:
        p: probability of dropping, in [0, 1) unless the variant says otherwise.
    """

    scheduled = "p"
    shown = "p={0.p}"
    drop_probability: Tensor

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        # Compiled code reads the tensor: a Python float would be a constant of the graph, and a new p would
        # recompile. It is an argument, not a result of training, so it stays out of the state dict.
        self.register_buffer("drop_probability", torch.empty((), dtype=torch.float32), persistent=False)
        self.p = p

    @property
    def p(self) -> float:
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
        check_drop_probability(p)

    def set_rate(self, p: float) -> None:
        self.p = p

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "RateDropout":
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        # A module cast to bfloat16 keeps its p: there 0.999 would become 1, and 0.2 would become 0.2002.
        device = self.drop_probability.device
        self.drop_probability = torch.tensor(self._p, dtype=torch.float32, device=device)
        return self


class CountDropout(Dropout, ABC):
    """A variant that drops ``rho`` units (or channels) of each sample, settable at any time without recompilation.

    That there are so many is found at the first forward.
    """

    scheduled = "rho"
    shown = "rho={0.rho}"
    drop_count: Tensor

    def __init__(self, rho: int) -> None:
        super().__init__()
        # A tensor for the reason given in RateDropout; derived from a schedule, so not in the state dict.
        self.register_buffer("drop_count", torch.zeros((), dtype=torch.int64), persistent=False)
        self.rho = rho

    @property
    def rho(self) -> int:
        return self._rho

    @rho.setter
    def rho(self, value: float) -> None:
        check_count("rho", value, least=0)
        self.check_rho(int(value))
        self._rho = int(value)
        self.drop_count.fill_(int(value))

    @property
    @abstractmethod
    def units(self) -> int | None:
        """How many units (or channels) there are to drop from; None before the first input."""

    def check_rho(self, rho: int) -> None:
        """Check, where that is known, that there are so many units."""

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "CountDropout":
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        # As in RateDropout: what is derived from an argument is made from it again.
        self.drop_count = torch.tensor(self._rho, device=self.drop_count.device)
        return self


class Pointwise(ABC):
    """A variant whose unit of input x drops with a probability d(x), whatever the other units are."""

    @abstractmethod
    def drop_curve(self, x: Tensor) -> Tensor:
        """Return d(x) for inputs of any shape."""

    @abstractmethod
    def expectation(self, x: Tensor) -> Tensor:
        """Return the mean over masks of the output in training, E[y | x], for inputs of any shape."""


@final
class Stage(nn.Module):
    """affine → activation → dropout, with labels and the next layer's weight handed to the dropout."""

    def __init__(self, affine: nn.Module, activation: nn.Module, dropout: Dropout) -> None:
        super().__init__()
        self.affine = affine
        self.activation = activation
        self.dropout = dropout

    def forward(self, x: Tensor, target: Tensor | None = None, weight: Tensor | None = None) -> Tensor:
        units: Tensor = self.dropout(self.activation(self.affine(x)), target, weight)
        return units


def dropout_layers(module: nn.Module) -> dict[str, Dropout]:
    """Return the dropout variants in a module by name, in the order of registration; none inside another (Chain)."""
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
