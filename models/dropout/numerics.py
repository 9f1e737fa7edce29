"""Arithmetic that variants share: units, masks and factors in types that hold them, and choices of so many units."""

import math
from typing import Literal

import torch
from torch import Tensor

Of = Literal["all", "positive"]
"""The units of which a share drops."""


def units_of(x: Tensor) -> Tensor:
    """Return each sample's units as one set, ``(B, D)``, in float32 at least."""
    flat = x.flatten(1)
    return flat if flat.dtype == torch.float64 else flat.float()


def saturated(values: Tensor, x: Tensor) -> Tensor:
    """Return values in x's dtype; what it cannot hold becomes its largest number, not infinity."""
    limits = torch.finfo(x.dtype)
    return values.clamp(limits.min, limits.max).to(x.dtype)


def scaled(x: Tensor, factor: Tensor) -> Tensor:
    """Return x·factor in x's dtype, for a float32 factor of x's shape.

    float16 is multiplied in float32: a factor above 65,504 would be infinite there, and 0 times it NaN. All other types
    have the range of float32.
    """
    return (x * factor).to(x.dtype) if x.dtype == torch.float16 else x * factor.to(x.dtype)


def as_numbers(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """Return 1 where a bool mask is True and 0 elsewhere.

    On a CPU a product with bools takes four times as long as one with these, and so does a ``where``.
    """
    # By way of bytes, in a tenth of the time; compiled code does it all in one go.
    return mask.to(dtype) if torch.compiler.is_compiling() else mask.view(torch.uint8).to(dtype)


def largest(scores: Tensor, count: int, count_tensor: Tensor, never: float = math.nan) -> Tensor:
    """Mark the ``count`` largest scores of each row, bool ``(B, D)``; of equal ones, any; NaN is above ∞.

    Compiled code, which sorts, reads ``count_tensor``, the same as a 0-d tensor: a Python number would be a constant
    of the graph, and another one would recompile. With a ``count_tensor`` of ``(B, 1)`` each row has its own number,
    ``count`` at most. Scores of ``never`` are not marked, even if fewer are then; NaN for none.
    """
    marked = torch.zeros_like(scores, dtype=torch.bool)
    if torch.compiler.is_compiling():
        values, order = scores.sort(dim=1, descending=True, stable=True)
        first = torch.arange(scores.shape[1], device=scores.device) < count_tensor
        return marked.scatter(1, order, first & (values != never))
    each = count_tensor.dim() > 0
    top = scores.topk(count, dim=1, sorted=each)
    found = top.values != never
    if each:
        found &= torch.arange(count, device=scores.device) < count_tensor
    return marked.scatter_(1, top.indices, found)


# A product of p in float32 and a number of units is below the true one by up to this share.
ROUNDING = 1 + 1e-7


def share_of(p: float, units: int) -> int:
    """Return ⌊p·N⌋ of N units, as if p were exact; for eager code (:func:`share_tensor`)."""
    return min(math.floor(p * units * ROUNDING), units - 1)


def share_tensor(p: Tensor, units: int) -> Tensor:
    """Return ⌊p·N⌋ of N units as a 0-d tensor, as if p were exact."""
    return (p.double() * units * ROUNDING).floor().clamp(max=units - 1).long()


def count_and_share(units: Tensor, p: Tensor, of: Of) -> tuple[Tensor, Tensor]:
    """Return how many of a sample's units drop, k = ⌊p·N⌋, and k/N, of units ``(B, D)``.

    Of ``"all"`` N is D, and both are 0-d; of the ``"positive"`` N is their number in each sample, and both are
    ``(B, 1)``, 0 where there are none. k is never more than ⌊p·D⌋.
    """
    if of == "all":
        count = share_tensor(p, units.shape[1])
        return count, count / units.shape[1]
    positive = (units > 0).sum(1, keepdim=True)
    count = torch.minimum((p.double() * positive * ROUNDING).floor().long(), positive - 1).clamp(min=0)
    return count, count / positive.clamp(min=1)


def per_sample(numbers: Tensor, x: Tensor) -> Tensor:
    """Return one number for all samples, or one for each, ``(B, 1)``, in a shape that goes with x's."""
    return numbers.view(-1, *(1 for _ in x.shape[1:]))
