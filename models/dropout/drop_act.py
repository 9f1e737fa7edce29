"""DropAct and DropInv: a fixed number of units, drawn by their activation."""

import math
from abc import ABC, abstractmethod
from typing import final

import torch
from torch import Tensor

from dropout_lab.models.dropout.base import RateDropout, check_choice
from dropout_lab.models.dropout.numerics import Of, count_and_share, largest, per_sample, share_of, units_of
from dropout_lab.models.dropout.standard import masked

# The least share of a sample's largest unit that is told from less: −log u of it is still finite in float32.
LEAST_SHARE = 1e-37


class ActivationDropout(RateDropout, ABC):
    """Drops k units of each sample, drawn one after another without replacement by their activation.

    With ``of="all"``, as the source prints it, k = ⌊pN⌋ of all N units, and only positive ones can be drawn: behind a
    ReLU with half of its units at 0, p = 0.5 drops nearly every unit that is left, and little is learned. Where fewer
    than k are positive, all of them drop, and ``shortfall`` counts how many drops were missing, over all training
    forwards so far; where it grows, samples keep no positive unit. With ``of="positive"`` k = ⌊p·N₊⌋ of the sample's N₊
    positive units: a share p of what is active drops, and nothing is ever missing.

    The k smallest of E_i/w_i, E_i exponential, are such a sequence exactly: an exponential race, for one logarithm
    and one selection where the source draws in a loop over k.

    Source: I. M. Gavier, *Activation Dropout, Inverse Dropout and Correlated Dropout*, §3.

    Args:
        p: share of units to drop, in [0, 1).
        rescale: divide kept units by the kept share, 1 − k/N or 1 − k/N₊; the source does not.
        of: ``"all"`` or ``"positive"``: the units of which p is a share.
    """

    shown = "p={0.p}, rescale={0.rescale}, of={0.of!r}"

    def __init__(self, p: float = 0.2, rescale: bool = False, of: Of = "all") -> None:
        super().__init__(p)
        check_choice("of", of, Of)
        self.rescale = rescale
        self.of = of
        self.shortfall = torch.zeros((), dtype=torch.int64)

    @staticmethod
    @abstractmethod
    def race(log_uniform: Tensor, share: Tensor) -> Tensor:
        """Return −E/w, the negative time at which a unit is drawn.

        ``log_uniform`` is −E, ``(B, D)``, below 0; ``share`` are the activations, of the sample's largest, in (0, 1].
        """

    def forward(self, x: Tensor, target: Tensor | None = None, weight: Tensor | None = None) -> Tensor:
        if not self.drops:
            return x
        with torch.no_grad():
            units = units_of(x.detach())
            # The race is the same in any unit of measure; in this one, no activation is too large or too small.
            top = units.amax(1, keepdim=True)
            share = (units / torch.where(top > 0, top, 1.0)).clamp_(min=LEAST_SHARE)
            # Without 0 and 1, whose logarithms would put a unit out of the race or end it.
            log_uniform = torch.empty(units.shape, device=x.device).uniform_(2**-25, 1 - 2**-24).log_()
            count, share_dropped = count_and_share(units, self.drop_probability, self.of)
            # 1 − 1/1 for positive units, 1 − 1/0 for all others: a where takes ten times as long on a CPU.
            never = 1 - units.sign().clamp_(min=0).reciprocal_()
            times = self.race(log_uniform, share) + never
            dropped = largest(times, share_of(self.eager_p(), units.shape[1]), count, never=-math.inf)
            if self.training:
                self.shortfall = (
                    self.shortfall.to(x.device) + count.expand(len(x), 1).sum() - dropped.count_nonzero()
                )
        self.kept = kept = ~dropped.view(x.shape)
        return masked(x, kept, per_sample(share_dropped, x), inverted=self.rescale)

    def own(self) -> None:
        super().own()
        self.shortfall = self.shortfall.clone()


@final
class DropAct(ActivationDropout):
    """Drops so many units of each sample, the more active the likelier: weight x if x > 0, else 0. Evaluation: x.

    Source: Gavier's algorithm 1 (:class:`ActivationDropout`).
    """

    @staticmethod
    def race(log_uniform: Tensor, share: Tensor) -> Tensor:
        return log_uniform / share


@final
class DropInv(ActivationDropout):
    """Drops so many units of each sample, the less active the likelier: weight 1/x if x > 0, else 0. Evaluation: x.

    Source: Gavier's algorithm 2 (:class:`ActivationDropout`).
    """

    @staticmethod
    def race(log_uniform: Tensor, share: Tensor) -> Tensor:
        return log_uniform * share
