"""DropCorr: units that are active together drop together."""

import math
from typing import Literal, final

import torch
from torch import Tensor

from dropout_lab.models.dropout.base import RateDropout, check_choice
from dropout_lab.models.dropout.numerics import Of, count_and_share, largest, per_sample, share_of, units_of
from dropout_lab.models.dropout.standard import masked

Center = Literal["unit", "sample"]
Mask = Literal["sample", "batch"]


def correlated_normal(units: Tensor, center: Center, draws: int) -> Tensor:
    """Draw vectors from N(0, S), S = Σₙ x_c x_cᵀ over the batch, up to a positive factor.

    With X_c the centred activations and z ~ N(0, I_B), X_cᵀ z has exactly this law, at a cost of B·D a draw; the
    D × D matrix is never formed. The factor keeps large activations finite and leaves every ranking alone.

    Units are ``(B, D)``, float32 or float64, the vectors ``(draws, D)``.
    """
    dim = 0 if center == "unit" else 1
    low, high = units.aminmax()
    scale = torch.maximum(-low, high)
    # The noise takes the factor, the smaller of the two matrices; where it would be infinite it takes the most it can.
    noise = torch.randn(draws, len(units), device=units.device, dtype=units.dtype)
    noise = noise / (0.5 * scale).clamp(min=16 * torch.finfo(units.dtype).tiny)
    if units.dtype == torch.float64:
        # There is no wider type for the sums.
        mean = (units / units.shape[dim]).sum(dim, keepdim=True)
    else:
        mean = units.mean(dim, keepdim=True, dtype=torch.float64)
    # Halves: the largest number less its negative is infinite.
    centred = torch.add(-0.5 * mean.to(units.dtype), units, alpha=0.5)
    with torch.autocast(units.device.type, enabled=False):
        return noise @ centred


@final
class DropCorr(RateDropout):
    """Drops the k units with the largest entries of s ~ N(0, S), S = Σₙ x_c x_cᵀ. In evaluation: x.

    With ``of="all"``, as the source prints it, k = ⌊pN⌋ of all N units, whether they are 0 in the sample or not. Units
    that vary most drop most, which behind a ReLU are the active ones: of these more than a share p may drop. With
    ``of="positive"`` k = ⌊p·N₊⌋, and they are the ones with the largest entries among the sample's N₊ positive units.

    Source: I. M. Gavier, *Activation Dropout, Inverse Dropout and Correlated Dropout*, §3.3, algorithm 3. It
    estimates the D × D covariance at every step and pays three orders of magnitude for it; here the same law is
    drawn without it (:func:`correlated_normal`). Whose mean is subtracted, and whether samples share a mask, is
    ambiguous there: both readings are offered.

    Args:
        p: share of units to drop, in [0, 1).
        center: subtract each ``"unit"``'s mean over the batch, or each ``"sample"``'s mean over its units.
        mask: one s for each ``"sample"``, or one for the ``"batch"``; samples that share s share the mask too, unless
            each has its own positive units to drop from.
        rescale: divide kept units by the kept share, 1 − k/N or 1 − k/N₊; the source does not.
        of: ``"all"`` or ``"positive"``: the units of which p is a share.
    """

    shown = "p={0.p}, center={0.center!r}, mask={0.mask!r}, rescale={0.rescale}, of={0.of!r}"

    def __init__(
        self,
        p: float = 0.2,
        center: Center = "unit",
        mask: Mask = "sample",
        rescale: bool = False,
        of: Of = "all",
    ) -> None:
        super().__init__(p)
        check_choice("center", center, Center)
        check_choice("mask", mask, Mask)
        check_choice("of", of, Of)
        self.center = center
        self.mask = mask
        self.rescale = rescale
        self.of = of

    def forward(self, x: Tensor, target: Tensor | None = None, weight: Tensor | None = None) -> Tensor:
        if not self.drops:
            return x
        with torch.no_grad():
            units = units_of(x.detach())
            scores = correlated_normal(units, self.center, len(units) if self.mask == "sample" else 1)
            if self.of == "positive":
                scores = torch.where(units > 0, scores, -math.inf)
            count, share_dropped = count_and_share(units, self.drop_probability, self.of)
            dropped = largest(scores, share_of(self.eager_p(), units.shape[1]), count, never=-math.inf)
        self.kept = kept = ~dropped.view(-1, *x.shape[1:])
        return masked(x, kept, per_sample(share_dropped, x), inverted=self.rescale)
