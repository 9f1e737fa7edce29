"""DropAlan: the drop probability follows from the unit's input, and there is no other activation."""

from typing import Literal, final

import torch
from torch import Tensor, nn

from dropout_lab.models.dropout.base import Dropout, Pointwise, Stage, check_choice, in_float32
from dropout_lab.models.dropout.numerics import as_numbers, saturated

Distribution = Literal["alpha", "beta"]
Inference = Literal["identity", "expectation"]


def drop_probability(x: Tensor, distribution: Distribution, max_drop: float) -> Tensor:
    """Return d(x): how likely a unit of input x is dropped.

    α: clip(−0.8·x, 0, 0.8). β: 0 for x ≥ 0; 0.8 for −1 < x < 0; min(1 + 0.2/x, max_drop) for x ≤ −1.
    """
    if x.dtype in (torch.float16, torch.bfloat16):
        # In bfloat16 0.999 is 1, and 1/(1 − d) infinite.
        x = x.float()
    if distribution == "alpha":
        return (-0.8 * x).clamp(0, 0.8)
    # At −1 the tail is 0.8: −1 stands in for all above, where 1/x would be a division by 0 at last.
    tail = (1 + 0.2 / x.clamp(max=-1)).clamp(max=max_drop)
    return tail * as_numbers(x < 0, x.dtype)


def drop_alan(x: Tensor, kept: Tensor, drop: Tensor, scaled: bool) -> Tensor:
    """Return x·m, or x·m/(1 − d) if ``scaled``, for a keep mask m; what x's dtype cannot hold is its limit."""
    if not scaled:
        return x * as_numbers(kept, x.dtype)
    # In float16 a unit of −66 that escapes a d of 0.999 would be infinite.
    return saturated(x * (as_numbers(kept, drop.dtype) / (1 - drop)), x)


@final
class DropAlan(Dropout, Pointwise):
    """Drops each unit with a probability d(x) of its own; the layer *is* the activation.

    Negative inputs are dropped often, so in the mean a unit looks like a ReLU's, and sometimes escapes. With
    m ~ Bernoulli(1 − d): x·m in training, or x·m/(1 − d) if ``scaled``; then the gradient flows through
    1/(1 − d) too, as in the original. In evaluation ``"identity"`` gives x, as the original does, and
    ``"expectation"`` the mean of the training output: x·(1 − d), or x if ``scaled``.

    Source: A. Casallas, *DropAlan: An Input-Weighted Approach to Dropout Regularization*, §II and §III.A. The
    scaled form was its accident, scored best, and collapsed after 50,000 iterations. Departure: the original
    divides by 0 at x = 0; here d(0) = 0 by definition.

    Args:
        distribution: ``"alpha"`` or ``"beta"``: the shape of d.
        scaled: divide kept units by 1 − d.
        inference: ``"identity"`` or ``"expectation"``.
        max_drop: the highest drop probability of β, in [0.8, 1).
    """

    needs_stage = True
    shown = (
        "distribution={0.distribution!r}, scaled={0.scaled}, inference={0.inference!r}, max_drop={0.max_drop}"
    )

    def __init__(
        self,
        distribution: Distribution = "beta",
        scaled: bool = False,
        inference: Inference = "identity",
        max_drop: float = 0.999,
    ) -> None:
        super().__init__()
        check_choice("distribution", distribution, Distribution)
        check_choice("inference", inference, Inference)
        if not 0.8 <= max_drop < 1 or in_float32(max_drop) == 1:
            raise ValueError(f"max_drop must be in [0.8, 1), got {max_drop}")
        self.distribution = distribution
        self.scaled = scaled
        self.inference = inference
        self.max_drop = max_drop

    def forward(self, x: Tensor, target: Tensor | None = None, weight: Tensor | None = None) -> Tensor:
        if not self.drops:
            return x if self.inference == "identity" else self.expectation(x)
        drop = self.drop_curve(x)
        self.kept = kept = torch.rand(x.shape, device=x.device, dtype=torch.float32) >= drop
        return drop_alan(x, kept, drop, self.scaled)

    def drop_curve(self, x: Tensor) -> Tensor:
        return drop_probability(x, self.distribution, self.max_drop)

    def expectation(self, x: Tensor) -> Tensor:
        return x if self.scaled else (x * (1 - self.drop_curve(x))).to(x.dtype)

    def join(self, affine: nn.Module, activation: nn.Module) -> nn.Module:
        # This layer is the activation.
        return Stage(affine, nn.Identity(), self)
