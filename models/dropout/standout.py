"""Standout: a unit's own pre-activation says how likely it is kept."""

import math
from typing import Literal, final

import torch
from torch import Tensor, nn

from dropout_lab.models.dropout.base import Dropout, Stage, check_choice, in_float32
from dropout_lab.models.dropout.numerics import as_numbers, scaled

Gate = Literal["sigmoid", "inverted"]


def keep_probability(z: Tensor, alpha: Tensor, beta: Tensor, gate: Gate) -> Tensor:
    """Return π = g(αz + β): the logistic function, or 1 minus it for the inverted gate."""
    sign = 1.0 if gate == "sigmoid" else -1.0
    return torch.sigmoid(sign * (alpha * z + beta))


@final
class Standout(Dropout):
    """f(z)·m with m ~ Bernoulli(π), π = g(αz + β), for a pre-activation z and the stage's activation f.

    Kept units are not scaled; in evaluation f(z)·π. In a network the layer takes the place of the activation; by
    itself f is a ReLU. Where α and β are learned, their gradient is that of f(z)·π (straight through the mask).

    Source: J. Ba, B. Frey, *Adaptive dropout for training deep neural networks*, 2013. It learns α and β as a
    belief network of its own; here they are constants unless ``learnable``.

    Args:
        alpha: α.
        beta: β.
        gate: ``"sigmoid"``, or ``"inverted"``: active units are dropped.
        learnable: learn α and β.
    """

    needs_stage = True
    shown = "alpha={0.alpha.data:g}, beta={0.beta.data:g}, gate={0.gate!r}, learnable={0.learnable}"
    alpha: Tensor
    beta: Tensor

    def __init__(
        self, alpha: float = 1.0, beta: float = 0.0, gate: Gate = "sigmoid", learnable: bool = False
    ) -> None:
        super().__init__()
        check_choice("gate", gate, Gate)
        self.gate = gate
        self.learnable = learnable
        self.activation: nn.Module = nn.ReLU()
        for name, value in (("alpha", alpha), ("beta", beta)):
            if not math.isfinite(in_float32(value)):
                raise ValueError(f"{name} must be a finite number, got {value}")
            if learnable:
                self.register_parameter(name, nn.Parameter(torch.tensor(float(value))))
            else:
                self.register_buffer(name, torch.tensor(float(value)), persistent=False)

    def forward(self, x: Tensor, target: Tensor | None = None, weight: Tensor | None = None) -> Tensor:
        units: Tensor = self.activation(x)
        # Halves become float32, like the noise: in bfloat16 a probability has 8 bits.
        z = x if x.dtype == torch.float64 else x.float()
        if self.drops:
            # The mask says nothing of how the units should change; only α and β learn through it.
            z = z.detach()
        probability = keep_probability(z, self.alpha.to(z.dtype), self.beta.to(z.dtype), self.gate)
        if not self.drops:
            return units * probability.to(x.dtype)
        self.kept = kept = torch.rand(x.shape, device=x.device, dtype=torch.float32) < probability.detach()
        if self.learnable:
            change = probability - probability.detach()
            return scaled(units, as_numbers(kept, z.dtype) + change)
        return units * as_numbers(kept, x.dtype)

    def join(self, affine: nn.Module, activation: nn.Module) -> nn.Module:
        # This layer applies it itself.
        self.activation = activation
        return Stage(affine, nn.Identity(), self)
