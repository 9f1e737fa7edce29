"""MalDrop and SpatialMalDrop: V by loops, the choice of units, the pass rate."""

import copy
import itertools
import math
from typing import Literal

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dropout_lab.models.dropout import MalDrop, NoDropout, SpatialMalDrop
from dropout_lab.models.dropout.mal_drop import Mask, Omega, contributions, losses_without
from dropout_lab.models.networks.base import Head

CLASSES = 4


def values(x: Tensor, target: Tensor, weight: Tensor, omega: Omega) -> np.ndarray:
    """V_j = H_j·W[y, j] − ω·H_j·Σ_{k≠y} W[k, j]."""
    balance = 1 / (len(weight) - 1) if omega == "balanced" else float(omega)
    v = np.zeros(x.shape)
    for n in range(x.shape[0]):
        y = int(target[n])
        for j in range(x.shape[1]):
            others = sum(weight[k, j].item() for k in range(len(weight)) if k != y)
            v[n, j] = x[n, j].item() * weight[y, j].item() - balance * x[n, j].item() * others
    return v


def cross_entropy(h: np.ndarray, y: int, weight: np.ndarray) -> float:
    logits = weight @ h
    return float(np.log(np.exp(logits - logits.max()).sum()) + logits.max() - logits[y])


def given(*shape: int) -> tuple[Tensor, Tensor, Tensor]:
    x = torch.randn(shape, dtype=torch.float64)
    return x, torch.randint(CLASSES, (shape[0],)), torch.randn(CLASSES, x[0].numel(), dtype=torch.float64)


@pytest.mark.parametrize("omega", ["balanced", 0.0, 0.5, 2.0])
@pytest.mark.parametrize("rho", [0, 1, 3, 8])
def test_drops_the_units_of_highest_v_unscaled(omega: Omega, rho: int) -> None:
    x, target, weight = given(6, 8)
    layer = MalDrop(rho, omega)
    out = layer(x, target, weight)
    v = values(x, target, weight, omega)
    np.testing.assert_allclose(
        contributions(x, target, weight, layer.balance(CLASSES)).numpy(), v, rtol=1e-10, atol=1e-12
    )
    expected = x.numpy().copy()
    for n in range(6):
        for j in sorted(range(8), key=lambda j: -v[n, j])[:rho]:
            expected[n, j] = 0
    np.testing.assert_array_equal(out.numpy(), expected)
    assert layer.kept is not None
    assert (~layer.kept).sum(1).tolist() == [rho] * 6


def test_units_of_images_are_one_set() -> None:
    x, target, weight = given(5, 2, 3, 3)
    flat, image = MalDrop(4), MalDrop(4)
    assert torch.equal(image(x, target, weight).flatten(1), flat(x.flatten(1), target, weight))
    assert image.pass_rate.shape == (18,)


@pytest.mark.parametrize("omega", ["balanced", 0.7])
@pytest.mark.parametrize("rho", [0, 1, 2, 3])
def test_spatial_drops_channels_of_highest_summed_v(omega: Omega, rho: int) -> None:
    x, target, weight = given(5, 3, 2, 2)
    layer = SpatialMalDrop(rho, omega)
    out = layer(x, target, weight)
    v = values(x.flatten(1), target, weight, omega).reshape(5, 3, 2, 2)
    expected = x.numpy().copy()
    for n in range(5):
        for c in sorted(range(3), key=lambda c: -sum(v[n, c].ravel()))[:rho]:
            expected[n, c] = 0
    np.testing.assert_array_equal(out.numpy(), expected)
    assert layer.kept is not None
    assert layer.kept.shape == (5, 3, 1, 1)
    assert layer.pass_rate.shape == (3,)


