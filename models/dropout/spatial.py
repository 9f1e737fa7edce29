"""Spatial dropout: whole channels drop."""

from typing import final

import torch
from torch import Tensor

from dropout_lab.models.dropout.base import RateDropout
from dropout_lab.models.dropout.standard import bernoulli_mask, masked


@final
class SpatialDropout(RateDropout):
    """Zeroes each channel of each sample with probability p, and divides kept ones by 1 − p. In evaluation: x.

    Where x is ``(B, D)`` each unit is a channel. The same as ``torch.nn.Dropout2d``.

    Source: J. Tompson et al., *Efficient object localization using convolutional networks*, 2015,
    arXiv:1411.4280.

    Args:
        p: probability of dropping, in [0, 1).
    """

    def forward(self, x: Tensor, target: Tensor | None = None, weight: Tensor | None = None) -> Tensor:
        if not self.drops:
            return x
        channels = torch.empty((*x.shape[:2], *(1 for _ in x.shape[2:])), device=x.device)
        self.kept = kept = bernoulli_mask(channels, self.drop_probability)
        return masked(x, kept, self.drop_probability, inverted=True)
