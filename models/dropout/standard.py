"""Standard dropout: each unit is dropped on its own with probability p."""

from typing import final

import torch
from torch import Tensor

from dropout_lab.models.dropout.base import Pointwise, RateDropout
from dropout_lab.models.dropout.numerics import as_numbers, scaled


def bernoulli_mask(x: Tensor, p: Tensor) -> Tensor:
    """Draw a keep mask of x's shape, each entry True with probability 1 − p.

    The noise is float32 whatever x is: in bfloat16 a uniform number has 8 bits, and p = 0.2 would drop 20.3 %.
    """
    return torch.rand(x.shape, device=x.device, dtype=torch.float32) >= p


def masked(x: Tensor, kept: Tensor, p: Tensor, inverted: bool) -> Tensor:
    """Return x·m/(1−p) if ``inverted``, else x·m, for a keep mask m."""
    if not inverted:
        return x * as_numbers(kept, x.dtype)
    return scaled(x, as_numbers(kept, p.dtype) / (1 - p))


@final
class StandardDropout(RateDropout, Pointwise):
    """Zeroes each unit with probability p, independently.

    With m ~ Bernoulli(1 − p) per unit: ``inverted`` gives x·m/(1−p) in training and x in evaluation;
    vanilla gives x·m in training and (1−p)·x in evaluation. Both agree in the mean.

    Source: Hinton et al. 2012, arXiv:1207.0580; Srivastava et al. 2014, JMLR 15. The inverted form is the one
    of ``torch.nn.Dropout`` and of the CS 6353 notebook.

    Args:
        p: probability of dropping, in [0, 1).
        inverted: scale in training rather than in evaluation.
    """

    shown = "p={0.p}, inverted={0.inverted}"

    def __init__(self, p: float = 0.5, inverted: bool = True) -> None:
        super().__init__(p)
        self.inverted = inverted

    def forward(self, x: Tensor, target: Tensor | None = None, weight: Tensor | None = None) -> Tensor:
        if not self.drops:
            return self.expectation(x)
        self.kept = kept = bernoulli_mask(x, self.drop_probability)
        return masked(x, kept, self.drop_probability, self.inverted)

    def drop_curve(self, x: Tensor) -> Tensor:
        return self.drop_probability.to(x.dtype).expand(x.shape)

    def expectation(self, x: Tensor) -> Tensor:
        return x if self.inverted else x * (1 - self.drop_probability).to(x.dtype)
