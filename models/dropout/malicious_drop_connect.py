"""Malicious DropConnect: the weights that help most with a sample are those it has to do without."""

from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dropout_lab.models.dropout.base import weight_of
from dropout_lab.models.dropout.drop_connect import linear_by_sample, masked_linear, split_stage
from dropout_lab.models.dropout.mal_drop import MaliciousDropout, Mask, Omega, advantages


@final
class MaliciousDropConnect(MaliciousDropout):
    """f((W∘M)x + b): of the linear layer before the last, each sample loses the ``rho`` most helpful weights.

    A weight w_ji brings w_ji·x_i to unit j, whose part in the right class's lead is, to first order, as in
    :class:`~dropout_lab.models.dropout.MalDrop`, a_j = (1 + ω)·V[y, j] − ω·Σₖ V[k, j], V the weight of the final layer.
    Dropped are the ρ weights with the highest a_j·w_ji·x_i; the bias is not masked, and kept weights are not scaled. In
    evaluation each weight is multiplied by its pass rate. ``kept`` is None: a mask of weights says nothing about units.
    Scores and masks are B·outputs·inputs numbers.

    Source: J. Maris, I. Pashayev, *Improving Generalization of Feed-Forward Classifiers with Malicious Dropout*, §3,
    an aside ("weights which are seen as important (by some metric) on a given trial"); the metric is this project's.
    DropConnect is L. Wan et al., *Regularization of neural networks using DropConnect*, 2013. The activation is left
    out of the metric: a weight into a unit that stays at 0 without it may be dropped for nothing.

    Args:
        rho: weights to drop of each sample, 0 to outputs·inputs; settable at any time.
        omega: ω, weight of the other classes; ``"balanced"`` is 1/(classes − 1).
        mask: ``"sample"``, or ``"batch"`` for the ρ weights whose score summed over the batch is highest.
    """

    needs_stage = True

    def __init__(self, rho: int, omega: Omega = "balanced", mask: Mask = "sample") -> None:
        super().__init__(rho, omega, mask)

    @staticmethod
    def shape_of_sets(x: Tensor) -> tuple[int, ...]:
        return tuple(x.shape[1:])

    @staticmethod
    def width(x: Tensor) -> int:
        return x.shape[1]

    def choose(self, units: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        """Mark weights by what they bring, ``(B, outputs, inputs)``: bool ``(B, outputs·inputs)``."""
        lead = advantages(target, weight, self.balance(len(weight)))
        return self.highest((units * lead.unsqueeze(2)).flatten(1))

    def forward(self, x: Tensor, target: Tensor | None = None, weight: Tensor | None = None) -> Tensor:
        raise ValueError("MaliciousDropConnect masks weights: build its stage with join(linear, activation)")

    def join(self, affine: nn.Module, activation: nn.Module) -> nn.Module:
        linear, rest = split_stage("MaliciousDropConnect", affine, activation)
        # The shape alone counts.
        self.initialize_parameters(torch.empty(1, 1, 1, device="cpu").expand(1, *linear.weight.shape))
        return MaliciousDropConnectStage(linear, rest, self)


@final
class MaliciousDropConnectStage(nn.Module):
    """A linear layer that loses its most helpful weights, and its activation."""

    def __init__(self, linear: nn.Linear, activation: nn.Module, dropout: MaliciousDropConnect) -> None:
        super().__init__()
        self.affine = linear
        self.activation = activation
        self.dropout = dropout

    def forward(self, x: Tensor, target: Tensor | None = None, weight: Tensor | None = None) -> Tensor:
        bias, own = self.affine.bias, weight_of(self.affine, x)
        if not self.dropout.drops:
            rate = self.dropout.pass_rate.to(own).view_as(own)
            out = F.linear(x, own * rate, bias)
        else:
            with torch.no_grad(), torch.autocast(x.device.type, enabled=False):
                wide = torch.promote_types(own.dtype, torch.float32)
                brought = own.to(wide) * x.to(wide).unsqueeze(1)
            kept = self.dropout.passing(brought, target, weight)
            if self.dropout.mask == "batch":
                out = masked_linear(x, own, bias, kept[0])
            else:
                out = linear_by_sample(x, own, bias, kept)
        units: Tensor = self.activation(out)
        return units
