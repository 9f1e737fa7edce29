"""Malicious DropConnect: the choice of weights by loops, its law in training and evaluation, what it refuses."""

import copy

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dropout_lab.models.dropout import (
    LabelledHead,
    MaliciousDropConnect,
    NoDropout,
    StandardDropout,
    labels,
    swap_dropout,
)
from dropout_lab.models.dropout.mal_drop import Mask, Omega
from dropout_lab.models.networks import FullyConnected, MalDropCNN

CLASSES, INPUTS, OUTPUTS, SAMPLES = 4, 5, 3, 6


def given() -> tuple[Tensor, Tensor, Tensor]:
    x = torch.randn(SAMPLES, INPUTS, dtype=torch.float64)
    return x, torch.randint(CLASSES, (SAMPLES,)), torch.randn(CLASSES, OUTPUTS, dtype=torch.float64)


def stage(
    rho: int, omega: Omega = "balanced", mask: Mask = "sample"
) -> tuple[nn.Module, MaliciousDropConnect]:
    layer = MaliciousDropConnect(rho, omega, mask)
    return layer.join(nn.Linear(INPUTS, OUTPUTS).double(), nn.ReLU()), layer


def scores(x: Tensor, target: Tensor, final: Tensor, weight: Tensor, omega: Omega) -> np.ndarray:
    """((1 + ω)·V[y, j] − ω·Σₖ V[k, j])·w_ji·x_i, ``(samples, outputs, inputs)``."""
    balance = 1 / (CLASSES - 1) if omega == "balanced" else float(omega)
    found = np.zeros((SAMPLES, OUTPUTS, INPUTS))
    for n in range(SAMPLES):
        y = int(target[n])
        for j in range(OUTPUTS):
            others = sum(final[k, j].item() for k in range(CLASSES) if k != y)
            lead = final[y, j].item() - balance * others
            for i in range(INPUTS):
                found[n, j, i] = lead * weight[j, i].item() * x[n, i].item()
    return found


def highest(score: np.ndarray, rho: int) -> list[tuple[int, int]]:
    places = list(np.ndindex(*score.shape))
    return sorted(places, key=lambda place: -score[place])[:rho]


@pytest.mark.parametrize("omega", ["balanced", 0.0, 2.0])
@pytest.mark.parametrize("rho", [0, 1, 4, OUTPUTS * INPUTS])
@pytest.mark.parametrize("mask", ["sample", "batch"])
def test_drops_the_weights_that_help_most(omega: Omega, rho: int, mask: Mask) -> None:
    (module, layer), (x, target, final) = stage(rho, omega, mask), given()
    linear = module.get_submodule("affine")
    assert isinstance(linear, nn.Linear)
    score = scores(x, target, final, linear.weight, omega)
    expected, dropped = np.zeros((SAMPLES, OUTPUTS)), np.zeros((OUTPUTS, INPUTS))
    for n in range(SAMPLES):
        weight = linear.weight.detach().numpy().copy()
        for place in highest(score.sum(0) if mask == "batch" else score[n], rho):
            weight[place] = 0
            dropped[place] += 1
        expected[n] = np.maximum(weight @ x[n].numpy() + linear.bias.detach().numpy(), 0)
    np.testing.assert_allclose(module(x, target, final).detach().numpy(), expected, rtol=1e-12, atol=1e-14)
    assert layer.kept is None
    rate = 1 - dropped / SAMPLES
    np.testing.assert_allclose(layer.pass_rate.view(OUTPUTS, INPUTS).numpy(), rate, rtol=1e-6)
    # In evaluation each weight by its pass rate, and nothing is counted.
    out = module.eval()(x).detach().numpy()
    weight = linear.weight.detach().numpy() * rate
    np.testing.assert_allclose(
        out, np.maximum(x.numpy() @ weight.T + linear.bias.detach().numpy(), 0), rtol=1e-6, atol=1e-7
    )
    assert layer.state_dict()["pass_samples"].item() == SAMPLES


