"""Standout: a unit's own pre-activation says how likely it is kept."""

from typing import Literal, final

import torch
from torch import Tensor, nn

from dropout_lab.models.dropout.base import Dropout, Stage
from dropout_lab.models.dropout.topk import as_numbers, scaled

GATES = {"sigmoid": 1.0, "inverted": -1.0}


def keep_probability(z: Tensor, alpha: Tensor, beta: Tensor, gate: Literal["sigmoid", "inverted"]) -> Tensor:
    """Return π = g(αz + β): the logistic function, or 1 minus it for the inverted gate."""
    return torch.sigmoid(GATES[gate] * (alpha * z + beta))


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

    Raises:
        ValueError: the gate is unknown, or a number is not finite.
    """

    needs_stage = True
    alpha: Tensor
    beta: Tensor

    def __init__(
        self,
        alpha: float = 1.0,
        beta: float = 0.0,
        gate: Literal["sigmoid", "inverted"] = "sigmoid",
        learnable: bool = False,
    ) -> None:
        """Check the arguments."""
        super().__init__()
        if gate not in GATES:
            raise ValueError(f"gate must be one of {', '.join(GATES)}, got {gate!r}")
        self.gate: Literal["sigmoid", "inverted"] = gate
        self.learnable = learnable
        self.activation: nn.Module = nn.ReLU()
        for name, value in (("alpha", alpha), ("beta", beta)):
            if not torch.tensor(value, dtype=torch.float32).isfinite():
                raise ValueError(f"{name} must be a finite number, got {value}")
            if learnable:
                self.register_parameter(name, nn.Parameter(torch.tensor(float(value))))
            else:
                self.register_buffer(name, torch.tensor(float(value)), persistent=False)

    def forward(self, x: Tensor, target: Tensor | None = None, weight: Tensor | None = None) -> Tensor:
        """Activate the pre-activation x and drop units of it; labels and weight are ignored."""
        units: Tensor = self.activation(x)
        # Halves become float32, like the noise: in bfloat16 a probability has 8 bits.
        z = x if x.dtype == torch.float64 else x.float()
        if self.drops:
            # The mask says nothing of how the units should change; only α and β learn through it.
            z = z.detach()
        probability = keep_probability(z, self.alpha.to(z.dtype), self.beta.to(z.dtype), self.gate)
        if not self.drops:
            return units * probability.to(x.dtype)
        kept = torch.rand(x.shape, device=x.device, dtype=torch.float32) < probability.detach()
        self.kept = kept
        if self.learnable:
            change = probability - probability.detach()
            return scaled(units, as_numbers(kept, z.dtype) + change)
        return units * as_numbers(kept, x.dtype)

    def join(self, affine: nn.Module, activation: nn.Module) -> nn.Module:
        """Build affine → this layer, which applies the activation itself."""
        self.activation = activation
        return Stage(affine, nn.Identity(), self)

    def extra_repr(self) -> str:
        """Show the arguments."""
        return f"alpha={self.alpha.item():g}, beta={self.beta.item():g}, gate={self.gate!r}, learnable={self.learnable}"
