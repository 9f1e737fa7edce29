"""Curves over the input, against many draws."""

import pytest
import torch

from dropout_lab.models.dropout import DropAlan, Dropout, NoDropout, Pointwise, StandardDropout

DRAWS = 40_000
X = torch.tensor([-5.0, -1.5, -1.0, -0.5, 0.0, 0.5, 2.0])
LAYERS = [
    NoDropout(),
    StandardDropout(0.3),
    StandardDropout(0.3, inverted=False),
    DropAlan("alpha"),
    DropAlan("beta"),
    DropAlan("beta", scaled=True, max_drop=0.95),
    DropAlan("beta", min_drop=0.5, saturation=1.0, negative_slope=0.5),
]


@pytest.mark.parametrize("layer", LAYERS, ids=repr)
def test_the_curves_are_what_many_draws_give(layer: Dropout) -> None:
    assert isinstance(layer, Pointwise)
    out = layer(X.expand(DRAWS, -1))
    assert layer.kept is not None
    assert layer.drop_curve(X).tolist() == pytest.approx((1 - layer.kept.float().mean(0)).tolist(), abs=0.01)
    # Of a unit of −5 that is kept 1 time of 20 and then multiplied by 20, the mean of draws is itself noisy.
    error = (4 * out.std(0) / DRAWS**0.5).clamp(min=1e-5)
    assert ((layer.expectation(X) - out.mean(0)).abs() <= error).all()


def test_shape_and_dtype() -> None:
    for layer in LAYERS:
        assert isinstance(layer, Pointwise)
        x = torch.zeros(2, 3, dtype=torch.float64)
        assert layer.drop_curve(x).shape == layer.expectation(x).shape == (2, 3)
        assert layer.expectation(x).dtype == torch.float64