def test_what_is_dropped_costs_the_right_class_its_lead() -> None:
    """Where all units stay active, V_y·H − ω·Σ V_k·H falls by the sum of the scores that were dropped."""
    (module, _), (x, target, final) = stage(3, 0.5), given()
    linear = module.get_submodule("affine")
    assert isinstance(linear, nn.Linear)
    nn.init.constant_(linear.bias, 1e3)

    def lead(units: Tensor) -> np.ndarray:
        logits = units @ final.t()
        right = logits.gather(1, target.unsqueeze(1)).squeeze(1)
        return np.asarray((1.5 * right - 0.5 * logits.sum(1)).detach().numpy())

    with_all = lead(torch.relu(linear(x)))
    score = scores(x, target, final, linear.weight, 0.5)
    fall = [sum(score[n][place] for place in highest(score[n], 3)) for n in range(SAMPLES)]
    np.testing.assert_allclose(with_all - lead(module(x, target, final)), fall, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("mask", ["sample", "batch"])
def test_gradients_with_fixed_masks(mask: Mask) -> None:
    (module, _), (x, target, final) = stage(4, mask=mask), given()
    # Where no choice is near another, and no unit near 0.
    parameters = tuple(module.parameters())
    assert torch.autograd.gradcheck(lambda x, *_: module(x, target, final), (x.requires_grad_(), *parameters))


def test_dropped_weights_of_one_sample_get_no_gradient() -> None:
    (module, _), (x, target, final) = stage(OUTPUTS * INPUTS), given()
    module(x, target, final).sum().backward()
    linear = module.get_submodule("affine")
    assert isinstance(linear, nn.Linear)
    assert linear.weight.grad is not None
    assert (linear.weight.grad == 0).all()


def test_copies_and_states_go_on_counting() -> None:
    (module, layer), (other, fresh) = stage(2), stage(2)
    for _ in range(3):
        module(*given())
    other.load_state_dict(module.state_dict())
    assert torch.equal(fresh.pass_rate, layer.pass_rate)
    twin, batch = copy.deepcopy(other), given()
    module(*batch)
    other(*batch)
    assert torch.equal(fresh.pass_rate, layer.pass_rate)
    assert twin.state_dict()["dropout.pass_samples"].item() == 3 * SAMPLES


def test_what_it_refuses() -> None:
    (module, layer), (x, target, final) = stage(1), given()
    with pytest.raises(ValueError, match="MaliciousDropConnect masks weights: build its stage with join"):
        layer(torch.ones(2, OUTPUTS, INPUTS), target, final)
    with pytest.raises(ValueError, match="MaliciousDropConnect needs labels and the weight"):
        module(x)
    with pytest.raises(
        ValueError, match=r"weight must be \(classes, 3\), as wide as its input, got \(4, 2\)"
    ):
        module(x, target, final[:, :2])
    with pytest.raises(ValueError, match="rho must be at most 15, what there is to drop, got 16"):
        layer.rho = 16
    with pytest.raises(ValueError, match="rho must be at most 15"):
        stage(16)
    with pytest.raises(
        ValueError, match="MaliciousDropConnect masks the weights of a linear layer and cannot follow Conv2d"
    ):
        MalDropCNN((1, 8, 8), dropout=lambda: MaliciousDropConnect(1))


def test_stands_in_the_last_place_of_a_network_alone() -> None:
    network = FullyConnected([6, 4], (1, 3, 3), CLASSES, dropout=lambda: MaliciousDropConnect(2))
    first, last = network.dropout_layers().values()
    assert isinstance(first, NoDropout)
    assert isinstance(last, MaliciousDropConnect)
    assert last.units == 24
    network(torch.randn(5, 1, 3, 3), torch.arange(5) % CLASSES)
    assert last.state_dict()["pass_samples"].item() == 5


def test_takes_the_place_of_a_torch_dropout() -> None:
    model = nn.Sequential(nn.Linear(5, 6), nn.ReLU(), nn.Dropout(), nn.Linear(6, CLASSES))
    assert swap_dropout(model, lambda: MaliciousDropConnect(3)) == 1
    assert any(isinstance(each, LabelledHead) for each in model.modules())
    target = torch.arange(8) % CLASSES
    with labels(model, target):
        assert model(torch.randn(8, 5)).shape == (8, CLASSES)


def test_random_masks_cost_less() -> None:
    """Dropping what helps most raises the loss more than dropping as many units' weights at random does."""
    torch.manual_seed(1)
    x, target = torch.randn(200, INPUTS), torch.randint(CLASSES, (200,))
    final = nn.Linear(OUTPUTS, CLASSES)
    loss = nn.functional.cross_entropy
    layer = MaliciousDropConnect(3)
    module = layer.join(nn.Linear(INPUTS, OUTPUTS), nn.Identity())
    chance = StandardDropout(0.2, inverted=False).join(module.get_submodule("affine"), nn.Identity())
    assert loss(final(module(x, target, final.weight)), target) > loss(final(chance(x)), target)