def test_loss_score_is_the_cross_entropy_without_each_unit(monkeypatch: pytest.MonkeyPatch) -> None:
    x, target, weight = given(6, 8)
    expected = np.zeros((6, 8))
    for n in range(6):
        for j in range(8):
            h = x[n].numpy().copy()
            h[j] = 0
            expected[n, j] = cross_entropy(h, int(target[n]), weight.numpy())
    np.testing.assert_allclose(losses_without(x, target, weight).numpy(), expected, rtol=1e-10)
    monkeypatch.setattr("dropout_lab.models.dropout.mal_drop.CHUNK", 70)
    np.testing.assert_allclose(losses_without(x, target, weight).numpy(), expected, rtol=1e-10)
    out = MalDrop(2, score="loss")(x, target, weight)
    for n in range(6):
        assert set(np.flatnonzero(out[n].numpy() == 0)) == set(np.argsort(-expected[n])[:2])


@pytest.mark.parametrize("rho", [0, 1, 3, 6])
def test_exact_score_is_the_best_of_all_subsets(rho: int) -> None:
    x, target, weight = given(5, 6)
    out = MalDrop(rho, score="exact")(x, target, weight)
    for n in range(5):
        losses = {}
        for subset in itertools.combinations(range(6), rho):
            h = x[n].numpy().copy()
            h[list(subset)] = 0
            losses[subset] = cross_entropy(h, int(target[n]), weight.numpy())
        best = max(losses, key=lambda subset: losses[subset])
        assert tuple(np.flatnonzero(out[n].numpy() == 0)) == best


def test_exact_score_refuses_more_than_a_million_subsets() -> None:
    x, target, weight = given(2, 40)
    with pytest.raises(
        ValueError,
        match="there are 137,846,528,820 of rho=20 out of 40 units, more than 1,000,000; take a smaller",
    ):
        MalDrop(20, score="exact")(x, target, weight)


@pytest.mark.parametrize("score", ["contribution", "loss"])
def test_hits_the_loss_harder_than_chance(score: str) -> None:
    x, target, weight = given(50, 20)
    out = MalDrop(5, score=score)(x, target, weight)  # type: ignore[arg-type]
    chance = x * (torch.rand(50, 20).argsort(1) >= 5)
    loss = nn.functional.cross_entropy
    assert loss(out @ weight.t(), target) > loss(chance @ weight.t(), target)


@pytest.mark.parametrize("kind", [MalDrop, SpatialMalDrop])
def test_shapes_that_do_not_fit(kind: type[MalDrop | SpatialMalDrop]) -> None:
    x, target, weight = given(4, 5)
    for mode in (True, False):
        with pytest.raises(ValueError, match="rho must be at most 5, what there is to drop, got 6"):
            kind(6).train(mode)(x, target, weight)
    compiled = torch.compile(kind(6), fullgraph=True, backend="aot_eager")
    torch._dynamo.reset()
    with pytest.raises(ValueError, match="rho must be at most 5"):
        compiled(x, target, weight)
    with pytest.raises(ValueError, match=r"weight must be \(classes, 5\), .*, got \(4, 3\)"):
        kind(1)(x, target, weight[:, :3])
    layer = kind(5)
    assert (layer(x, target, weight) == 0).all()
    with pytest.raises(ValueError, match="rho must be at most 5"):
        layer.rho = 6
    assert layer.rho == 5


def test_spatial_rho_counts_channels() -> None:
    x, target, weight = given(2, 3, 4, 4)
    with pytest.raises(ValueError, match="rho must be at most 3"):
        SpatialMalDrop(4)(x, target, weight)


@pytest.mark.parametrize("kind", [MalDrop, SpatialMalDrop])
def test_missing_labels_say_how_to_wire(kind: type[MalDrop | SpatialMalDrop]) -> None:
    x, target, weight = given(4, 5)
    for labels in ((), (target,), (None, weight)):
        with pytest.raises(ValueError, match=r"needs labels .* network\(images, target\).*swap_dropout"):
            kind(1)(x, *labels)
    assert torch.equal(kind(1).eval()(x), x)


