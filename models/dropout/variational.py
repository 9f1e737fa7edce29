"""Variational dropout: Gaussian noise whose strength is learned."""

import math
from typing import Literal, final

import torch
from torch import Tensor, nn
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.parameter import UninitializedParameter, is_lazy

from dropout_lab.models.dropout.base import Dropout, check_choice
from dropout_lab.models.dropout.numerics import scaled

Granularity = Literal["layer", "unit"]


def negative_kl(log_alpha: Tensor) -> Tensor:
    """Return Kingma's approximation of −KL, up to a constant, of noise of variance α.

    0.5·log α + 1.16145124·α − 1.50204118·α² + 0.58629921·α³, good for α ≤ 1.
    """
    alpha = log_alpha.exp()
    return 0.5 * log_alpha + 1.16145124 * alpha - 1.50204118 * alpha**2 + 0.58629921 * alpha**3


@final
class VariationalDropout(LazyModuleMixin, Dropout):
    """x·N(1, α) with α learned, at most 1, started at p/(1 − p). In evaluation: x.

    :meth:`kl` is the divergence that belongs in the loss; ``ImageClassifier`` adds ``kl_weight · Σ kl / N_train``.

    Source: D. Kingma, T. Salimans, M. Welling, *Variational dropout and the local reparameterization trick*, 2015,
    arXiv:1506.02557, type A (§3.1), KL by its equation 14. The noise has mean 1 and is off in evaluation; public
    re-implementations get one or the other wrong. The constant of the approximation is left out.

    Args:
        p: where α starts, α = p/(1 − p), in (0, 0.5].
        granularity: one α for the ``"layer"``, or one for each ``"unit"``.
    """

    shown = "p={0.p}, granularity={0.granularity!r}"
    log_alpha: nn.Parameter | UninitializedParameter

    def __init__(self, p: float = 0.5, granularity: Granularity = "layer") -> None:
        super().__init__()
        start = _start(p)
        check_choice("granularity", granularity, Granularity)
        self.p = p
        self.granularity = granularity
        self._units = 0
        layer = granularity == "layer"
        self.log_alpha = nn.Parameter(torch.tensor(start)) if layer else UninitializedParameter()

    def has_uninitialized_params(self) -> bool:
        return self._units == 0

    def initialize_parameters(self, x: Tensor, target: object = None, weight: object = None) -> None:
        self._units = x[0].numel()
        if isinstance(self.log_alpha, UninitializedParameter):
            self.log_alpha.materialize(x.shape[1:])
            nn.init.constant_(self.log_alpha, _start(self.p))

    def forward(self, x: Tensor, target: Tensor | None = None, weight: Tensor | None = None) -> Tensor:
        if not self.drops:
            return x
        if self.training:
            with torch.no_grad():
                # α ≤ 1: an optimizer that goes beyond is brought back, as Kingma et al. do.
                self.log_alpha.clamp_(max=0)
        noise = torch.randn(x.shape, device=x.device, dtype=torch.float32)
        if x.dtype == torch.float64:
            # A single α leaves the product in the noise's type, and its gradient too.
            noise = noise.double()
        # √α by the exponential of half: the root's derivative is infinite where α is too small for its type.
        deviation = (0.5 * self.log_alpha).exp()
        return scaled(x, 1 + deviation * noise)

    def kl(self) -> Tensor:
        # Of N(1, α) and the prior, summed over units, up to a constant.
        if is_lazy(self.log_alpha) or (self.granularity == "layer" and self._units == 0):
            raise RuntimeError("kl() of VariationalDropout needs a forward first: it sums over units")
        # In float16 the sum over a layer's units would be infinite.
        half = self.log_alpha.dtype in (torch.float16, torch.bfloat16)
        divergence = -negative_kl(self.log_alpha.float() if half else self.log_alpha)
        return divergence * self._units if self.granularity == "layer" else divergence.sum()

    def set_rate(self, p: float) -> None:
        start = _start(p)
        self.p = p
        if not is_lazy(self.log_alpha):
            nn.init.constant_(self.log_alpha, start)


def _start(p: float) -> float:
    """Return log α for α = p/(1 − p)."""
    if not 0 < p <= 0.5:
        raise ValueError(f"p must be in (0, 0.5], so that α = p/(1 − p) is at most 1, got {p}")
    return math.log(p / (1 - p))
