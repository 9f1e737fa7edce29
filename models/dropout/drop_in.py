"""Drop-in: dead units are revived instead of living ones dropped."""

import math
from typing import Literal, final

import torch
from torch import Tensor

from dropout_lab.models.dropout.base import RateDropout, check_choice, in_float32
from dropout_lab.models.dropout.numerics import as_numbers, saturated

Value = float | Literal["uniform", "mean"]
Scale = Literal["count", "mass", "none"]
Scope = Literal["batch", "sample"]


def drop_in(x: Tensor, revived: Tensor, value: Tensor, factor: Tensor, scale_revived: bool = True) -> Tensor:
    """Return s·x with R·s, or R, in the place of revived units; R and s are constants to autograd."""
    # R alone may be infinite in float16 where R·s is not.
    wide = x.float() if x.dtype == torch.float16 else x
    back, value, factor = as_numbers(revived, wide.dtype), value.to(wide.dtype), factor.to(wide.dtype)
    if scale_revived:
        return (torch.addcmul(wide * (1 - back), back, value) * factor).to(x.dtype)
    return saturated(torch.addcmul(wide * (1 - back) * factor, back, value), x)


def _count(mask: Tensor, dims: tuple[int, ...]) -> Tensor:
    return mask.sum(dims, keepdim=True).double()


def _sum(x: Tensor, dims: tuple[int, ...]) -> Tensor:
    return x.sum(dims, keepdim=True, dtype=torch.float64)


@final
class DropIn(RateDropout):
    """Revives each dead unit (x == 0) with probability p to a value R, then multiplies the layer by s.

    With N_x living and N_0 dead units, ``scale="count"`` is the source's s = N_x / (N_x + p·N_0·R), which
    keeps the mean if living units are 1 on average; ``"mass"`` is s = Σx / (Σx + Σrevived), which keeps the sum
    exactly whatever the activations; ``"none"`` is 1. Where s would be 0/0 or infinite it is 1. In evaluation: x.

    The source scales "the input layer" (§4.2), and elsewhere "the rest of the values" (§1), which leaves revived units
    at R: ``scale_revived=False``. With s as it prints it that keeps no mean: living units of 1 on average come to
    s·N_x + p·N_0·R, which is above N_x.

    Source: H. Lerner, *Drop-in: An Attempted Dropout Variation*, §4.2; ``value="mean"`` is its future work.
    Departure: the paper checked the mean on inputs without a zero, where the layer does nothing; this one is
    tested behind a ReLU.

    Args:
        p: probability of reviving, in [0, 1].
        value: R: ``"uniform"`` is one number from U(0, 1), drawn when the layer is built and kept in the state
            dict; a number is taken as it is; ``"mean"`` is the mean living activation of the scope.
        scale: ``"count"``, ``"mass"`` or ``"none"``.
        scope: count over the whole ``"batch"`` or per ``"sample"``.
        scale_revived: multiply revived units by s too; False, only with ``scale="count"``, scales the others alone.
    """

    revives = True
    shown = "p={0.p}, value={0.value_rule!r}, scale={0.scale!r}, scope={0.scope!r}, scale_revived={0.scale_revived}"
    value: Tensor

    def __init__(
        self,
        p: float = 0.5,
        value: Value = "uniform",
        scale: Scale = "count",
        scope: Scope = "batch",
        scale_revived: bool = True,
    ) -> None:
        super().__init__(p)
        if value not in ("uniform", "mean") and (
            isinstance(value, str) or not (value >= 0 and math.isfinite(in_float32(value)))
        ):
            raise ValueError(f"value must be 'uniform', 'mean' or a number of 0 or more, got {value!r}")
        check_choice("scale", scale, Scale)
        check_choice("scope", scope, Scope)
        if not scale_revived and scale != "count":
            why = "scales nothing" if scale == "none" else "could not keep the sum by living units alone"
            raise ValueError(
                f"scale_revived=False goes with scale='count', as scale={scale!r} {why}; leave out one of the two"
            )
        number = torch.rand(()) if value == "uniform" else torch.tensor(0.0 if value == "mean" else value)
        # A number drawn belongs to the state; one that was given is an argument, and loading leaves it alone.
        self.register_buffer("value", number.float(), persistent=value == "uniform")
        self.value_rule = value
        self.scale = scale
        self.scope = scope
        self.scale_revived = scale_revived

    def check_rate(self, p: float) -> None:
        if not 0 <= p <= 1:
            raise ValueError(f"p must be in [0, 1], got {p}")

    def forward(self, x: Tensor, target: Tensor | None = None, weight: Tensor | None = None) -> Tensor:
        if not self.drops:
            return x
        dead = x == 0
        noise = torch.rand(x.shape, device=x.device, dtype=torch.float32)
        revived = dead & (noise < self.drop_probability)
        self.kept = ~dead | revived
        with torch.no_grad():
            value, factor = self._value_and_factor(x.detach(), dead, revived)
        return drop_in(x, revived, value, factor, self.scale_revived)

    def _value_and_factor(self, x: Tensor, dead: Tensor, revived: Tensor) -> tuple[Tensor, Tensor]:
        # Sums over the scope in float64: a batch of large activations must not overflow. For float64 itself there is no
        # wider type; its sums are in units of the scope's largest number.
        dims = tuple(range(x.dim())) if self.scope == "batch" else tuple(range(1, x.dim()))
        one = torch.ones((), dtype=torch.float64, device=x.device)
        unit = one
        if x.dtype == torch.float64:
            top = x.abs().amax(dims, keepdim=True)
            unit = torch.where(top > 0, top, one)
            x = x / unit
        value = self.value.double()
        if self.value_rule == "mean":
            value = _sum(x, dims) / _count(~dead, dims).clamp(min=1) * unit
        if self.scale == "none":
            return value, one
        if self.scale == "count":
            gone = _count(dead, dims)
            living = dead[0].numel() * (len(dead) if self.scope == "batch" else 1) - gone
            after = living + self.drop_probability.double() * gone * value
            return value, torch.where(after > 0, living / torch.where(after > 0, after, 1.0), one)
        mass = _sum(x, dims)
        after = mass + _count(revived, dims) * (value / unit)
        # Living and revived units of opposite signs may cancel: a quotient too large for x's dtype is no scale.
        most = torch.finfo(x.dtype).max / unit
        usable = mass.abs() * x.abs().amax(dims, keepdim=True) < after.abs() * most
        return value, torch.where(usable, mass / torch.where(usable, after, 1.0), one)
