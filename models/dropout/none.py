"""No dropout: the baseline of every comparison."""

from typing import final

import torch
from torch import Tensor

from dropout_lab.models.dropout.base import Dropout, Pointwise


@final
class NoDropout(Dropout, Pointwise):
    """Passes everything: y = x, in training and in evaluation."""

    def forward(self, x: Tensor, target: Tensor | None = None, weight: Tensor | None = None) -> Tensor:
        if self.drops:
            self.kept = torch.ones((), dtype=torch.bool, device=x.device).expand(x.shape)
        return x

    def drop_curve(self, x: Tensor) -> Tensor:
        return torch.zeros_like(x)

    def expectation(self, x: Tensor) -> Tensor:
        return x

    def set_rate(self, p: float) -> None:
        """Do nothing: a baseline takes the place of any variant, whatever its rate."""