@pytest.mark.parametrize(
    ("kind", "shape"), [(MalDrop, (7, 5)), (MalDrop, (7, 2, 2, 2)), (SpatialMalDrop, (7, 5, 2, 2))]
)
def test_pass_rate_is_a_count_by_hand(kind: type[MalDrop | SpatialMalDrop], shape: tuple[int, ...]) -> None:
    layer = kind(2)
    assert layer.pass_rate.item() == 1
    passed, samples = (
        torch.zeros(5 if kind is SpatialMalDrop else math.prod(shape[1:]), dtype=torch.float64),
        0,
    )
    for step in range(5):
        layer.rho = step % 3
        x, target, weight = given(shape[0] - step, *shape[1:])
        layer(x, target, weight)
        assert layer.kept is not None
        passed, samples = passed + layer.kept.double().sum(0).flatten(), samples + len(x)
    expected = passed / samples
    torch.testing.assert_close(layer.pass_rate.double(), expected, rtol=1e-6, atol=0)
    x = given(*shape)[0]
    layer.eval()
    each = expected.view(1, -1, 1, 1) if kind is SpatialMalDrop else expected.view(1, *shape[1:])
    torch.testing.assert_close(layer(x), x * each, rtol=1e-6, atol=0)
    torch.testing.assert_close(layer.pass_rate.double(), expected, rtol=1e-6, atol=0)
    layer.reset_pass_rate()
    assert (layer.pass_rate == 1).all()
    assert torch.equal(layer(x), x)


@pytest.mark.parametrize("kind", [MalDrop, SpatialMalDrop])
def test_a_fresh_layer_goes_on_counting(kind: type[MalDrop | SpatialMalDrop]) -> None:
    first, fresh = kind(2), kind(2)
    for _ in range(3):
        first(*given(7, 5))
    state = first.state_dict()
    assert set(state) == {"pass_rate", "pass_samples"}
    fresh.load_state_dict(state)
    assert torch.equal(fresh.pass_rate, first.pass_rate)
    more = given(4, 5)
    first(*more)
    fresh(*more)
    assert torch.equal(fresh.pass_rate, first.pass_rate)
    assert fresh.state_dict()["pass_samples"].item() == 25


def test_an_untrained_state_forgets_what_was_counted() -> None:
    layer = MalDrop(2)
    layer(*given(7, 5))
    layer.load_state_dict(MalDrop(2).state_dict())
    assert (layer.pass_rate == 1).all()
    layer(*given(7, 5))
    assert layer.state_dict()["pass_samples"].item() == 7


def test_a_state_of_another_width_is_refused() -> None:
    layer, fresh = MalDrop(2), MalDrop(2)
    layer(*given(7, 10))
    fresh.load_state_dict(layer.state_dict())
    with pytest.raises(ValueError, match="pass_rate is of 10 sets of units, and x has 5"):
        fresh.eval()(given(7, 5)[0])


@pytest.mark.parametrize("mask", ["sample", "batch"])
def test_compiled_code_counts_too(mask: Mask) -> None:
    torch._dynamo.reset()
    layer, other = MalDrop(2, mask=mask), MalDrop(2, mask=mask)
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    with torch._dynamo.config.patch(error_on_recompile=True):
        for rho in (2, 0, 5, 1):
            layer.rho = other.rho = rho
            batch = given(6, 5)
            assert torch.equal(compiled(*batch), other(*batch))
    assert torch.equal(layer.pass_rate, other.pass_rate)


@pytest.mark.parametrize("kind", [MalDrop, SpatialMalDrop])
def test_gradient_with_a_fixed_mask(kind: type[MalDrop | SpatialMalDrop]) -> None:
    x, target, weight = given(3, 5)
    assert torch.autograd.gradcheck(lambda units: kind(2)(units, target, weight), x.requires_grad_())


def test_choice_passes_no_gradient_to_the_weight() -> None:
    x, target, weight = given(3, 5)
    out = MalDrop(2)(x, target, weight.requires_grad_())
    assert not out.requires_grad


def test_a_copied_head_reads_its_own_weight() -> None:
    head = Head(MalDrop(3), nn.Linear(6, CLASSES))
    other = copy.deepcopy(head)
    with torch.no_grad():
        other.linear.weight.neg_()
    x, target = torch.rand(5, 6), torch.randint(CLASSES, (5,))
    head(x, target)
    other(x, target)
    first, second = head.stage.kept, other.stage.kept
    assert isinstance(first, Tensor)
    assert isinstance(second, Tensor)
    assert not torch.equal(first, second)


