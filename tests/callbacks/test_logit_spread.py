"""Sums over batches against the whole, by NumPy in float64."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from dropout_lab.callbacks.collapse_detector import LogitSpread


def in_batches(logits: Tensor, target: Tensor, sizes: list[int]) -> LogitSpread:
    first, *rest = [
        LogitSpread.of(*pair)
        for pair in zip(torch.split(logits, sizes), torch.split(target, sizes), strict=True)
    ]
    for part in rest:
        first = first + part
    return first


@pytest.mark.parametrize(("offset", "scale"), [(0.0, 1.0), (100.0, 1e-3), (-1000.0, 5.0)])
def test_batches_add_up_to_the_whole(offset: float, scale: float) -> None:
    logits = offset + scale * torch.randn(137, 7)
    target = torch.randint(0, 7, (137,))
    seen = in_batches(logits, target, [64, 1, 72])
    exact = logits.numpy().astype(np.float64)
    assert int(seen.count) == 137
    assert seen.largest_deviation == pytest.approx(exact.std(0).max(), rel=1e-3)
    losses = np.log(np.exp(exact - offset).sum(1)) - (exact - offset)[np.arange(137), target.numpy()]
    assert seen.mean_loss == pytest.approx(losses.mean(), rel=1e-4)
    assert torch.equal(seen.lowest, logits.amin(0))
    assert torch.equal(seen.highest, logits.amax(0))
    assert not seen.constant
    assert seen.guessing == math.log(7)


def test_constant_logits_do_not_vary_by_a_bit() -> None:
    logits = torch.full((10, 3), 0.3)
    target = torch.zeros(10, dtype=torch.int64)
    seen = in_batches(logits, target, [4, 6])
    assert seen.constant
    assert seen.largest_deviation < 1e-7
    assert seen.mean_loss == pytest.approx(math.log(3))
    logits[7, 1] += 1e-7
    assert not in_batches(logits, target, [4, 6]).constant


def test_halves_are_summed_in_float64() -> None:
    logits = torch.randn(1000, 3, dtype=torch.bfloat16)
    assert LogitSpread.of(logits, torch.zeros(1000, dtype=torch.int64)).mean.dtype == torch.float64
