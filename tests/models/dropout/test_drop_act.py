"""DropAct and DropInv against sequential sampling without replacement, enumerated."""

import itertools

import numpy as np
import pytest
import torch

from dropout_lab.models.dropout import DropAct, DropInv
from dropout_lab.models.dropout.drop_act import ActivationDropout
from dropout_lab.models.dropout.numerics import Of

KINDS = [DropAct, DropInv]
UNITS = [0.5, -1.0, 3.0, 1.0, 0.0, 0.2]


def weights(kind: type[ActivationDropout], units: list[float]) -> list[float]:
    return [(x if kind is DropAct else 1 / x) if x > 0 else 0.0 for x in units]


def probabilities_of_sets(weight: list[float], count: int) -> dict[frozenset[int], float]:
    """Draw one after another, the weights of what is left in proportion: every order, summed over orders."""
    result: dict[frozenset[int], float] = {}
    positive = [j for j, w in enumerate(weight) if w > 0]
    for order in itertools.permutations(positive, min(count, len(positive))):
        left, probability = sum(weight), 1.0
        for j in order:
            probability *= weight[j] / left
            left -= weight[j]
        result[frozenset(order)] = result.get(frozenset(order), 0.0) + probability
    return result


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("of", "size"), [("all", 6), ("positive", 4)])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_sets_drop_with_the_probabilities_of_sequential_sampling(
    kind: type[DropAct | DropInv], of: Of, size: int, count: int
) -> None:
    layer, draws = kind(count / size, of=of), 40_000
    layer(torch.tensor(UNITS).expand(draws, -1))
    assert layer.kept is not None
    exact = probabilities_of_sets(weights(kind, UNITS), count)
    assert sum(exact.values()) == pytest.approx(1)
    rows, counts = np.unique(~layer.kept.numpy(), axis=0, return_counts=True)
    drawn = {frozenset(np.flatnonzero(row).tolist()): n / draws for row, n in zip(rows, counts, strict=True)}
    assert drawn.keys() <= exact.keys()
    for units, probability in exact.items():
        tolerance = 5 * (probability * (1 - probability) / draws) ** 0.5
        assert drawn.get(units, 0.0) == pytest.approx(probability, abs=tolerance + 1e-9)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rescale", [False, True])
