"""Standard dropout against NumPy, its law and the CS 6353 notebook."""

import numpy as np
import pytest
import torch
from torch import nn

from dropout_lab.models.dropout import StandardDropout
from dropout_lab.models.dropout.standard import bernoulli_mask, masked


@pytest.mark.parametrize("inverted", [True, False])
@pytest.mark.parametrize("shape", [(6, 5), (3, 2, 4, 4)])
def test_training_equals_a_loop_over_units(inverted: bool, shape: tuple[int, ...]) -> None:
    layer = StandardDropout(p=0.3, inverted=inverted)
    x = torch.randn(shape, dtype=torch.float64)
    out = layer(x)
    assert layer.kept is not None
    expected = np.zeros(shape)
    for position in np.ndindex(*shape):
        if layer.kept[position]:
            expected[position] = x[position] / (1 - 0.3) if inverted else x[position]
    np.testing.assert_allclose(out.numpy(), expected, rtol=1e-7)


@pytest.mark.parametrize("p", [0.0, 0.2, 0.5, 0.9])
def test_units_are_dropped_independently_with_probability_p(p: float) -> None:
    count = 200_000
    kept = bernoulli_mask(torch.empty(count // 100, 100), torch.tensor(p))
    # Five standard deviations of a binomial share: wrong by chance once in two million draws.
    tolerance = 5 * (p * (1 - p) / count) ** 0.5
    assert kept.double().mean().item() == pytest.approx(1 - p, abs=tolerance + 1e-12)
    neighbours = (kept[:, :-1] & kept[:, 1:]).double().mean().item()
    assert neighbours == pytest.approx((1 - p) ** 2, abs=5 * (0.25 / count) ** 0.5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_the_law_does_not_depend_on_the_dtype(dtype: torch.dtype) -> None:
    # 0.2 is no multiple of 2⁻⁸: noise drawn in bfloat16 would drop 0.2031.
    kept = bernoulli_mask(torch.empty(1_000_000, dtype=dtype), torch.tensor(0.2))
    assert (~kept).double().mean().item() == pytest.approx(0.2, abs=5 * (0.16 / 1_000_000) ** 0.5)


@pytest.mark.parametrize("inverted", [True, False])
def test_training_and_evaluation_agree_in_the_mean(inverted: bool) -> None:
    layer = StandardDropout(p=0.4, inverted=inverted)
    x = torch.rand(1, 50, dtype=torch.float64) + 0.5
    draws = layer(x.expand(20_000, 50))
    standard_error = draws.std(0) / 20_000**0.5
    assert ((draws.mean(0) - layer.eval()(x)[0]).abs() < 5 * standard_error).all()


@pytest.mark.parametrize("inverted", [True, False])
def test_gradient_with_a_fixed_mask(inverted: bool) -> None:
    x = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    kept = bernoulli_mask(x, torch.tensor(0.5))
    p = torch.tensor(0.5, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda value: masked(value, kept, p, inverted), x)


def test_equals_torch_in_evaluation_and_in_law() -> None:
    x = torch.randn(5, 5)
    assert torch.equal(StandardDropout(0.5).eval()(x), nn.Dropout(0.5).eval()(x))
    ours, theirs = StandardDropout(0.25)(torch.ones(300_000)), nn.Dropout(0.25)(torch.ones(300_000))
    assert set(ours.unique().tolist()) == set(theirs.unique().tolist())


def test_rate_can_be_changed_without_recompilation() -> None:
    layer = StandardDropout(0.5)
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    x = torch.ones(100, 100)
    torch._dynamo.reset()
    with torch._dynamo.config.patch(error_on_recompile=True):
        for p in (0.5, 0.1, 0.9, 0.0):
            layer.p = p
            assert (compiled(x) == 0).float().mean().item() == pytest.approx(p, abs=0.03)


@pytest.mark.parametrize("p", [-0.1, 1.0, 1.5, float("nan")])
def test_bad_p(p: float) -> None:
    with pytest.raises(ValueError, match=r"p must be in \[0, 1\), got "):
        StandardDropout(p)
    layer = StandardDropout(0.5)
    with pytest.raises(ValueError, match="p must be in"):
        layer.p = p
    assert layer.p == 0.5


def test_repr_says_the_rate() -> None:
    assert repr(StandardDropout(0.2)) == "StandardDropout(p=0.2, inverted=True)"


@pytest.mark.parametrize(
    ("p", "mean"), [(0.75, 10.014059116977283), (0.6, 9.977917658761159), (0.3, 9.98781191215943)]
)
def test_mean_of_the_notebook(p: float, mean: float) -> None:
    state = np.random.RandomState(231)
    x = state.randn(500, 500) + 10
    masks = {rate: state.rand(500, 500) < 1 - rate for rate in (0.75, 0.6, 0.3)}
    out = masked(
        torch.from_numpy(x), torch.from_numpy(masks[p]), torch.tensor(p, dtype=torch.float64), inverted=True
    )
    assert out.mean().item() == pytest.approx(mean, rel=1e-12)
