"""DropAlan: the drop probability follows from the unit's input, and there is no other activation."""

from typing import Literal, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dropout_lab.models.dropout.base import Dropout, Pointwise, Stage, check_choice, in_float32
from dropout_lab.models.dropout.numerics import as_numbers, saturated

Distribution = Literal["alpha", "beta"]
Inference = Literal["identity", "expectation"]


def drop_probability(
    x: Tensor,
    distribution: Distribution,
    max_drop: float = 0.999,
    min_drop: float = 0.8,
    saturation: float = 0.2,
) -> Tensor:
    """Return d(x): how likely a unit of input x is dropped.

    α: clip(−0.8·x, 0, 0.8). β: 0 for x ≥ 0; clip(1 − saturation/|x|, min_drop, max_drop) for x < 0.
    """
    if x.dtype in (torch.float16, torch.bfloat16):
        # In bfloat16 0.999 is 1, and 1/(1 − d) infinite.
        x = x.float()
    if distribution == "alpha":
        return (-0.8 * x).clamp(0, 0.8)
    # Where d leaves min_drop. It stands in for all above, where 1/x would be a division by 0 at last.
    edge = saturation / (1 - min_drop)
    tail = (1 + saturation / x.clamp(max=-edge)).clamp(min_drop, max_drop)
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

    β in its constants, for x < 0: d = clip(1 − saturation/|x|, min_drop, max_drop), so that x·(1 − d) is
    (1 − min_drop)·x near 0, from x = −saturation/(1 − min_drop) on the constant −saturation, and from
    −saturation/(1 − max_drop) on (1 − max_drop)·x. The source's 0.2 and 0.8 bend at −1 and at −200. d is continuous but
    for its step from min_drop to 0 at x = 0, and x·(1 − d) is continuous everywhere, whatever the constants.

    Behind a leaky ReLU, with a ``negative_slope`` below 1, x stands for the leaky ReLU's output: max(z, slope·z) of the
    pre-activation z, in training and in evaluation. Behind normalization it stands where the network has one between
    affine map and activation.

    Source: A. Casallas, *DropAlan: An Input-Weighted Approach to Dropout Regularization*, §II and §III.A; the constants
    and the leaky ReLU are its future work, §V. The scaled form was its accident, scored best, and collapsed after
    50,000 iterations. Departures: the original divides by 0 at x = 0; here d(0) = 0 by definition. It prints β with the
    bend at −1, which other constants would tear; here the bend follows from them, as in its code, which clips.

    Args:
        distribution: ``"alpha"`` or ``"beta"``: the shape of d.
        scaled: divide kept units by 1 − d.
        inference: ``"identity"`` or ``"expectation"``.
        max_drop: the highest drop probability of β, in [min_drop, 1).
        min_drop: the lowest drop probability of a negative input by β, in [0, 1); the source's 0.8.
        saturation: of β: the mean output of strongly negative inputs is −saturation; in [1e-6, 1e6]; the source's 0.2.
        negative_slope: of a leaky ReLU before the layer, in [0, 1]; 1 is none, and with 0, a ReLU, nothing ever drops.
    """

    needs_stage = True
    shown = (
        "distribution={0.distribution!r}, scaled={0.scaled}, inference={0.inference!r}, max_drop={0.max_drop}, "
        "min_drop={0.min_drop}, saturation={0.saturation}, negative_slope={0.negative_slope}"
    )

    def __init__(
        self,
        distribution: Distribution = "beta",
        scaled: bool = False,
        inference: Inference = "identity",
        max_drop: float = 0.999,
        min_drop: float = 0.8,
        saturation: float = 0.2,
        negative_slope: float = 1.0,
    ) -> None:
        super().__init__()
        check_choice("distribution", distribution, Distribution)
        check_choice("inference", inference, Inference)
        if not 0 <= min_drop < 1 or in_float32(min_drop) == 1:
            raise ValueError(f"min_drop must be in [0, 1), got {min_drop}")
        if not min_drop <= max_drop < 1 or in_float32(max_drop) == 1:
            raise ValueError(f"max_drop must be in [{min_drop:g}, 1), got {max_drop}")
        if not 1e-6 <= saturation <= 1e6:
            raise ValueError(f"saturation must be in [1e-6, 1e6], got {saturation}")
        if not 0 <= negative_slope <= 1:
            raise ValueError(f"negative_slope must be in [0, 1], 1 for no leaky ReLU, got {negative_slope}")
        self.distribution = distribution
        self.scaled = scaled
        self.inference = inference
        self.max_drop = max_drop
        self.min_drop = min_drop
        self.saturation = saturation
        self.negative_slope = negative_slope

    def forward(self, x: Tensor, target: Tensor | None = None, weight: Tensor | None = None) -> Tensor:
        if not self.drops:
            return self._units(x) if self.inference == "identity" else self.expectation(x)
        units = self._units(x)
        drop = self._drop(units)
        self.kept = kept = torch.rand(x.shape, device=x.device, dtype=torch.float32) >= drop
        return drop_alan(units, kept, drop, self.scaled)

    def drop_curve(self, x: Tensor) -> Tensor:
        return self._drop(self._units(x))

    def expectation(self, x: Tensor) -> Tensor:
        units = self._units(x)
        return units if self.scaled else (units * (1 - self._drop(units))).to(x.dtype)

    def _units(self, x: Tensor) -> Tensor:
        return x if self.negative_slope == 1 else F.leaky_relu(x, self.negative_slope)

    def _drop(self, units: Tensor) -> Tensor:
        return drop_probability(units, self.distribution, self.max_drop, self.min_drop, self.saturation)

    def join(self, affine: nn.Module, activation: nn.Module) -> nn.Module:
        # This layer is the activation.
        return Stage(affine, nn.Identity(), self)
