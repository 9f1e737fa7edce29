"""DropCorr: units that are active together drop together."""

import math
from typing import Any, Literal, final

import torch
import torch.nn.functional as F
from torch import Tensor, distributed

from dropout_lab.models.dropout.base import RateDropout, check_choice, check_count
from dropout_lab.models.dropout.numerics import Of, count_and_share, largest, per_sample, share_of, units_of
from dropout_lab.models.dropout.standard import masked

Center = Literal["unit", "sample"]
Mask = Literal["sample", "batch"]

STATE = ("kept_rows", "kept_steps_left", "kept_estimates")
"""What the state dict has of a covariance that is kept."""


def correlated_normal(units: Tensor, center: Center, draws: int) -> Tensor:
    """Draw vectors from N(0, S), S = Σₙ x_c x_cᵀ over the batch, up to a positive factor.

    With X_c the centred activations and z ~ N(0, I_B), X_cᵀ z has exactly this law, at a cost of B·D a draw; the
    D × D matrix is never formed. The factor keeps large activations finite and leaves every ranking alone.

    Units are ``(B, D)``, float32 or float64, the vectors ``(draws, D)``.
    """
    noise = torch.randn(draws, len(units), device=units.device, dtype=units.dtype)
    # The noise takes the factor, the smaller of the two matrices; where it would be infinite it takes the most it can.
    return product(noise / half_of_largest(units), half_centred(units, center))


def half_of_largest(units: Tensor) -> Tensor:
    """Return max |x| / 2, a scalar by which :func:`half_centred` can be divided."""
    low, high = units.aminmax()
    return (0.5 * torch.maximum(-low, high)).clamp(min=16 * torch.finfo(units.dtype).tiny)


def half_centred(units: Tensor, center: Center) -> Tensor:
    """Return X_c / 2, ``(B, D)``."""
    dim = 0 if center == "unit" else 1
    if units.dtype == torch.float64:
        # There is no wider type for the sums.
        mean = (units / units.shape[dim]).sum(dim, keepdim=True)
    else:
        mean = units.mean(dim, keepdim=True, dtype=torch.float64)
    # Halves: the largest number less its negative is infinite.
    return torch.add(-0.5 * mean.to(units.dtype), units, alpha=0.5)


