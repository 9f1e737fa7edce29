"""DropAct and DropInv: a fixed number of units, drawn by their activation."""

from abc import ABC, abstractmethod
from typing import final

import torch
from torch import Tensor

from models.dropout.base import RateDropout
from models.dropout.select import largest, share_of, share_tensor, units_of


def draw_without_replacement(log_weight: Tensor, count: int, count_tensor: Tensor) -> Tensor:
    """Mark ``count`` units of each sample, drawn one after another without replacement by their weights.

    The k smallest of E_i/w_i, E_i exponential, are such a sequence exactly (an exponential race; equally the k
    largest of log w_i + Gumbel noise, which is what is computed: it neither over- nor underflows).

    Args:
        log_weight: logarithm of the weights, ``(B, D)``; −∞ is never drawn.
        count: how many of each row.
        count_tensor: the same as a tensor (:func:`models.dropout.select.largest`).

    Returns:
        Bool, ``(B, D)``; fewer than ``count`` in a row that has fewer weights above 0.
    """
    # 1 − u is in (0, 1], where −log is finite; log(−log) is −∞ at 1 − u = 1, the first to be drawn.
    uniform = 1 - torch.rand(log_weight.shape, device=log_weight.device, dtype=torch.float32)
    possible = log_weight > -torch.inf
    # Without the where, −∞ + ∞ is NaN, which sorts above every number and would take a place.
    keys = torch.where(possible, log_weight - (-uniform.log()).log(), -torch.inf)
    return largest(keys, count, count_tensor) & possible


class ActivationDropout(RateDropout, ABC):
    """Drops k = ⌊pN⌋ of a sample's N units, drawn one after another without replacement by their activation.

    Only positive units can be drawn. Where fewer than k are, all of them drop, and ``shortfall`` counts how
    many drops were missing, over all training forwards so far.

    Args:
        p: share of units to drop, in [0, 1).
        rescale: divide kept units by the kept share 1 − k/N.

    Raises:
        ValueError: p is out of range.
    """

    def __init__(self, p: float, rescale: bool) -> None:
        """Check p and store it."""
        super().__init__(p)
        self.rescale = rescale
        self.shortfall = torch.zeros((), dtype=torch.int64)

    @staticmethod
    @abstractmethod
    def log_weight(units: Tensor) -> Tensor:
        """Return the logarithm of positive units' weights, ``(B, D)``."""

    def forward(self, x: Tensor, target: Tensor | None = None, weight: Tensor | None = None) -> Tensor:
        """Drop units of x; labels and weight are ignored."""
        if not self.drops:
            return x
        with torch.no_grad():
            units = units_of(x.detach())
            positive = units > 0
            log_weight = torch.where(positive, self.log_weight(torch.where(positive, units, 1.0)), -torch.inf)
            count = share_tensor(self.drop_probability, units.shape[1])
            dropped = draw_without_replacement(log_weight, share_of(self.p, units.shape[1]), count)
            if self.training:
                self.shortfall = self.shortfall.to(x.device) + (count - positive.sum(1)).clamp(min=0).sum()
        kept = ~dropped.view(x.shape)
        self.kept = kept
        if not self.rescale:
            return x * kept
        return x * (kept / (1 - count / units.shape[1])).to(x.dtype)

    def extra_repr(self) -> str:
        """Show the arguments."""
        return f"{super().extra_repr()}, rescale={self.rescale}"


@final
class DropAct(ActivationDropout):
    """Drops ⌊pN⌋ units of each sample, the more active the likelier: weight x if x > 0, else 0. Evaluation: x.

    Source: I. M. Gavier, *Activation Dropout, Inverse Dropout and Correlated Dropout*, §3.1, algorithm 1. It
    draws in a loop over k; here one selection does, with the same inclusion probabilities exactly.

    Args:
        p: share of units to drop, in [0, 1).
        rescale: divide kept units by the kept share 1 − k/N; the source does not.

    Raises:
        ValueError: p is out of range.
    """

    def __init__(self, p: float = 0.2, rescale: bool = False) -> None:
        """Check p and store it."""
        super().__init__(p, rescale)

    @staticmethod
    def log_weight(units: Tensor) -> Tensor:
        """Return log x."""
        return units.log()


@final
class DropInv(ActivationDropout):
    """Drops ⌊pN⌋ units of each sample, the less active the likelier: weight 1/x if x > 0, else 0. Evaluation: x.

    Source: I. M. Gavier, *Activation Dropout, Inverse Dropout and Correlated Dropout*, §3.2, algorithm 2. It
    draws in a loop over k; here one selection does, with the same inclusion probabilities exactly.

    Args:
        p: share of units to drop, in [0, 1).
        rescale: divide kept units by the kept share 1 − k/N; the source does not.

    Raises:
        ValueError: p is out of range.
    """

    def __init__(self, p: float = 0.2, rescale: bool = False) -> None:
        """Check p and store it."""
        super().__init__(p, rescale)

    @staticmethod
    def log_weight(units: Tensor) -> Tensor:
        """Return log 1/x."""
        return -units.log()
