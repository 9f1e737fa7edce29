"""A linear layer with a mask on its weights, without a second copy of them."""

from collections.abc import Iterator
from typing import Any, final

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

from dropout_lab.models.dropout.numerics import as_numbers

# Weights that are masked at a time, 8 MiB of float32: fewer at a time keep the cores waiting for each other.
CHUNK = 2**21


def masked_linear(x: Tensor, weight: Tensor, bias: Tensor | None, kept: Tensor) -> Tensor:
    """Return (W∘M)x + b for a keep mask M of W's shape, ``(B, outputs)``.

    On a CPU masked weights are made a few rows at a time, and again for the gradient: kept as a whole they would be a
    second copy of the weights. It takes no longer.
    """
    plain = (
        torch.compiler.is_compiling() or torch.is_autocast_enabled(x.device.type) or x.device.type != "cpu"
    )
    if plain:
        return F.linear(x, weight * kept, bias)
    out: Tensor = MaskedLinear.apply(x, weight, kept)
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
        """Return the gradients of x and W."""
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
