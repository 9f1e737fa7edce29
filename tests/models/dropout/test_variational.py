"""Variational dropout: noise of a learned variance, and its divergence."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from dropout_lab.models.dropout import VariationalDropout
from dropout_lab.models.dropout.variational import negative_kl


def divergence(alpha: float) -> float:
    return -(0.5 * math.log(alpha) + 1.16145124 * alpha - 1.50204118 * alpha**2 + 0.58629921 * alpha**3)


@pytest.mark.parametrize("p", [0.1, 0.3, 0.5])
@pytest.mark.parametrize("granularity", ["layer", "unit"])
@pytest.mark.parametrize("shape", [(4, 5), (2, 3, 2, 2)])
def test_training_equals_a_loop(p: float, granularity: str, shape: tuple[int, ...]) -> None:
    layer, x = VariationalDropout(p, granularity), torch.randn(shape, dtype=torch.float64)  # type: ignore[arg-type]
    torch.manual_seed(4)
    out = layer(x)
    torch.manual_seed(4)
    noise = torch.randn(shape).double()
    expected = np.zeros(shape)
    for position in np.ndindex(*shape):
        expected[position] = x[position].item() * (1 + (p / (1 - p)) ** 0.5 * noise[position].item())
    np.testing.assert_allclose(out.detach().numpy(), expected, rtol=1e-4)


def test_mean_1_variance_alpha_and_off_in_evaluation() -> None:
    layer, count = VariationalDropout(0.2), 400_000
    noise = layer(torch.ones(400, count // 400)).detach().double()
    assert noise.mean().item() == pytest.approx(1, abs=5 * (0.25 / count) ** 0.5)
    assert noise.var().item() == pytest.approx(0.25, abs=5 * 0.25 * (2 / count) ** 0.5)
    x = torch.randn(3, 4)
    assert layer.eval()(x) is x


@pytest.mark.parametrize(("shape", "units"), [((4, 5), 5), ((2, 3, 2, 2), 12)])
def test_kl_sums_kingmas_polynomial_over_units(shape: tuple[int, ...], units: int) -> None:
    layer = VariationalDropout(0.3)
    layer(torch.randn(shape))
    assert layer.kl().shape == ()
    assert layer.kl().item() == pytest.approx(units * divergence(0.3 / 0.7), rel=1e-5)
    each = VariationalDropout(0.3, "unit")
    each(torch.randn(shape))
    assert each.log_alpha.shape == shape[1:]
    alphas = torch.rand(shape[1:]) * 0.9 + 0.05
    with torch.no_grad():
        each.log_alpha.copy_(alphas.log())
    assert each.kl().item() == pytest.approx(sum(divergence(a) for a in alphas.flatten().tolist()), rel=1e-5)


def test_gradient_of_kl() -> None:
    log_alpha = torch.tensor([-3.0, -1.0, -0.1], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(negative_kl, log_alpha)
    layer = VariationalDropout(0.3)
    layer(torch.randn(2, 6))
    layer.kl().backward()  # type: ignore[no-untyped-call]
    a = 0.3 / 0.7
    slope = -6 * (0.5 + 1.16145124 * a - 2 * 1.50204118 * a**2 + 3 * 0.58629921 * a**3)
    assert layer.log_alpha.grad is not None
    assert layer.log_alpha.grad.item() == pytest.approx(slope, rel=1e-5)


def test_gradient_with_fixed_noise() -> None:
    layer = VariationalDropout(0.3, "unit").double()
    layer(torch.randn(3, 4, dtype=torch.float64))

    def forward(units: torch.Tensor, log_alpha: torch.Tensor) -> torch.Tensor:
        torch.manual_seed(2)
        out: torch.Tensor = torch.func.functional_call(layer, {"log_alpha": log_alpha}, (units,))
        return out

    x = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    log_alpha = torch.full((4,), -1.0, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(forward, (x, log_alpha))


@pytest.mark.parametrize("granularity", ["layer", "unit"])
def test_alpha_stays_at_most_1_and_can_come_back(granularity: str) -> None:
    layer, x = VariationalDropout(0.5, granularity), torch.ones(200, 2000)  # type: ignore[arg-type]
    layer(x)
    with torch.no_grad():
        layer.log_alpha.fill_(2.0)
    assert layer(x).var().item() == pytest.approx(1, abs=5 * (2 / x.numel()) ** 0.5)
    (layer(x) - 1).square().sum().backward()
    assert layer.log_alpha.grad is not None
    assert (layer.log_alpha.grad > 0).all()


@pytest.mark.parametrize("granularity", ["layer", "unit"])
def test_an_optimizer_made_before_the_first_forward_trains_alpha(granularity: str) -> None:
    layer = VariationalDropout(0.5, granularity)  # type: ignore[arg-type]
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.1)
    for _ in range(20):
        optimizer.zero_grad()
        layer(torch.ones(50, 4)).sub(1).square().mean().backward()
        optimizer.step()
    assert (layer.log_alpha < -0.5).all()


def test_kl_needs_to_know_the_units() -> None:
    for layer in (VariationalDropout(), VariationalDropout(granularity="unit")):
        with pytest.raises(RuntimeError, match="needs a forward first"):
            layer.kl()


def test_a_loaded_layer_of_units_knows_them() -> None:
    layer, fresh = VariationalDropout(0.2, "unit"), VariationalDropout(0.4, "unit")
    layer(torch.randn(2, 3, 4, 4))
    fresh.load_state_dict(layer.state_dict())
    assert isinstance(fresh.log_alpha, nn.Parameter)
    assert torch.equal(fresh.kl(), layer.kl())
    fresh(torch.randn(2, 3, 4, 4))
    assert torch.equal(fresh.log_alpha, layer.log_alpha)
