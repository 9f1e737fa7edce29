"""Gaussian dropout: multiplicative normal noise in the place of a mask."""

from typing import final

import torch
from torch import Tensor

from dropout_lab.models.dropout.base import RateDropout


def multiplicative_noise(x: Tensor, noise: Tensor, variance: Tensor) -> Tensor:
    """Return x·(1 + √variance·ε) for standard normal noise ε."""
    return x * (1 + variance.sqrt() * noise).to(x.dtype)


@final
class GaussianDropout(RateDropout):
    """x·N(1, p/(1 − p)): the mean and the variance of inverted standard dropout. In evaluation: x.

    Source: S. Wang, C. Manning, *Fast dropout training*, 2013; Srivastava et al. 2014, JMLR 15, §10. Gavier's
    text (§2) gives the noise a mean of 0 and calls p/(1 − p) its standard deviation; it is the variance, and the
    mean is 1.

    Args:
        p: rate of the standard dropout with the same noise, in [0, 1).
    """

    def forward(self, x: Tensor, target: Tensor | None = None, weight: Tensor | None = None) -> Tensor:
        if not self.drops:
            return x
        noise = torch.randn(x.shape, device=x.device, dtype=torch.float32)
        return multiplicative_noise(x, noise, self.drop_probability / (1 - self.drop_probability))
