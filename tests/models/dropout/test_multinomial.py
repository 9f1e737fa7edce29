"""Multinomial dropout against loops and the multinomial's moments, eagerly and compiled."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from dropout_lab.models.dropout import MultinomialDropout
from dropout_lab.models.dropout.multinomial import draw_counts, draws_of, draws_tensor, sampling_probabilities


def probabilities(x: np.ndarray) -> np.ndarray:
    """q_i ∝ √E[x_i²], by loops."""
    size = [sum(x[n, i] ** 2 for n in range(len(x))) ** 0.5 for i in range(x.shape[1])]
    return np.array([unit / sum(size) for unit in size])


def test_probabilities_equal_a_loop() -> None:
    x = torch.randn(6, 9, dtype=torch.float64)
    np.testing.assert_allclose(sampling_probabilities(x).numpy(), probabilities(x.numpy()), rtol=1e-12)
    np.testing.assert_allclose(
        sampling_probabilities(1e200 * x).numpy(), probabilities(x.numpy()), rtol=1e-12
    )
    assert sampling_probabilities(torch.zeros(3, 4)).tolist() == [0.25] * 4


@pytest.mark.parametrize("shape", [(6, 8), (4, 2, 2, 3)])
@pytest.mark.parametrize("p", [0.0, 0.3, 0.9])
def test_training_equals_a_loop(shape: tuple[int, ...], p: float) -> None:
    layer, x = MultinomialDropout(p), torch.randn(shape, dtype=torch.float64)
    torch.manual_seed(5)
    out = layer(x)
    units = x.flatten(1).numpy()
    q = probabilities(units)
    k = max(1, int((1 - p) * units.shape[1] + 0.5))
    torch.manual_seed(5)
    uniform = torch.rand(len(units), k, dtype=torch.float64).numpy()
    expected = np.zeros_like(units)
    for n in range(len(units)):
        for draw in range(k):
            i = next(i for i in range(len(q)) if uniform[n, draw] < q[: i + 1].sum() or i == len(q) - 1)
            expected[n, i] += units[n, i] / (k * q[i])
    np.testing.assert_allclose(out.flatten(1).numpy(), expected, rtol=1e-6)
    assert layer.kept is not None
    np.testing.assert_array_equal(layer.kept.flatten(1).numpy(), expected != 0)


def eager(q: Tensor, samples: int, draws: int) -> Tensor:
    return draw_counts(q, samples, draws, torch.tensor(draws))


def compiled(q: Tensor, samples: int, draws: int) -> Tensor:
    torch._dynamo.reset()
    function = torch.compile(draw_counts, fullgraph=True, backend="aot_eager")
    counts: Tensor = function(q, samples, 0, torch.tensor(draws))
    return counts


@pytest.mark.parametrize("draw", [eager, compiled])
def test_counts_have_the_moments_of_the_multinomial(draw: Callable[[Tensor, int, int], Tensor]) -> None:
    q, k, samples = torch.tensor([0.05, 0.4, 0.0, 0.25, 0.3], dtype=torch.float64), 4, 100_000
    counts = draw(q, samples, k).double()
    assert (counts.sum(1) == k).all()
    assert (counts[:, 2] == 0).all()
    centred = counts - k * q
    for i in range(5):
        for j in range(5):
            exact = k * (q[i] * (1 - q[i]) if i == j else -q[i] * q[j]).item()
            product = centred[:, i] * centred[:, j]
            error = product.std().item() / samples**0.5
            assert product.mean().item() == pytest.approx(exact, abs=5 * error + 1e-12)
        error = (k * q[i] * (1 - q[i]) / samples).item() ** 0.5
        assert counts[:, i].mean().item() == pytest.approx(k * q[i].item(), abs=5 * error + 1e-12)


@pytest.mark.parametrize("is_compiled", [False, True])
@pytest.mark.parametrize("p", [0.3, 0.5])
def test_the_mean_is_x(is_compiled: bool, p: float) -> None:
    torch._dynamo.reset()
    layer, draws = MultinomialDropout(p), 40_000
    x = torch.tensor([[0.1, -2.0, 0.5, 1.0, 0.3]], dtype=torch.float64)
    drop = torch.compile(layer, fullgraph=True, backend="aot_eager") if is_compiled else layer
    out = drop(x.expand(draws, -1))
    assert layer.eval()(x) is x
    assert ((out.mean(0) - x[0]).abs() < 5 * out.std(0) / draws**0.5).all()


@pytest.mark.parametrize("size", [1, 3, 5, 7, 10, 100, 255])
def test_both_ways_round_alike(size: int) -> None:
    for percent in range(100):
        p = percent / 100
        # Half up, in whole numbers; at least one.
        expected = max(1, ((100 - percent) * size * 2 + 100) // 200)
        assert draws_of(p, size) == expected
        assert draws_tensor(torch.tensor(p), size).item() == expected


def test_no_recompilation_of_another_p() -> None:
    torch._dynamo.reset()
    layer = MultinomialDropout()
    drop = torch.compile(layer, fullgraph=True, backend="aot_eager")
    x = torch.ones(4000, 10)
    with torch._dynamo.config.patch(error_on_recompile=True):
        for p in (0.5, 0.1, 0.8):
            layer.p = p
            drop(x)
            k = round((1 - p) * 10)
            assert layer.kept is not None
            # A unit is missed by all k draws with probability 0.9^k.
            missed, units = 0.9**k, 40_000
            share = (~layer.kept).double().mean().item()
            assert share == pytest.approx(missed, abs=5 * (missed * (1 - missed) / units) ** 0.5)


def test_gradient_with_a_fixed_mask() -> None:
    # No gradcheck: q is a constant to autograd, and a difference quotient would change it.
    x = torch.randn(4, 5, dtype=torch.float64, requires_grad=True)
    out = MultinomialDropout(0.4)(x)
    (grad,) = torch.autograd.grad(out.sum(), x)
    torch.testing.assert_close(grad, out.detach() / x.detach())
