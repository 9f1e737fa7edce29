"""Nested dropout against loops and the geometric law."""

import math

import numpy as np
import pytest
import torch

from dropout_lab.models.dropout import NestedDropout


@pytest.mark.parametrize("p", [0.05, 0.3, 0.9])
@pytest.mark.parametrize("shape", [(40, 6), (40, 2, 2, 3)])
def test_training_equals_a_loop_over_drawn_lengths(p: float, shape: tuple[int, ...]) -> None:
    layer, x = NestedDropout(p), torch.randn(shape, dtype=torch.float64)
    torch.manual_seed(2)
    out = layer(x)
    torch.manual_seed(2)
    uniform = 1 - torch.rand(shape[0], 1)
    expected = np.zeros((shape[0], 6 if len(shape) == 2 else 12))
    for n in range(shape[0]):
        # The smallest b with (1 − p)^b below u.
        b = 1
        while (1 - p) ** b >= uniform[n].item():
            b += 1
        for index in range(1, expected.shape[1] + 1):
            if index <= b:
                expected[n, index - 1] = x[n].flatten()[index - 1]
    np.testing.assert_array_equal(out.flatten(1).numpy(), expected)


@pytest.mark.parametrize("p", [0.02, 0.3, 0.8])
def test_lengths_are_geometric(p: float) -> None:
    layer, draws, size = NestedDropout(p), 100_000, 12
    layer(torch.ones(draws, size))
    assert layer.kept is not None
    assert not (layer.kept[:, 1:] & ~layer.kept[:, :-1]).any()
    lengths = layer.kept.sum(1).numpy()
    for b in range(1, size + 1):
        exact = p * (1 - p) ** (b - 1) if b < size else (1 - p) ** (size - 1)
        assert (lengths == b).mean() == pytest.approx(exact, abs=5 * math.sqrt(exact * (1 - exact) / draws))


def test_p_of_1_keeps_one_unit() -> None:
    out = NestedDropout(1.0)(torch.ones(500, 5))
    assert torch.equal(out, torch.tensor([[1.0, 0, 0, 0, 0]]).expand(500, -1))


def test_the_smallest_p_keeps_all() -> None:
    assert (NestedDropout(1e-30)(torch.ones(500, 5)) == 1).all()


def test_evaluation_is_the_identity() -> None:
    x = torch.randn(3, 4)
    assert NestedDropout(0.3).eval()(x) is x


def test_gradient_with_a_fixed_mask() -> None:
    layer = NestedDropout(0.3)

    def forward(units: torch.Tensor) -> torch.Tensor:
        torch.manual_seed(1)
        out: torch.Tensor = layer(units)
        return out

    assert torch.autograd.gradcheck(forward, torch.randn(4, 5, dtype=torch.float64, requires_grad=True))
