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


def general_rate(x: float, least: float, most: float, saturation: float) -> float:
    """β in its constants, piece by piece."""
    if x >= 0:
        return 0.0
    first, last = -saturation / (1 - least), -saturation / (1 - most)
    if x >= first:
        return least
    return most if x <= last else 1 - saturation / -x


@pytest.mark.parametrize("distribution", ["alpha", "beta"])
@pytest.mark.parametrize("max_drop", [0.8, 0.95, 0.999])
def test_rate_equals_the_formula_at_each_point(distribution: Distribution, max_drop: float) -> None:
    d = drop_probability(torch.tensor(POINTS, dtype=torch.float64), distribution, max_drop)
    np.testing.assert_allclose(d.numpy(), [rate(x, distribution, max_drop) for x in POINTS], rtol=1e-14)


CONSTANTS = [(0.8, 0.999, 0.2), (0.5, 0.95, 0.2), (0.0, 0.9, 1.0), (0.8, 0.8, 3.0), (0.2, 0.999, 1e-6)]


@pytest.mark.parametrize("constants", CONSTANTS)
def test_rate_equals_the_formula_whatever_the_constants(constants: tuple[float, float, float]) -> None:
    least, most, saturation = constants
    points = [*POINTS, *(-saturation / (1 - d) * by for d in (least, most) for by in (0.99, 1.0, 1.01))]
    x = torch.tensor(points, dtype=torch.float64)
    d = drop_probability(x, "beta", most, least, saturation)
    np.testing.assert_allclose(d.numpy(), [general_rate(value, *constants) for value in points], atol=1e-15)
    if constants == CONSTANTS[0]:
        np.testing.assert_allclose(d.numpy(), [rate(value, "beta") for value in points], atol=1e-15)


@pytest.mark.parametrize("constants", CONSTANTS)
def test_the_mean_is_continuous_and_saturates(constants: tuple[float, float, float]) -> None:
    least, most, saturation = constants
    layer = DropAlan(inference="expectation", max_drop=most, min_drop=least, saturation=saturation).eval()
    first, last = -saturation / (1 - least), -saturation / (1 - most)
    x = torch.linspace(2 * last, -last, 40_001, dtype=torch.float64)
    mean = layer(x)
    # No steeper than x itself anywhere: a step would be.
    assert (mean.diff() <= x.diff() * (1 + 1e-9)).all()
    level = (x <= first) & (x >= last)
    assert torch.allclose(mean[level], torch.tensor(-saturation, dtype=torch.float64), rtol=1e-6)
    assert torch.allclose(mean[x < last], (1 - most) * x[x < last], rtol=1e-9)
    near = (x < 0) & (x > first)
    assert torch.allclose(mean[near], (1 - least) * x[near], rtol=1e-9)


@pytest.mark.parametrize("slope", [0.0, 0.1, 0.7])
@pytest.mark.parametrize("scaled", [False, True])
def test_behind_a_leaky_relu_equals_a_loop(slope: float, scaled: bool) -> None:
    layer = DropAlan("beta", scaled, "expectation", 0.95, 0.5, 0.3, slope)
    z = 5 * torch.randn(6, 7, dtype=torch.float64)
    out = layer(z)
    assert layer.kept is not None
    training, mean = np.zeros((6, 7)), np.zeros((6, 7))
    for position in np.ndindex(6, 7):
        value = z[position].item()
        unit = value if value > 0 else slope * value
        d = general_rate(unit, 0.5, 0.95, 0.3)
        assert layer.drop_curve(z[position]).item() == pytest.approx(d)
        mean[position] = unit if scaled else unit * (1 - d)
        if layer.kept[position]:
            training[position] = unit / (1 - d) if scaled else unit
    np.testing.assert_allclose(out.numpy(), training, rtol=1e-12)
    np.testing.assert_allclose(layer.eval()(z).numpy(), mean, rtol=1e-12)
    layer.inference = "identity"
    assert torch.equal(layer(z), nn.functional.leaky_relu(z, slope))


def test_behind_a_relu_nothing_drops() -> None:
    layer, z = DropAlan(negative_slope=0.0), torch.randn(50, 40)
    assert torch.equal(layer(z), z.relu())
    assert layer.kept is not None
    assert layer.kept.all()


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


@pytest.mark.parametrize("scaled", [False, True])
def test_gradient_with_other_constants(scaled: bool) -> None:
    # Bends of d are at −0.6, −6 and 0.
    x = torch.tensor([[-9.0, -4.0, -0.7, -0.5, 0.3, 2.0]], dtype=torch.float64, requires_grad=True)
    kept = torch.tensor([[True, True, True, True, False, True]])
    assert torch.autograd.gradcheck(
        lambda value: drop_alan(value, kept, drop_probability(value, "beta", 0.95, 0.5, 0.3), scaled), x
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
