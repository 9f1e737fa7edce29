"""DropAlan against loops, its rates and its two kinds of evaluation."""

from typing import Literal

import numpy as np
import pytest
import torch
from torch import nn

from dropout_lab.models.dropout import DropAlan
from dropout_lab.models.dropout.drop_alan import drop_alan, drop_probability

Distribution = Literal["alpha", "beta"]
POINTS = [-1e30, -250.0, -50.0, -2.0, -1.0, -0.999, -0.3, -1e-30, -0.0, 0.0, 1e-30, 0.4, 7.0, 1e30]


def rate(x: float, distribution: Distribution, max_drop: float = 0.999) -> float:
    if distribution == "alpha":
        return min(max(-0.8 * x, 0.0), 0.8)
    if x >= 0:
        return 0.0
    if x > -1:
        return 0.8
    return min(1 + 0.2 / x, max_drop)


@pytest.mark.parametrize("distribution", ["alpha", "beta"])
@pytest.mark.parametrize("max_drop", [0.8, 0.95, 0.999])
def test_rate_equals_the_formula_at_each_point(distribution: Distribution, max_drop: float) -> None:
    d = drop_probability(torch.tensor(POINTS, dtype=torch.float64), distribution, max_drop)
    np.testing.assert_allclose(d.numpy(), [rate(x, distribution, max_drop) for x in POINTS], rtol=1e-14)


@pytest.mark.parametrize("distribution", ["alpha", "beta"])
@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("shape", [(6, 5), (2, 3, 4, 4)])
def test_training_equals_a_loop(distribution: Distribution, scaled: bool, shape: tuple[int, ...]) -> None:
    layer = DropAlan(distribution, scaled)
    x = 2 * torch.randn(shape, dtype=torch.float64)
    out = layer(x)
    assert layer.kept is not None
    expected = np.zeros(shape)
    for position in np.ndindex(*shape):
        value = x[position].item()
        if layer.kept[position]:
            expected[position] = value / (1 - rate(value, distribution)) if scaled else value
    np.testing.assert_allclose(out.numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize("distribution", ["alpha", "beta"])
def test_units_drop_at_their_own_rates(distribution: Distribution) -> None:
    layer, draws = DropAlan(distribution), 40_000
    layer(torch.tensor(POINTS).expand(draws, -1))
    assert layer.kept is not None
    for value, share in zip(POINTS, (~layer.kept).double().mean(0).tolist(), strict=True):
        d = rate(value, distribution)
        assert share == pytest.approx(d, abs=5 * (d * (1 - d) / draws) ** 0.5 + 1e-12)


@pytest.mark.parametrize("distribution", ["alpha", "beta"])
@pytest.mark.parametrize("scaled", [False, True])
def test_expectation_is_the_mean_of_training(distribution: Distribution, scaled: bool) -> None:
    layer, draws = DropAlan(distribution, scaled, "expectation"), 40_000
    x = torch.tensor([[-3.0, -1.0, -0.7, -0.1, 0.0, 0.6]], dtype=torch.float64)
    out = layer(x.expand(draws, -1))
    error = out.std(0) / draws**0.5
    assert ((out.mean(0) - layer.eval()(x)[0]).abs() <= 5 * error + 1e-12).all()


def test_identity_is_not_the_mean_of_training_unless_scaled() -> None:
    layer, draws = DropAlan("beta"), 40_000
    x = torch.tensor([[-3.0, -1.0, -0.7, -0.1]], dtype=torch.float64)
    out = layer(x.expand(draws, -1))
    error = out.std(0) / draws**0.5
    assert torch.equal(layer.eval()(x), x)
    assert ((out.mean(0) - x[0]).abs() > 50 * error).all()


@pytest.mark.parametrize("distribution", ["alpha", "beta"])
@pytest.mark.parametrize("scaled", [False, True])
def test_gradient_with_a_fixed_mask(distribution: Distribution, scaled: bool) -> None:
    # Away from the kinks of d at −1 and 0.
    x = torch.tensor([[-4.0, -2.0, -0.6, -0.2, 0.3, 2.0]], dtype=torch.float64, requires_grad=True)
    kept = torch.tensor([[True, False, True, True, False, True]])
    assert torch.autograd.gradcheck(
        lambda value: drop_alan(value, kept, drop_probability(value, distribution, 0.999), scaled), x
    )


def test_scaled_gradient_flows_through_the_rate() -> None:
    x = torch.tensor([[-2.0]], dtype=torch.float64, requires_grad=True)
    out = drop_alan(x, torch.tensor([[True]]), drop_probability(x, "beta", 0.999), scaled=True)
    (grad,) = torch.autograd.grad(out, x)
    # x/(1 − d) is −5·x² for x ≤ −1.
    assert grad.item() == pytest.approx(20.0)


@pytest.mark.parametrize("value", [0.0, -1.0, -1e30, 1e30])
@pytest.mark.parametrize("scaled", [False, True])
def test_gradient_is_finite_where_a_division_lurks(value: float, scaled: bool) -> None:
    x = torch.full((50, 40), value, requires_grad=True)
    DropAlan("beta", scaled)(x).sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()


def test_what_escapes_does_not_overflow_a_half() -> None:
    x = torch.full((100, 100), -1000.0, dtype=torch.float16)
    out = DropAlan("beta", scaled=True)(x)
    assert (out != 0).any()
    assert out.isfinite().all()


def test_is_the_activation() -> None:
    linear = nn.Linear(3, 4)
    stage = DropAlan().join(linear, nn.ReLU()).eval()
    x = torch.randn(5, 3)
    assert torch.equal(stage(x), linear(x))
    assert not any(isinstance(part, nn.ReLU) for part in stage.modules())
