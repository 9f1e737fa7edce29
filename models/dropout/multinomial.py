"""Multinomial dropout: units are drawn by how large they are in the batch."""

import math
from typing import final

import torch
from torch import Tensor

from dropout_lab.models.dropout.base import RateDropout
from dropout_lab.models.dropout.numerics import ROUNDING, saturated, units_of


def sampling_probabilities(units: Tensor) -> Tensor:
    """Return q_i = √E[x_i²] / Σ_j √E[x_j²] over the batch, ``(D,)`` float64; uniform where all units are 0."""
    scale = units.abs().max()
    size = (units / torch.where(scale > 0, scale, 1.0)).square().mean(0).sqrt().double()
    total = size.sum()
    return torch.where(total > 0, size / torch.where(total > 0, total, 1.0), 1 / len(size))


def draws_of(p: float, units: int) -> int:
    """Return k = round((1 − p)·D), halves up, 1 at least; for eager code (:func:`draws_tensor`)."""
    return max(1, math.floor((ROUNDING - p) * units + 0.5))


def draws_tensor(p: Tensor, units: int) -> Tensor:
    """Return k = round((1 − p)·D), halves up, 1 at least, as a 0-d tensor."""
    return ((ROUNDING - p.double()) * units + 0.5).floor().clamp(min=1)


def draw_counts(q: Tensor, samples: int, draws: int, count_tensor: Tensor) -> Tensor:
    """Return m ~ Multinomial(k; q) for each sample, ``(samples, D)`` float32, with q ``(D,)`` and k from 1 to D.

    Eager code takes k from ``draws``; compiled code draws D times and counts the first ``count_tensor``.
    """
    compiling = torch.compiler.is_compiling()
    uniform = torch.rand(samples, len(q) if compiling else draws, device=q.device, dtype=torch.float64)
    # On a GPU a running sum of fractions has no deterministic form, and PyTorch refuses it.
    on_cpu = q.is_cuda and torch.are_deterministic_algorithms_enabled()
    cumulated = q.cpu().cumsum(0).to(q.device) if on_cpu else q.cumsum(0)
    drawn = first_above(cumulated, uniform * cumulated[-1])
    counted = (
        torch.arange(len(q), device=q.device) < count_tensor if compiling else torch.ones((), device=q.device)
    )
    ones = counted.float().expand_as(uniform)
    return torch.zeros(samples, len(q), device=q.device).scatter_add(1, drawn, ones)


@final
class MultinomialDropout(RateDropout):
    """x_i·m_i/(k·q_i) with m ~ Multinomial(k; q), k = round((1 − p)·D), q_i ∝ √E[x_i²] over the batch.

    Each sample has an m of its own; units that are large in the batch are drawn more often and scaled up less, so
    the mean is x. In evaluation: x.

    Source: Z. Li, B. Gong, T. Yang, *Improved dropout for shallow and deep learning*, 2016, arXiv:1602.02220, its
    evolutional form.

    Args:
        p: share of units to do without, in [0, 1); a unit may be drawn twice, so more than p drop.
    """

    def forward(self, x: Tensor, target: Tensor | None = None, weight: Tensor | None = None) -> Tensor:
        if not self.drops:
            return x
        with torch.no_grad():
            units = units_of(x.detach())
            q = sampling_probabilities(units)
            draws = draws_tensor(self.drop_probability, len(q))
            counts = draw_counts(q, len(x), draws_of(self.eager_p(), len(q)), draws)
            # A unit that is 0 in the whole batch is never drawn; its quotient must not be 0/0.
            scale = (1 / torch.where(q > 0, draws * q, 1.0)).to(units.dtype)
            factor = (counts * scale.clamp(max=torch.finfo(scale.dtype).max)).view(x.shape)
        self.kept = factor > 0
        return saturated(x * factor, x)


# Cells of the table for each cumulated number: of the points, one in so many at most falls into a cell with one.
CELLS = 16


def first_above(cumulated: Tensor, points: Tensor) -> Tensor:
    """Return the index of the first cumulated number, ``(D,)``, above each point; the last index if there is none.

    Numbers are of 0 or more, the last above 0; points, of any shape, likewise, and on a CPU many more than D.
    """
    last = len(cumulated) - 1
    if torch.compiler.is_compiling() or cumulated.device.type != "cpu":
        return torch.searchsorted(cumulated, points, right=True).clamp(max=last)
    return _by_table(cumulated, points.flatten()).clamp_(max=last).view(points.shape)


def _by_table(cumulated: Tensor, points: Tensor) -> Tensor:
    """Look up most points in a table of equal cells, and search for the others: a sixth of the time.

    In which cell a number is never falls as the number grows, so all numbers of earlier cells are below a point, and
    all of later ones above. Only a point whose cell holds one must be searched for.
    """
    cells = CELLS * len(cumulated)
    scale = cells / cumulated[-1]
    inside = torch.bincount((cumulated * scale).long(), minlength=cells + 1)
    before = inside.cumsum(0) - inside
    table = torch.where(inside > 0, -1, before)
    # What rounding puts beyond the end is in the last cell.
    found = table.index_select(0, (points * scale).long().clamp_(max=len(table) - 1))
    unsure = (found < 0).nonzero().squeeze(1)
    found[unsure] = torch.searchsorted(cumulated, points[unsure], right=True)
    return found
