"""Weights that are computed when a layer is called: variants that read them take those of this step."""

import warnings
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune

from dropout_lab.models.dropout import (
    DropConnect,
    Dropout,
    LabelledHead,
    MalDrop,
    MaliciousDropConnect,
    labels,
    swap_dropout,
)
from dropout_lab.models.dropout.base import weight_of

X, TARGET = torch.randn(4, 6), torch.tensor([0, 1, 2, 0])


def hooked(kind: str, linear: nn.Linear) -> nn.Linear:
    """Return a linear layer whose weight is computed when it is called, or whenever it is read."""
    if kind == "prune":
        prune.l1_unstructured(linear, "weight", 0.5)  # type: ignore[no-untyped-call]
    elif kind == "weight_norm":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            nn.utils.weight_norm(linear)
    else:
        parametrizations.weight_norm(linear)
    return linear


def by_hand(kind: str, linear: nn.Linear) -> Tensor:
    parts = {name.rpartition(".")[2]: each for name, each in linear.named_parameters()}
    if kind == "prune":
        return parts["weight_orig"] * linear.get_buffer("weight_mask")
    g, v = ("weight_g", "weight_v") if kind == "weight_norm" else ("original0", "original1")
    weight: Tensor = parts[v] * parts[g] / parts[v].norm(dim=1, keepdim=True)
    return weight


@pytest.mark.parametrize("kind", ["prune", "weight_norm", "parametrization"])
@pytest.mark.parametrize(
    "make", [lambda: DropConnect(0.5), lambda: MalDrop(2), lambda: MaliciousDropConnect(3)]
)
def test_computed_weights_are_trained_and_current(kind: str, make: Callable[[], Dropout]) -> None:
    inner, final = hooked(kind, nn.Linear(6, 8)), hooked(kind, nn.Linear(8, 3))
    network = nn.Sequential(inner, nn.ReLU(), nn.Dropout(), final)
    swap_dropout(network, make)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.5)
    before = {name: each.clone() for name, each in network.named_parameters()}
    for _ in range(3):
        optimizer.zero_grad()
        with labels(network, TARGET):
            torch.autograd.backward(nn.functional.cross_entropy(network(X), TARGET))
        optimizer.step()
    assert all(not torch.equal(before[name], each) for name, each in network.named_parameters())
    for linear in (inner, final):
        torch.testing.assert_close(weight_of(linear, X), by_hand(kind, linear))


@pytest.mark.parametrize("kind", ["prune", "weight_norm", "parametrization"])
def test_evaluation_masks_the_weights_of_this_step(kind: str) -> None:
    linear = hooked(kind, nn.Linear(6, 8))
    stage = DropConnect(0.5, inference="mean").join(linear, nn.Identity()).eval()
    with torch.no_grad():
        for parameter in linear.parameters():
            parameter.add_(1)
    torch.testing.assert_close(stage(X), nn.functional.linear(X, by_hand(kind, linear) / 2, linear.bias))


def test_maldrop_is_handed_the_final_weight_of_this_step() -> None:
    final = hooked("prune", nn.Linear(8, 3))
    network = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Dropout(), final)
    swap_dropout(network, lambda: MalDrop(2))
    handed: list[Tensor] = []
    head = next(each for each in network.modules() if isinstance(each, LabelledHead))
    head.dropout.register_forward_pre_hook(lambda _, inputs: handed.append(inputs[2].detach().clone()))
    for _ in range(2):
        with torch.no_grad():
            final.get_parameter("weight_orig").add_(1)
        with labels(network, TARGET):
            network(X)
        assert torch.equal(handed[-1], by_hand("prune", final))