@pytest.mark.parametrize("shape", [(5, 10), (3, 2, 3, 5)])
def test_training_equals_a_loop(kind: type[DropAct | DropInv], rescale: bool, shape: tuple[int, ...]) -> None:
    layer, x = kind(0.3, rescale), torch.rand(shape, dtype=torch.float64) + 0.1
    out = layer(x)
    assert layer.kept is not None
    size = int(np.prod(shape[1:]))
    k = int(0.3 * size + 1e-9)
    expected = np.zeros(shape)
    for n in range(shape[0]):
        assert (~layer.kept[n]).sum() == k
        for position in np.ndindex(*shape[1:]):
            if layer.kept[n][position]:
                expected[n][position] = x[n][position] / (1 - k / size if rescale else 1)
    np.testing.assert_allclose(out.numpy(), expected, rtol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rescale", [False, True])
@pytest.mark.parametrize("shape", [(5, 10), (3, 2, 3, 5)])
def test_a_share_of_the_positive_units_equals_a_loop(
    kind: type[DropAct | DropInv], rescale: bool, shape: tuple[int, ...]
) -> None:
    layer, x = kind(0.6, rescale, "positive"), torch.randn(shape, dtype=torch.float64)
    # None, one and two that are positive: of one or none nothing drops.
    x[0] = -1.0
    x[1].view(-1)[:] = -1.0
    x[1].view(-1)[0] = 2.0
    x.requires_grad_()
    out = layer(x)
    out.sum().backward()
    assert layer.kept is not None
    assert x.grad is not None
    expected, slope = np.zeros(shape), np.zeros(shape)
    for n in range(shape[0]):
        positive = sum(1 for position in np.ndindex(*shape[1:]) if x[n][position] > 0)
        k = int(0.6 * positive + 1e-9)
        assert (~layer.kept[n]).sum() == k
        for position in np.ndindex(*shape[1:]):
            assert layer.kept[n][position] or x[n][position] > 0
            if layer.kept[n][position]:
                slope[n][position] = 1 / (1 - k / positive) if rescale and positive else 1
                expected[n][position] = x[n][position].item() * slope[n][position]
    np.testing.assert_allclose(out.detach().numpy(), expected, rtol=1e-6)
    np.testing.assert_allclose(x.grad.numpy(), slope, rtol=1e-6)
    assert layer.shortfall.item() == 0


@pytest.mark.parametrize("kind", KINDS)
def test_behind_a_relu_the_literal_share_drops_nearly_all_that_is_active(
    kind: type[DropAct | DropInv],
) -> None:
    x = torch.randn(1000, 256).relu()
    positive = x > 0
    left = {}
    for of in ("all", "positive"):
        layer = kind(0.5, of=of)
        layer(x)
        assert layer.kept is not None
        left[of] = layer.kept & positive
    # N₊ ~ Binomial(256, 0.5): the mean of max(N₊ − 128, 0) is √(64/2π), 2.5 % of 128; half of the samples keep none.
    assert left["all"].sum() / positive.sum() == pytest.approx((64 / 6.2832) ** 0.5 / 128, rel=0.2)
    assert 0.4 < 1 - left["all"].any(1).double().mean() < 0.65
    assert left["positive"].sum() / positive.sum() == pytest.approx(0.5, abs=0.01)
    assert left["positive"].any(1).all()


@pytest.mark.parametrize(("p", "size", "count"), [(0.29, 100, 29), (0.7, 10, 7), (0.1, 9, 0), (0.999, 10, 9)])
@pytest.mark.parametrize("kind", KINDS)
def test_floor_of_p_times_n(kind: type[DropAct | DropInv], p: float, size: int, count: int) -> None:
    layer = kind(p)
    layer(torch.rand(4, size) + 0.1)
    assert layer.kept is not None
    assert (~layer.kept).sum(1).tolist() == [count] * 4


@pytest.mark.parametrize("of", ["all", "positive"])
def test_a_p_just_below_1_leaves_a_unit(of: Of) -> None:
    out = DropAct(0.99999995, rescale=True, of=of)(torch.ones(3, 10))
    assert out.isfinite().all()
    assert (out > 0).sum(1).tolist() == [1, 1, 1]


@pytest.mark.parametrize("kind", KINDS)
def test_shortfall_is_counted_and_no_zero_unit_drops(kind: type[DropAct | DropInv]) -> None:
    layer = kind(0.5)
    x = torch.tensor([[1.0, 0, 0, 0, -1, 2], [1, 2, 3, 0, 0, 0], [0, 0, 0, 0, 0, 0], [-1, -1, 5, 1, 1, 1]])
    for forwards in (1, 2):
        out = layer(x)
        assert layer.kept is not None
        assert not (~layer.kept & (x <= 0)).any()
        assert (~layer.kept).sum(1).tolist() == [2, 3, 0, 3]
        assert torch.equal(out[0], torch.tensor([0.0, 0, 0, 0, -1, 0]))
        assert layer.shortfall.item() == forwards * (1 + 0 + 3 + 0)
    layer.eval()(x)
    assert layer.shortfall.item() == 8


@pytest.mark.parametrize("kind", KINDS)
def test_extreme_activations_together(kind: type[DropAct | DropInv]) -> None:
    x = torch.tensor([[1e-38, 1e38, 1e38, 1e-38, 1e38, 1e-38]]).expand(2000, -1)
    layer = kind(0.5)
    assert layer(x).isfinite().all()
    assert layer.kept is not None
    large = x > 1
    assert torch.equal(~layer.kept, large if kind is DropAct else ~large)


@pytest.mark.parametrize("noise", [2**-25, 1 - 2**-24])
@pytest.mark.parametrize("kind", KINDS)
def test_noise_at_its_ends_does_not_cost_a_drop(
    kind: type[DropAct | DropInv], noise: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.Tensor, "uniform_", lambda empty, low, high: empty.fill_(noise))
    layer = kind(0.75)
    layer(torch.tensor([[0.0, 1.0, -1.0, 1e-38]]))
    assert layer.kept is not None
    assert layer.kept.tolist() == [[True, False, True, False]]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rescale", [False, True])
def test_gradient_with_a_fixed_mask(kind: type[DropAct | DropInv], rescale: bool) -> None:
    layer = kind(0.4, rescale)

    def forward(units: torch.Tensor) -> torch.Tensor:
        torch.manual_seed(1)
        out: torch.Tensor = layer(units)
        return out

    x = (torch.rand(3, 5, dtype=torch.float64) + 0.1).requires_grad_()
    assert torch.autograd.gradcheck(forward, x)


@pytest.mark.parametrize("kind", KINDS)
def test_evaluation_is_the_identity(kind: type[DropAct | DropInv]) -> None:
    x = torch.randn(3, 4)
    assert kind(rescale=True).eval()(x) is x
