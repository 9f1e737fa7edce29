"""Standout against loops, its rates and its straight-through gradient."""

import math
from typing import Literal

import numpy as np
import pytest
import torch
from torch import nn

from dropout_lab.models.dropout import Standout

Gate = Literal["sigmoid", "inverted"]


def keep(z: float, alpha: float, beta: float, gate: Gate) -> float:
    value = 1 / (1 + math.exp(-(alpha * z + beta)))
    return value if gate == "sigmoid" else 1 - value


@pytest.mark.parametrize("gate", ["sigmoid", "inverted"])
@pytest.mark.parametrize("learnable", [False, True])
@pytest.mark.parametrize("shape", [(5, 6), (2, 3, 2, 2)])
def test_training_and_evaluation_equal_a_loop(gate: Gate, learnable: bool, shape: tuple[int, ...]) -> None:
    layer, z = Standout(0.7, -0.25, gate, learnable), torch.randn(shape, dtype=torch.float64)
    out, mean = layer(z).detach(), layer.eval()(z).detach()
    assert layer.kept is not None
    expected, weighted = np.zeros(shape), np.zeros(shape)
    for position in np.ndindex(*shape):
        unit = max(z[position].item(), 0.0)
        expected[position] = unit if layer.kept[position] else 0.0
        weighted[position] = unit * keep(z[position].item(), 0.7, -0.25, gate)
    np.testing.assert_array_equal(out.numpy(), expected)
    np.testing.assert_allclose(mean.numpy(), weighted, rtol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("gate", ["sigmoid", "inverted"])
def test_units_are_kept_at_their_own_rates(gate: Gate, dtype: torch.dtype) -> None:
    z, draws = torch.tensor([-8.0, -1.5, 0.0, 0.5, 4.0], dtype=dtype), 100_000
    layer = Standout(1.5, 0.25, gate)
    layer(z.expand(draws, -1))
    assert layer.kept is not None
    for value, share in zip(z.tolist(), layer.kept.double().mean(0).tolist(), strict=True):
        rate = keep(value, 1.5, 0.25, gate)
        assert share == pytest.approx(rate, abs=5 * (rate * (1 - rate) / draws) ** 0.5 + 1e-6)


def test_evaluation_is_the_mean_of_training() -> None:
    layer, z, draws = Standout(), torch.randn(1, 20, dtype=torch.float64), 20_000
    out = layer(z.expand(draws, -1))
    assert ((out.mean(0) - layer.eval()(z)[0]).abs() <= 5 * out.std(0) / draws**0.5 + 1e-12).all()


def test_gradient_with_a_fixed_mask() -> None:
    layer, z = Standout(), torch.randn(3, 4, dtype=torch.float64, requires_grad=True)

    def forward(value: torch.Tensor) -> torch.Tensor:
        torch.manual_seed(3)
        out: torch.Tensor = layer(value)
        return out

    assert torch.autograd.gradcheck(forward, z)
    assert torch.autograd.gradcheck(layer.eval(), z)


def test_alpha_and_beta_learn_as_in_the_mean() -> None:
    layer, z = Standout(0.8, 0.1, learnable=True), torch.randn(7, 9)
    grads = []
    for mode in (True, False):
        layer.zero_grad()
        layer.train(mode)(z).sum().backward()
        grads.append([parameter.grad for parameter in layer.parameters()])
    assert len(grads[0]) == 2
    torch.testing.assert_close(grads[0], grads[1])
    assert not list(Standout().parameters())


def test_reads_the_pre_activation_and_applies_the_activation_itself() -> None:
    linear = nn.Linear(3, 4)
    layer = Standout(2.0, 0.5)
    stage = layer.join(linear, nn.Tanh()).eval()
    x = torch.randn(5, 3)
    z = linear(x)
    torch.testing.assert_close(stage(x), z.tanh() * torch.sigmoid(2 * z + 0.5))
