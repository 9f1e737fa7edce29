"""DropConnect: weights drop, not units; a mask on weights takes no second copy of them."""

from collections.abc import Iterator
from typing import Any, Literal, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx, once_differentiable

from dropout_lab.models.dropout.base import RateDropout, check_choice, check_count, weight_of
from dropout_lab.models.dropout.numerics import as_numbers
from dropout_lab.models.dropout.standard import bernoulli_mask

Mask = Literal["sample", "batch", "gaussian"]
Inference = Literal["gaussian", "mean"]

# Each takes a pass through the activation; more than some hundreds change nothing.
MOST_SAMPLES = 10**6


def preactivation_moments(v: Tensor, weight: Tensor, bias: Tensor | None, p: Tensor) -> tuple[Tensor, Tensor]:
    """Return the moments of (W∘M)v + b, each ``(B, …, outputs)`` of v ``(B, …, inputs)``.

    The mean is (1−p)·Wv + b, the standard deviation √(p(1−p)·(W∘W)(v∘v)).
    """
    mean: Tensor = F.linear(v, weight * (1 - p).to(weight.dtype), bias)
    # In units of the largest input, and of an output's largest weight: the square of 1e30 is infinite, in float16 that
    # of 256 is, and that of 1e-4 is 0.
    unit, unit_of_weights = _largest_of_rows(v), _largest_of_rows(weight)
    share = F.linear((v / unit).square(), (weight / unit_of_weights).square())
    # The derivative of a root at 0 is infinite: a variance of 0 is no noise.
    noisy = share > 0
    root = torch.where(noisy, torch.where(noisy, share, 1.0).sqrt(), 0.0)
    spread: Tensor = root * (p * (1 - p)).sqrt() * unit_of_weights.t() * unit
    return mean, spread.to(mean.dtype)


def _largest_of_rows(x: Tensor) -> Tensor:
    """Return the largest absolute value of each row, ``(…, 1)``, 1 where all are 0; a constant to autograd."""
    largest = x.detach().abs().amax(-1, keepdim=True)
    return torch.where(largest > 0, largest, 1.0)


# What traces networks cannot follow a question for the type.
@torch.fx.wrap
def mean_over_samples(units: Tensor) -> Tensor:
    """Return the mean over the first dimension; a sum of 64 numbers of 1,024 is infinite in float16."""
    wide = torch.float64 if units.dtype == torch.float64 else torch.float32
    return units.mean(0, dtype=wide).to(units.dtype)


def normal_quantiles(count: int) -> Tensor:
    """Return the quantiles of N(0, 1) at (i + ½)/count, scaled to variance 1: ``count`` points that stand for it."""
    points: Tensor = torch.special.ndtri((torch.arange(count, dtype=torch.float64) + 0.5) / count)
    return points / points.square().mean().sqrt().clamp(min=1e-12) if count > 1 else points


@final
class DropConnect(RateDropout):
    """f((W∘M)v + b): each weight of the linear layer before is zeroed with probability p; f is the activation.

    In evaluation, ``"gaussian"`` gives the mean of f(u) over u ~ N((1−p)Wv + b, p(1−p)(W∘W)(v∘v)), with ``samples``
    fixed quantiles in the place of random draws, so that it is deterministic; ``"mean"`` gives f((1−p)Wv + b).
    ``kept`` is None: a mask of weights says nothing about units.

    Source: L. Wan et al., *Regularization of neural networks using DropConnect*, 2013. Departures: the bias is not
    masked; evaluation takes quantiles. ``mask="gaussian"`` draws u from the same normal in training (S. Wang,
    C. Manning, *Fast dropout training*, 2013).

    Args:
        p: probability of dropping a weight, in [0, 1).
        mask: a mask of W for each ``"sample"``, the same at all positions of a sequence, which costs B·outputs·inputs
            numbers; one for the ``"batch"``; or ``"gaussian"``, the pre-activation drawn instead.
        inference: ``"gaussian"`` or ``"mean"``.
        samples: quantiles of the normal in evaluation.
    """

    needs_stage = True
    shown = "p={0.p}, mask={0.mask!r}, inference={0.inference!r}, samples={0.samples}"

    def __init__(
        self, p: float = 0.5, mask: Mask = "sample", inference: Inference = "gaussian", samples: int = 64
    ) -> None:
        super().__init__(p)
        check_choice("mask", mask, Mask)
        check_choice("inference", inference, Inference)
        check_count("samples", samples, least=1)
        if samples > MOST_SAMPLES:
            raise ValueError(f"samples must be {MOST_SAMPLES} or less, got {samples}")
        self.mask = mask
        self.inference = inference
        self.samples = samples

    def forward(self, x: Tensor, target: Tensor | None = None, weight: Tensor | None = None) -> Tensor:
        raise ValueError("DropConnect masks weights: build its stage with join(linear, activation)")

    def join(self, affine: nn.Module, activation: nn.Module) -> nn.Module:
        linear, rest = split_stage("DropConnect", affine, activation)
        return DropConnectStage(linear, rest, self)