def product(noise: Tensor, rows: Tensor) -> Tensor:
    """Return noise · rows in the type that they have, under autocast too."""
    with torch.autocast(rows.device.type, enabled=False):
        return noise @ rows


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

    With ``keep`` above 1 the covariance is estimated anew after so many training steps, and kept between: **another
    law**. A step's s is N(0, S₀) of the batch that was last estimated from, not N(0, S) of its own, so that its mask is
    independent of its activations given that batch; only in a step that estimates is it the source's law. The n-th
    estimate, from 0, is kept for ⌊keep·growthⁿ⌋ steps: the source's "do it every N", with an N that grows as the
    weights come to rest. There it is to save time; here it saves none, since X_c of that batch is kept and S₀ is never
    formed either. What is kept is in the state dict, so that a resumed run goes on with it; evaluation leaves it alone,
    where it samples. Under DDP each rank keeps its own until :meth:`synchronize`, which gives all of them rank 0's.

    Args:
        p: share of units to drop, in [0, 1).
        center: subtract each ``"unit"``'s mean over the batch, or each ``"sample"``'s mean over its units.
        mask: one s for each ``"sample"``, or one for the ``"batch"``; samples that share s share the mask too, unless
            each has its own positive units to drop from.
        rescale: divide kept units by the kept share, 1 − k/N or 1 − k/N₊; the source does not.
        of: ``"all"`` or ``"positive"``: the units of which p is a share.
        keep: training steps that share an estimate of the covariance, 1 or more; 1 is the source's algorithm.
        growth: what the number of steps is multiplied by from one estimate to the next, 1 or more.
    """

    shown = (
        "p={0.p}, center={0.center!r}, mask={0.mask!r}, rescale={0.rescale}, of={0.of!r}, keep={0.keep}, "
        "growth={0.growth}"
    )
    # X_c of the batch last estimated from, up to a factor; no buffer: its batch is the rank's own.
    _rows: Tensor

    def __init__(
        self,
        p: float = 0.2,
        center: Center = "unit",
        mask: Mask = "sample",
        rescale: bool = False,
        of: Of = "all",
        keep: int = 1,
        growth: float = 1.0,
    ) -> None:
        super().__init__(p)
        check_choice("center", center, Center)
        check_choice("mask", mask, Mask)
        check_choice("of", of, Of)
        check_count("keep", keep, least=1)
        if not 1 <= growth < math.inf:
            raise ValueError(f"growth must be a number of 1 or more, got {growth}")
        if keep == 1 and growth != 1:
            raise ValueError(f"keep must be 2 or more for growth={growth:g} to act on, got {keep}")
        self.center = center
        self.mask = mask
        self.rescale = rescale
        self.of = of
        self.keep = keep
        self.growth = growth
        self._rows = torch.empty(0, 0)
        # Steps for which the rows still hold, and how many estimates there were.
        self._left = torch.zeros((), dtype=torch.int64)
        self._estimates = torch.zeros((), dtype=torch.int64)

    def forward(self, x: Tensor, target: Tensor | None = None, weight: Tensor | None = None) -> Tensor:
        if not self.drops:
            return x
        with torch.no_grad():
            units = units_of(x.detach())
            draws = len(units) if self.mask == "sample" else 1
            scores = (
                correlated_normal(units, self.center, draws)
                if self.keep == 1
                else self._kept_normal(units, draws)
            )
            if self.of == "positive":
                scores = torch.where(units > 0, scores, -math.inf)
            count, share_dropped = count_and_share(units, self.drop_probability, self.of)
            dropped = largest(scores, share_of(self.eager_p(), units.shape[1]), count, never=-math.inf)
        self.kept = kept = ~dropped.view(-1, *x.shape[1:])
        return masked(x, kept, per_sample(share_dropped, x), inverted=self.rescale)

    def _kept_normal(self, units: Tensor, draws: int) -> Tensor:
        """Draw from N(0, S₀) up to a factor, S₀ of this batch if an estimate is due, else the kept one."""
        own = half_centred(units, self.center) / half_of_largest(units)
        kept, left, estimates = (each.to(own.device) for each in (self._rows, self._left, self._estimates))
        if kept.shape[1] not in (0, own.shape[1]):
            raise ValueError(
                f"the covariance that is kept is of {kept.shape[1]} units, and x has {own.shape[1]}"
            )
        # Rows of 0 add nothing to a covariance: one room for batches of all sizes.
        room = max(len(kept), len(own))
        own = F.pad(own, (0, 0, 0, room - len(own)))
        kept = F.pad(kept.to(own.dtype), (0, own.shape[1] - kept.shape[1], 0, room - len(kept)))
        # Tensors, no branch: a number that changes from step to step would compile anew at each.
        due = left == 0
        rows = torch.where(due, own, kept)
        if self.training:
            steps = (self.keep * self.growth ** estimates.double()).clamp(max=2.0**52).floor().long()
            self._rows, self._left, self._estimates = rows, torch.where(due, steps, left) - 1, estimates + due
        return product(torch.randn(draws, room, device=units.device, dtype=units.dtype), rows)

    def synchronize(self) -> None:
        if self.keep == 1 or not (distributed.is_available() and distributed.is_initialized()):
            return
        # NCCL sends from its GPU alone.
        rows = self._rows.to(self.drop_probability.device)
        # Of an epoch of one batch a rank may have one image more than others, and a broadcast has one shape.
        room = torch.tensor(len(rows), device=rows.device)
        distributed.all_reduce(room, distributed.ReduceOp.MAX)
        self._rows = F.pad(rows, (0, 0, 0, int(room) - len(rows))).contiguous()
        distributed.broadcast(self._rows, 0)

    def own(self) -> None:
        super().own()
        self._rows, self._left, self._estimates = (
            each.clone() for each in (self._rows, self._left, self._estimates)
        )

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        if self.keep > 1:
            for key, value in zip(STATE, (self._rows, self._left, self._estimates), strict=True):
                destination[prefix + key] = value.clone()

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        if self.keep > 1:
            _, _, missing_keys, _, _ = rest
            values = [state_dict.pop(prefix + key, None) for key in STATE]
            missing_keys += [prefix + key for key, value in zip(STATE, values, strict=True) if value is None]
            if all(value is not None for value in values):
                self._rows, self._left, self._estimates = (value.clone() for value in values)
        super()._load_from_state_dict(state_dict, prefix, *rest)
