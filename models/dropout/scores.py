"""How much each unit helps a sample's classification: what malicious dropout ranks units by."""

import itertools
import math

import torch
import torch.nn.functional as F
from torch import Tensor

MOST_SUBSETS = 10**6

# Numbers held at a time while every unit's loss is computed: 1 MiB of float32, which stays in a cache; in
# compiled code, which holds none of them, as many as keep its graph small.
CHUNK, COMPILED_CHUNK = 2**18, 2**24

# Of base 2: below it numbers are denormal, which take forty times as long, and are lost in a sum that holds a 1 anyway.
LEAST_POWER = -100.0


def contributions(units: Tensor, target: Tensor, weight: Tensor, omega: float) -> Tensor:
    """Return V_j = H_j·W[y, j] − ω·H_j·Σ_{k≠y} W[k, j], ``(B, D)``, in O(B·D).

    It is computed as H ∘ ((1 + ω)·W[y] − ω·ΣₖW[k]).
    """
    return units * ((1 + omega) * weight[target] - omega * weight.sum(0))


def losses_without(units: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Return the cross-entropy of each sample with each unit alone set to 0, ``(B, D)``.

    The logits are H·Wᵀ: the layer is handed no bias.
    """
    # To base 2, whose powers take a third of the time.
    weight = weight * math.log2(math.e)
    chunk = COMPILED_CHUNK if torch.compiler.is_compiling() else CHUNK
    rows = max(1, chunk // (units.shape[1] * len(weight)))
    parts = []
    for h, y in zip(units.split(rows), target.split(rows), strict=True):  # type: ignore[no-untyped-call]
        whole = h @ weight.t()
        logits = whole.unsqueeze(2) - h.unsqueeze(1) * weight
        top = logits.amax(1, keepdim=True)
        total = (logits - top).clamp_(min=LEAST_POWER).exp2_().sum(1)
        own = whole.gather(1, y.unsqueeze(1)) - h * weight[y]
        parts.append(total.log2_() + (top.squeeze(1) - own))
    # Logits beyond the dtype's range tell nothing.
    return torch.cat(parts).mul_(math.log(2)).nan_to_num(nan=0.0)


def best_subsets(units: Tensor, target: Tensor, weight: Tensor, rho: int) -> Tensor:
    """Mark the ``rho`` units of each sample whose joint loss is highest, by trying all subsets: bool ``(B, D)``."""
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
