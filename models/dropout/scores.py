"""How much each unit helps a sample's classification: what malicious dropout ranks units by."""

import itertools
import math

import torch
import torch.nn.functional as F
from torch import Tensor

MOST_SUBSETS = 10**6

# Numbers held at a time while every unit's loss is computed: 64 MiB of float32.
CHUNK = 2**24


def contributions(units: Tensor, target: Tensor, weight: Tensor, omega: float) -> Tensor:
    """Return V_j = H_j·W[y, j] − ω·H_j·Σ_{k≠y} W[k, j], ``(B, D)``, in O(B·D).

    It is computed as H ∘ ((1 + ω)·W[y] − ω·ΣₖW[k]).
    """
    return units * ((1 + omega) * weight[target] - omega * weight.sum(0))


def losses_without(units: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Return the cross-entropy of each sample with each unit alone set to 0, ``(B, D)``.

    The logits are H·Wᵀ: the layer is handed no bias.
    """
    rows = max(1, CHUNK // (units.shape[1] * len(weight)))
    parts = []
    for h, y in zip(units.split(rows), target.split(rows), strict=True):  # type: ignore[no-untyped-call]
        logits = (h @ weight.t()).unsqueeze(1) - h.unsqueeze(2) * weight.t()
        parts.append(
            logits.logsumexp(2) - logits.gather(2, y.view(-1, 1, 1).expand(-1, h.shape[1], 1)).squeeze(2)
        )
    # Logits beyond the dtype's range tell nothing.
    return torch.cat(parts).nan_to_num(nan=0.0)


def best_subsets(units: Tensor, target: Tensor, weight: Tensor, rho: int) -> Tensor:
    """Mark the ``rho`` units of each sample whose joint loss is highest, by trying all subsets: bool ``(B, D)``.

    Raises:
        ValueError: there are more than a million subsets.
    """
    size = units.shape[1]
    if math.comb(size, rho) > MOST_SUBSETS:
        raise ValueError(
            f"score='exact' tries every subset, and there are {math.comb(size, rho):,} of rho={rho} out of {size} "
            f"units, more than {MOST_SUBSETS:,}; use score='contribution' or 'loss'"
        )
    if rho == 0:
        return torch.zeros_like(units, dtype=torch.bool)
    # Not torch.combinations, which looks at size**rho of them.
    subsets = torch.tensor(list(itertools.combinations(range(size), rho)), device=units.device)
    dropped = torch.zeros(len(subsets), size, dtype=torch.bool, device=units.device).scatter_(
        1, subsets, True
    )
    best = [
        F.cross_entropy((h * ~dropped) @ weight.t(), y.expand(len(dropped)), reduction="none").argmax()
        for h, y in zip(units, target, strict=True)
    ]
    return dropped[torch.stack(best)]