def test_is_no_dropout_in_an_inner_place() -> None:
    assert isinstance(MalDrop(3).inner(), NoDropout)
    assert isinstance(SpatialMalDrop(3).inner(), NoDropout)


def test_a_pass_rate_of_another_width_is_not_loaded() -> None:
    one, other = MalDrop(1), MalDrop(1)
    one(*given(4, 5))
    other(*given(4, 7))
    with pytest.raises(RuntimeError, match="pass_rate is of 7 sets of units, here there are 5"):
        one.load_state_dict(other.state_dict())


def test_the_exact_score_tries_as_many_subsets_as_it_says() -> None:
    x, target, weight = given(1, 20)
    layer = MalDrop(10, score="exact")
    layer(x, target, weight)
    assert layer.kept is not None
    assert layer.kept.sum().item() == 10


@pytest.mark.parametrize("score", ["contribution", "loss"])
def test_huge_activations_drop_rho_units(score: Literal["contribution", "loss"]) -> None:
    x, target, weight = given(4, 12)
    layer = MalDrop(3, score=score)
    layer(x.sign() * 3e38, target, weight)
    assert layer.kept is not None
    assert (~layer.kept).sum(1).tolist() == [3] * 4


@pytest.mark.parametrize("score", ["contribution", "loss", "exact"])
@pytest.mark.parametrize("rho", [0, 1, 3])
def test_one_mask_a_batch_drops_what_helps_most_in_sum(
    score: Literal["contribution", "loss", "exact"], rho: int
) -> None:
    x, target, weight = given(7, 6)
    layer = MalDrop(rho, 0.5, score, mask="batch")
    out = layer(x, target, weight)
    subsets = {}
    for subset in itertools.combinations(range(6), rho):
        if score == "contribution":
            subsets[subset] = values(x, target, weight, 0.5).sum(0)[list(subset)].sum()
            continue
        joint = [subset] if score == "exact" else [(j,) for j in subset]
        subsets[subset] = 0.0
        for n, dropped in itertools.product(range(7), joint):
            h = x[n].numpy().copy()
            h[list(dropped)] = 0
            subsets[subset] += cross_entropy(h, int(target[n]), weight.numpy())
    best = max(subsets, key=lambda subset: subsets[subset])
    expected = x.numpy().copy()
    expected[:, list(best)] = 0
    np.testing.assert_array_equal(out.numpy(), expected)
    assert layer.kept is not None
    assert layer.kept.shape == (1, 6)
    rate = [float(j not in best) for j in range(6)]
    assert layer.pass_rate.tolist() == rate
    assert layer.state_dict()["pass_samples"].item() == 7


def test_spatial_with_one_mask_a_batch() -> None:
    x, target, weight = given(5, 3, 2, 2)
    layer = SpatialMalDrop(1, 0.7, mask="batch")
    out = layer(x, target, weight)
    v = values(x.flatten(1), target, weight, 0.7).reshape(5, 3, 4).sum((0, 2))
    expected = x.numpy().copy()
    expected[:, v.argmax()] = 0
    np.testing.assert_array_equal(out.numpy(), expected)
    assert layer.kept is not None
    assert layer.kept.shape == (1, 3, 1, 1)


@pytest.mark.parametrize("kind", [MalDrop, SpatialMalDrop])
def test_a_batch_of_one_is_the_same_either_way(kind: type[MalDrop | SpatialMalDrop]) -> None:
    one, other = kind(2), kind(2, mask="batch")
    for _ in range(3):
        batch = given(1, 5)
        assert torch.equal(one(*batch), other(*batch))
    assert torch.equal(one.pass_rate, other.pass_rate)


def test_the_exact_choice_is_the_same_however_many_samples_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    x, target, weight = given(9, 6)
    masks: tuple[Mask, ...] = ("sample", "batch")
    for mask in masks:
        whole = MalDrop(2, score="exact", mask=mask)(x, target, weight)
        with monkeypatch.context() as patch:
            patch.setattr("dropout_lab.models.dropout.mal_drop.CHUNK", 130)
            assert torch.equal(MalDrop(2, score="exact", mask=mask)(x, target, weight), whole)