def split_stage(variant: str, affine: nn.Module, activation: nn.Module) -> tuple[nn.Linear, nn.Module]:
    """Return a stage's linear layer, whose weights a variant masks, and what comes after it."""
    if isinstance(affine, nn.Sequential) and isinstance(affine[0], nn.Linear):
        return affine[0], nn.Sequential(*affine[1:], activation)
    if not isinstance(affine, nn.Linear):
        raise ValueError(
            f"{variant} masks the weights of a linear layer and cannot follow {type(affine).__name__}; choose "
            "another variant, or a network whose dropout places follow linear layers"
        )
    return affine, activation


@final
class DropConnectStage(nn.Module):
    """A linear layer whose weights drop, and its activation."""

    quantiles: Tensor

    def __init__(self, linear: nn.Linear, activation: nn.Module, dropout: DropConnect) -> None:
        super().__init__()
        self.affine = linear
        self.activation = activation
        self.dropout = dropout
        self.register_buffer("quantiles", normal_quantiles(dropout.samples).float(), persistent=False)

    def forward(self, x: Tensor, target: Tensor | None = None, weight: Tensor | None = None) -> Tensor:
        units: Tensor
        if self.dropout.drops:
            units = self.activation(self._drawn(x))
            return units
        mean, spread = preactivation_moments(
            x, weight_of(self.affine, x), self.affine.bias, self.dropout.drop_probability
        )
        if self.dropout.inference == "mean":
            units = self.activation(mean)
            return units
        samples = mean + spread * self.quantiles.to(mean.dtype).view(-1, *(1 for _ in mean.shape))
        units = self.activation(samples.flatten(0, 1)).view(samples.shape)
        return mean_over_samples(units)

    def _drawn(self, x: Tensor) -> Tensor:
        weight, bias, p = weight_of(self.affine, x), self.affine.bias, self.dropout.drop_probability
        if self.dropout.mask == "gaussian":
            mean, spread = preactivation_moments(x, weight, bias, p)
            noise = torch.randn(mean.shape, device=x.device, dtype=torch.float32)
            return mean + spread * noise.to(mean.dtype)
        if self.dropout.mask == "batch":
            return masked_linear(x, weight, bias, bernoulli_mask(weight, p))
        kept = torch.rand(len(x), *weight.shape, device=x.device, dtype=torch.float32) >= p
        return linear_by_sample(x, weight, bias, kept)


def linear_by_sample(x: Tensor, weight: Tensor, bias: Tensor | None, kept: Tensor) -> Tensor:
    """Return (W∘M)x + b, ``(B, …, outputs)``, with a keep mask of each sample, bool ``(B, outputs, inputs)``."""
    drawn = torch.einsum("boi,b...i->b...o", weight * kept, x)
    return drawn if bias is None else drawn + bias.to(drawn.dtype)


# Weights that are masked at a time, 8 MiB of float32: fewer at a time keep the cores waiting for each other.
CHUNK = 2**21


def masked_linear(x: Tensor, weight: Tensor, bias: Tensor | None, kept: Tensor) -> Tensor:
    """Return (W∘M)x + b for a keep mask M of W's shape, ``(…, outputs)`` of x ``(…, inputs)``.

    On a CPU masked weights are made a few rows at a time, and again for the gradient: kept as a whole they would be a
    second copy of the weights. It takes no longer.
    """
    plain = (
        torch.compiler.is_compiling() or torch.is_autocast_enabled(x.device.type) or x.device.type != "cpu"
    )
    if plain:
        return F.linear(x, weight * kept, bias)
    out: Tensor = MaskedLinear.apply(x.flatten(0, -2), weight, kept).view(*x.shape[:-1], len(weight))
    return out if bias is None else out + bias


@final
class MaskedLinear(torch.autograd.Function):
    """(W∘M)x, a few rows of W at a time."""

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, weight: Tensor, kept: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight, kept)
        out = x.new_empty(len(x), len(weight))
        for rows in _rows(weight):
            out[:, rows] = x @ (weight[rows] * as_numbers(kept[rows], weight.dtype)).t()
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        x, weight, kept = ctx.saved_tensors
        of_x = torch.zeros_like(x) if ctx.needs_input_grad[0] else None
        of_weight = torch.empty_like(weight) if ctx.needs_input_grad[1] else None
        for rows in _rows(weight):
            numbers = as_numbers(kept[rows], weight.dtype)
            if of_x is not None:
                of_x.addmm_(grad[:, rows], weight[rows] * numbers)
            if of_weight is not None:
                torch.mm(grad[:, rows].t(), x, out=of_weight[rows]).mul_(numbers)
        return of_x, of_weight, None


def _rows(weight: Tensor) -> Iterator[slice]:
    step = max(1, CHUNK // weight.shape[1])
    for start in range(0, len(weight), step):
        yield slice(start, start + step)
