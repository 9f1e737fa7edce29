"""Nested dropout: units drop from the end, so that they are ordered by importance."""

from typing import final

import torch
from torch import Tensor

from dropout_lab.models.dropout.base import RateDropout
from dropout_lab.models.dropout.numerics import as_numbers, units_of


@final
class NestedDropout(RateDropout):
    """Keeps the first b units of each sample, b ~ Geometric(p): P(b) = p·(1 − p)^(b−1), b = 1, 2, …

    Units with an index above b, counted from 1, are 0; kept ones are not scaled. In evaluation: x.

    Source: O. Rippel, M. Gelbart, R. Adams, *Learning ordered representations with nested dropout*, 2014,
    arXiv:1402.0915. Departure: its unit sweeping, which freezes units that have converged, is left out.

    Args:
        p: parameter of the geometric distribution, in (0, 1]; on average 1/p units are kept.
    """

    def __init__(self, p: float) -> None:
        super().__init__(p)

    def check_rate(self, p: float) -> None:
        if not 0 < p <= 1:
            raise ValueError(f"p must be in (0, 1], got {p}")

    def forward(self, x: Tensor, target: Tensor | None = None, weight: Tensor | None = None) -> Tensor:
        if not self.drops:
            return x
        # 1 − u is in (0, 1], where the logarithm is finite; at p = 1 the quotient is 0 and one unit is kept.
        uniform = 1 - torch.rand(len(x), 1, device=x.device, dtype=torch.float32)
        last = 1 + (uniform.log() / torch.log1p(-self.drop_probability)).floor()
        index = torch.arange(1, units_of(x).shape[1] + 1, device=x.device)
        self.kept = kept = (index <= last).view(x.shape)
        return x * as_numbers(kept, x.dtype)
