"""Gaussian dropout against a loop and its moments."""

import numpy as np
import pytest
import torch

from dropout_lab.models.dropout import GaussianDropout
from dropout_lab.models.dropout.gaussian import multiplicative_noise


@pytest.mark.parametrize("shape", [(4, 5), (2, 3, 2, 2)])
@pytest.mark.parametrize("p", [0.0, 0.2, 0.5, 0.9])
def test_training_equals_a_loop(shape: tuple[int, ...], p: float) -> None:
    x = torch.randn(shape, dtype=torch.float64)
    torch.manual_seed(4)
    out = GaussianDropout(p)(x)
    torch.manual_seed(4)
    noise = torch.randn(shape).double()
    expected = np.zeros(shape)
    for position in np.ndindex(*shape):
        expected[position] = x[position].item() * (1 + (p / (1 - p)) ** 0.5 * noise[position].item())
    np.testing.assert_allclose(out.numpy(), expected, rtol=1e-5)


@pytest.mark.parametrize("p", [0.2, 0.5, 0.8])
def test_mean_1_and_variance_p_over_1_minus_p(p: float) -> None:
    count, variance = 400_000, p / (1 - p)
    noise = GaussianDropout(p)(torch.ones(400, count // 400, dtype=torch.float64))
    assert noise.mean().item() == pytest.approx(1, abs=5 * (variance / count) ** 0.5)
    # The variance of a normal sample's variance is 2σ⁴/n.
    assert noise.var().item() == pytest.approx(variance, abs=5 * variance * (2 / count) ** 0.5)


def test_training_and_evaluation_agree_in_the_mean() -> None:
    layer, x, draws = GaussianDropout(0.5), torch.randn(1, 20, dtype=torch.float64), 20_000
    out = layer(x.expand(draws, -1))
    assert layer.eval()(x) is x
    assert ((out.mean(0) - x[0]).abs() < 5 * out.std(0) / draws**0.5).all()


def test_gradient_with_fixed_noise() -> None:
    x, noise = torch.randn(3, 4, dtype=torch.float64), torch.randn(3, 4, dtype=torch.float64)
    variance = torch.tensor(0.5, dtype=torch.float64)
    assert torch.autograd.gradcheck(
        lambda units: multiplicative_noise(units, noise, variance), x.requires_grad_()
    )


@pytest.mark.parametrize("shape", [(4, 5), (2, 3, 2, 2)])
@pytest.mark.parametrize("p", [0.0, 0.2, 0.9])
def test_noise_as_printed_equals_a_loop(shape: tuple[int, ...], p: float) -> None:
    x = torch.randn(shape, dtype=torch.float64)
    torch.manual_seed(4)
    out = GaussianDropout(p, noise="zero")(x)
    torch.manual_seed(4)
    noise = torch.randn(shape).double()
    expected = np.zeros(shape)
    for position in np.ndindex(*shape):
        expected[position] = x[position].item() * p / (1 - p) * noise[position].item()
    np.testing.assert_allclose(out.numpy(), expected, rtol=1e-5)


@pytest.mark.parametrize("p", [0.2, 0.8])
def test_as_printed_output_and_gradient_are_0_in_the_mean(p: float) -> None:
    count, alpha = 400_000, p / (1 - p)
    x = torch.full((400, count // 400), 3.0, dtype=torch.float64, requires_grad=True)
    out = GaussianDropout(p, noise="zero")(x)
    out.sum().backward()
    assert x.grad is not None
    for noise in (out.detach() / 3, x.grad):
        assert noise.mean().item() == pytest.approx(0, abs=5 * alpha / count**0.5)
        assert noise.std().item() == pytest.approx(alpha, abs=5 * alpha / (2 * count) ** 0.5)
        # A sign is a coin's.
        assert (noise > 0).double().mean().item() == pytest.approx(0.5, abs=5 * 0.5 / count**0.5)


def test_as_printed_evaluation_is_the_identity_and_not_the_mean() -> None:
    layer, x = GaussianDropout(0.5, noise="zero"), torch.randn(5, 20)
    assert layer.eval()(x) is x
    assert torch.equal(GaussianDropout(0.0, noise="zero")(x), torch.zeros(5, 20))
