"""DropConnect against all masks of tiny weights, and its evaluation against Monte Carlo."""

import itertools
import math
from typing import Literal

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dropout_lab.models.dropout import DropConnect
from dropout_lab.models.dropout.drop_connect import normal_quantiles, preactivation_moments

Mask = Literal["sample", "batch", "gaussian"]
MASKS: list[Mask] = ["sample", "batch", "gaussian"]


def linear(inputs: int, outputs: int, bias: bool = True) -> nn.Linear:
    return nn.Linear(inputs, outputs, bias=bias, dtype=torch.float64)


def exact_moments(v: Tensor, layer: nn.Linear, p: float) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of each output of (W∘M)v + b over all masks M of W."""
    weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
    outputs, inputs = weight.shape
    first, second = np.zeros(outputs), np.zeros(outputs)
    for mask in itertools.product([0, 1], repeat=outputs * inputs):
        probability = math.prod(1 - p if kept else p for kept in mask)
        u = (weight * np.array(mask).reshape(outputs, inputs)) @ v.numpy() + bias
        first += probability * u
        second += probability * u**2
    return first, second - first**2


@pytest.mark.parametrize("p", [0.0, 0.3, 0.5, 0.8])
def test_moments_equal_those_over_all_masks(p: float) -> None:
    layer, v = linear(3, 2), torch.randn(4, 3, dtype=torch.float64)
    mean, spread = preactivation_moments(v, layer.weight, layer.bias, torch.tensor(p))
    for n in range(4):
        exact_mean, exact_variance = exact_moments(v[n], layer, p)
        np.testing.assert_allclose(mean[n].detach().numpy(), exact_mean, rtol=1e-6)
        np.testing.assert_allclose(spread[n].detach().numpy() ** 2, exact_variance, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize(
    ("mask", "p"),
    [
        # 20,000 forwards where a batch shares its mask.
        pytest.param(mask, p, marks=pytest.mark.slow if mask == "batch" else ())
        for mask in MASKS
        for p in (0.3, 0.7)
    ],
)
def test_training_has_the_moments_over_all_masks(mask: Mask, p: float) -> None:
    layer, v, draws = linear(3, 2), torch.randn(3, dtype=torch.float64), 20_000
    stage = DropConnect(p, mask).join(layer, nn.Identity())
    with torch.no_grad():
        # Samples of a batch that share a mask are no independent draws.
        batches = [v.view(1, 3)] * draws if mask == "batch" else [v.expand(draws, -1)]
        u = torch.cat([stage(batch) for batch in batches])
    mean, variance = exact_moments(v, layer, p)
    centred = (u - torch.from_numpy(mean)).square()
    assert (np.abs(u.mean(0).numpy() - mean) < 5 * (variance / draws) ** 0.5).all()
    error = (centred.std(0) / draws**0.5).numpy()
    assert (np.abs(centred.mean(0).numpy() - variance) < 5 * error).all()


@pytest.mark.parametrize("mask", ["sample", "batch"])
@pytest.mark.parametrize("bias", [True, False])
def test_training_equals_a_loop_over_weights(mask: Mask, bias: bool) -> None:
    layer, x = linear(4, 3, bias), torch.randn(5, 4, dtype=torch.float64)
    stage = DropConnect(0.4, mask).join(layer, nn.Tanh())
    torch.manual_seed(6)
    out = stage(x).detach()
    torch.manual_seed(6)
    kept = torch.rand((5, 3, 4) if mask == "sample" else (3, 4)) >= 0.4
    expected = np.zeros((5, 3))
    for n, o in np.ndindex(5, 3):
        u = layer.bias[o].item() if bias else 0.0
        for i in range(4):
            if kept[(n, o, i) if mask == "sample" else (o, i)]:
                u += layer.weight[o, i].item() * x[n, i].item()
        expected[n, o] = math.tanh(u)
    np.testing.assert_allclose(out.numpy(), expected, rtol=1e-12)


def rectified_normal(mean: Tensor, spread: Tensor) -> Tensor:
    """E[max(u, 0)] for u ~ N(mean, spread²), in closed form."""
    z = mean / spread
    density = torch.exp(-z.square() / 2) / math.sqrt(2 * math.pi)
    rectified: Tensor = mean * torch.special.ndtr(z) + spread * density
    return rectified


@pytest.mark.parametrize(("samples", "share"), [(64, 0.01), (4000, 0.0003)])
def test_gaussian_evaluation_is_the_mean_over_the_normal(samples: int, share: float) -> None:
    layer, x = linear(20, 30), torch.randn(10, 20, dtype=torch.float64)
    stage = DropConnect(0.5, samples=samples).join(layer, nn.ReLU()).eval()
    with torch.no_grad():
        mean, spread = preactivation_moments(x, layer.weight, layer.bias, torch.tensor(0.5))
        error = (stage(x) - rectified_normal(mean, spread)).abs()
    assert (error < share * spread).all()


def test_gaussian_evaluation_agrees_with_monte_carlo_over_masks() -> None:
    layer, x, draws = linear(400, 8), torch.randn(1, 400, dtype=torch.float64), 4000
    dropout = DropConnect(0.5, samples=1000)
    stage = dropout.join(layer, nn.ReLU())
    with torch.no_grad():
        u = torch.cat([stage(x.expand(500, -1)) for _ in range(draws // 500)])
        out = stage.eval()(x)[0]
        dropout.inference = "mean"
        crude = stage(x)[0]
    error = u.std(0) / draws**0.5
    assert ((u.mean(0) - out).abs() < 5 * error).all()
    # Jensen: f of the mean is not the mean of f.
    assert ((u.mean(0) - crude).abs() > 5 * error).any()


def test_mean_evaluation() -> None:
    layer, x = linear(4, 3), torch.randn(5, 4, dtype=torch.float64)
    stage = DropConnect(0.25, inference="mean").join(layer, nn.ReLU()).eval()
    torch.testing.assert_close(stage(x), (0.75 * x @ layer.weight.t() + layer.bias).relu())


@pytest.mark.parametrize("count", [2, 3, 64])
def test_quantiles_have_the_moments_of_the_normal(count: int) -> None:
    points = normal_quantiles(count)
    assert points.mean().item() == pytest.approx(0, abs=1e-12)
    assert points.square().mean().item() == pytest.approx(1)
    assert normal_quantiles(1).tolist() == [0]


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("mode", [True, False])
def test_gradient_with_a_fixed_mask(mask: Mask, mode: bool) -> None:
    layer = linear(4, 3)
    stage = DropConnect(0.4, mask, samples=5).join(layer, nn.Tanh()).train(mode)

    def forward(v: Tensor, weight: Tensor) -> Tensor:
        torch.manual_seed(1)
        out: Tensor = torch.func.functional_call(stage, {"affine.weight": weight}, (v,))
        return out

    x = torch.randn(2, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(forward, (x, layer.weight.detach().requires_grad_()))


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("mode", [True, False])
def test_gradient_at_0_is_finite(mask: Mask, mode: bool) -> None:
    stage = DropConnect(0.5, mask).join(nn.Linear(4, 3), nn.ReLU()).train(mode)
    x = torch.zeros(2, 4, requires_grad=True)
    stage(x).sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()


def test_normalization_comes_after_the_masked_weights() -> None:
    normalized = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3))
    stage = DropConnect(0.0).join(normalized, nn.ReLU())
    x = torch.randn(8, 4)
    torch.testing.assert_close(stage(x), normalized(x).relu())


def test_units_alone_are_refused() -> None:
    with pytest.raises(ValueError, match=r"DropConnect masks weights: build its stage with join"):
        DropConnect()(torch.randn(2, 3))
    with pytest.raises(ValueError, match="weights of a linear layer and cannot follow Conv2d"):
        DropConnect().join(nn.Conv2d(1, 1, 3), nn.ReLU())


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("inference", ["gaussian", "mean"])
def test_each_position_of_a_sequence_is_mapped(mask: Mask, inference: Literal["gaussian", "mean"]) -> None:
    stage = DropConnect(0.5, mask, inference).join(linear(6, 5), nn.Tanh())
    x = torch.randn(4, 3, 6, dtype=torch.float64)
    assert stage(x).shape == (4, 3, 5)
    stage.eval()
    torch.testing.assert_close(stage(x), torch.stack([stage(x[:, place]) for place in range(3)], 1))


def test_a_sequence_has_one_mask() -> None:
    stage = DropConnect(0.5).join(linear(6, 5), nn.Identity())
    x = torch.randn(4, 1, 6, dtype=torch.float64).expand(4, 3, 6)
    first, *others = stage(x).unbind(1)
    assert all(torch.equal(first, other) for other in others)
    layer = linear(6, 5)
    DropConnect(0.5, "batch").join(layer, nn.Identity())(x).sum().backward()
    assert layer.weight.grad is not None
    assert 0 < layer.weight.grad.count_nonzero() < 30
