"""Spatial dropout against loops over channels and its law."""

import numpy as np
import pytest
import torch
from torch import nn

from dropout_lab.models.dropout import SpatialDropout


@pytest.mark.parametrize("shape", [(6, 5), (4, 3, 2, 5)])
def test_training_equals_a_loop_over_channels(shape: tuple[int, ...]) -> None:
    layer, x = SpatialDropout(0.3), torch.randn(shape, dtype=torch.float64)
    out = layer(x)
    assert layer.kept is not None
    assert layer.kept.shape == (*shape[:2], *(1 for _ in shape[2:]))
    expected = np.zeros(shape)
    for n, c in np.ndindex(*shape[:2]):
        if layer.kept[n, c].item():
            expected[n, c] = x[n, c].numpy() / (1 - 0.3)
    np.testing.assert_allclose(out.numpy(), expected, rtol=1e-6)


@pytest.mark.parametrize("p", [0.0, 0.2, 0.7])
def test_channels_drop_independently_with_probability_p(p: float) -> None:
    layer, count = SpatialDropout(p), 100_000
    layer(torch.ones(count // 50, 50, 2, 2))
    assert layer.kept is not None
    kept = layer.kept.squeeze()
    assert kept.double().mean().item() == pytest.approx(1 - p, abs=5 * (p * (1 - p) / count) ** 0.5 + 1e-12)
    both = (kept[:, ::2] & kept[:, 1::2]).double().mean().item()
    square = (1 - p) ** 2
    assert both == pytest.approx(square, abs=5 * (square * (1 - square) / count * 2) ** 0.5 + 1e-12)


def test_training_and_evaluation_agree_in_the_mean() -> None:
    layer, x, draws = SpatialDropout(0.4), torch.randn(1, 6, 2, 2, dtype=torch.float64), 20_000
    out = layer(x.expand(draws, -1, -1, -1))
    assert layer.eval()(x) is x
    assert ((out.mean(0) - x[0]).abs() < 5 * out.std(0) / draws**0.5).all()


def test_gives_the_values_of_torchs() -> None:
    x = torch.ones(100, 100, 2, 2)
    assert set(SpatialDropout(0.25)(x).unique().tolist()) == set(nn.Dropout2d(0.25)(x).unique().tolist())


def test_gradient_with_a_fixed_mask() -> None:
    layer = SpatialDropout(0.5)

    def forward(units: torch.Tensor) -> torch.Tensor:
        torch.manual_seed(1)
        out: torch.Tensor = layer(units)
        return out

    assert torch.autograd.gradcheck(forward, torch.randn(2, 3, 2, 2, dtype=torch.float64, requires_grad=True))
