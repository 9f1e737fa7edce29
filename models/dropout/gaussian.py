"""Gaussian dropout: multiplicative normal noise in the place of a mask."""

from typing import Literal, final

import torch
from torch import Tensor

from dropout_lab.models.dropout.base import RateDropout, check_choice
from dropout_lab.models.dropout.numerics import saturated, scaled

Noise = Literal["one", "zero"]


def multiplicative_noise(x: Tensor, noise: Tensor, variance: Tensor) -> Tensor:
    """Return x·(1 + √variance·ε) for standard normal noise ε."""
    return x * (1 + variance.sqrt() * noise).to(x.dtype)


@final
class GaussianDropout(RateDropout):
    """x·N(1, α), α = p/(1 − p): the mean and the variance of inverted standard dropout. In evaluation: x.

    ``noise="zero"`` is x·N(0, α²), as Gavier prints it, who writes N(0, α) and calls α the standard deviation. That is
    not the same thing: the output's mean over draws is 0 and not x, which is what evaluation passes; each unit's sign
    is a coin's, and so is that of the gradient that goes back through it, whose mean is 0 too; and a p of 0, which
    elsewhere drops nothing, leaves 0 of every unit.

    Source: S. Wang, C. Manning, *Fast dropout training*, 2013; Srivastava et al. 2014, JMLR 15, §10: α is the variance
    and the mean is 1. ``noise="zero"``: I. M. Gavier, *Activation Dropout, Inverse Dropout and Correlated Dropout*, §2.

    Args:
        p: rate of the standard dropout with the same noise, in [0, 1).
        noise: its mean: ``"one"``, or ``"zero"`` as printed.
    """

    shown = "p={0.p}, noise={0.noise!r}"

    def __init__(self, p: float = 0.5, noise: Noise = "one") -> None:
        super().__init__(p)
        check_choice("noise", noise, Noise)
        self.noise = noise

    def forward(self, x: Tensor, target: Tensor | None = None, weight: Tensor | None = None) -> Tensor:
        if not self.drops:
            return x
        noise = torch.randn(x.shape, device=x.device, dtype=torch.float32)
        alpha = self.drop_probability / (1 - self.drop_probability)
        if self.noise == "zero":
            return saturated(scaled(x, alpha * noise), x)
        return multiplicative_noise(x, noise, alpha)
