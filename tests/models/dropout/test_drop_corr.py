"""DropCorr against its covariance and against NumPy's multivariate normal."""

import copy
from typing import Literal

import numpy as np
import pytest
import torch
from torch import distributed

from dropout_lab.models.dropout import DropCorr
from dropout_lab.models.dropout.drop_corr import correlated_normal

Center = Literal["unit", "sample"]


def covariance(x: np.ndarray, center: Center) -> np.ndarray:
    """Σₙ x_c x_cᵀ, by loops."""
    samples, size = x.shape
    s = np.zeros((size, size))
    for n in range(samples):
        centred = [x[n, j] - (x[:, j].mean() if center == "unit" else x[n].mean()) for j in range(size)]
        for i in range(size):
            for j in range(size):
                s[i, j] += centred[i] * centred[j]
    return s


@pytest.mark.parametrize("center", ["unit", "sample"])
def test_covariance_up_to_a_factor(center: Center) -> None:
    x, draws = torch.randn(4, 6, dtype=torch.float64) * torch.arange(1, 7), 100_000
    s = correlated_normal(x, center, draws).numpy()
    expected = covariance(x.numpy(), center) / x.abs().max().item() ** 2
    for i in range(6):
        assert abs(s[:, i].mean()) < 5 * (expected[i, i] / draws) ** 0.5
        for j in range(6):
            # Var(s_i s_j) = S_ii S_jj + S_ij² for a normal vector.
            error = ((expected[i, i] * expected[j, j] + expected[i, j] ** 2) / draws) ** 0.5
            assert (s[:, i] * s[:, j]).mean() == pytest.approx(expected[i, j], abs=5 * error)


@pytest.mark.parametrize(
    ("center", "mask"),
    [
        ("unit", "sample"),
        pytest.param("sample", "batch", marks=pytest.mark.slow),
        pytest.param("unit", "batch", marks=pytest.mark.slow),
        pytest.param("sample", "sample", marks=pytest.mark.slow),
    ],
)
def test_sets_drop_as_with_numpys_multivariate_normal(
    center: Center, mask: Literal["sample", "batch"]
) -> None:
    x = torch.tensor([[1.0, 1.1, 0.0, 3.0], [2.0, 2.1, 0.5, 0.1], [0.0, 0.2, 1.0, 1.0]])
    layer = DropCorr(0.5, center, mask)
    patterns = []
    for _ in range(4000):
        layer(x)
        assert layer.kept is not None
        assert layer.kept.shape == (3 if mask == "sample" else 1, 4)
        # The rows of a batch have the same law and are independent: one is enough of them.
        patterns.append(~layer.kept[0])
    ours = torch.stack(patterns).numpy()
    rng, draws = np.random.default_rng(0), 200_000
    s = rng.multivariate_normal(np.zeros(4), covariance(x.double().numpy(), center), draws)
    theirs = np.zeros((draws, 4), dtype=bool)
    np.put_along_axis(theirs, np.argsort(-s, axis=1)[:, :2], True, axis=1)
    powers = 2 ** np.arange(4)
    for code in range(16):
        expected = (theirs @ powers == code).mean()
        error = (expected * (1 - expected) * (1 / 4000 + 1 / draws)) ** 0.5
        assert (ours @ powers == code).mean() == pytest.approx(expected, abs=5 * error)


@pytest.mark.parametrize("center", ["unit", "sample"])
@pytest.mark.parametrize("mask", ["sample", "batch"])
@pytest.mark.parametrize("rescale", [False, True])
@pytest.mark.parametrize("shape", [(4, 10), (3, 2, 5, 3)])
def test_training_equals_a_loop(
    center: Center, mask: Literal["sample", "batch"], rescale: bool, shape: tuple[int, ...]
) -> None:
    layer, x = DropCorr(0.3, center, mask, rescale), torch.randn(shape, dtype=torch.float64)
    torch.manual_seed(7)
    out = layer(x)
    torch.manual_seed(7)
    noise = torch.randn(shape[0] if mask == "sample" else 1, shape[0], dtype=torch.float64).numpy()
    units = x.flatten(1).numpy()
    size = units.shape[1]
    k = int(0.3 * size + 1e-9)
    centred = units - (units.mean(0) if center == "unit" else units.mean(1, keepdims=True))
    expected = units.copy()
    for n in range(len(units)):
        z = noise[n if mask == "sample" else 0]
        s = [sum(z[m] * centred[m, j] for m in range(len(units))) for j in range(size)]
        for j in sorted(range(size), key=lambda j: -s[j])[:k]:
            expected[n, j] = 0
    if rescale:
        expected /= 1 - k / size
    np.testing.assert_allclose(out.flatten(1).numpy(), expected, rtol=1e-6)


@pytest.mark.parametrize("mask", ["sample", "batch"])
@pytest.mark.parametrize("rescale", [False, True])
@pytest.mark.parametrize("shape", [(4, 10), (3, 2, 5, 3)])
def test_a_share_of_the_positive_units_equals_a_loop(
    mask: Literal["sample", "batch"], rescale: bool, shape: tuple[int, ...]
) -> None:
    layer = DropCorr(0.6, "unit", mask, rescale, "positive")
    x = torch.randn(shape, dtype=torch.float64).relu()
    x[0] = 0.0
    torch.manual_seed(7)
    out = layer(x)
    torch.manual_seed(7)
    noise = torch.randn(shape[0] if mask == "sample" else 1, shape[0], dtype=torch.float64).numpy()
    units = x.flatten(1).numpy()
    centred = units - units.mean(0)
    expected = units.copy()
    for n in range(len(units)):
        z = noise[n if mask == "sample" else 0]
        s = [sum(z[m] * centred[m, j] for m in range(len(units))) for j in range(units.shape[1])]
        positive = [j for j in range(units.shape[1]) if units[n, j] > 0]
        k = int(0.6 * len(positive) + 1e-9)
        for j in sorted(positive, key=lambda j: -s[j])[:k]:
            expected[n, j] = 0
        if rescale and positive:
            expected[n] /= 1 - k / len(positive)
    np.testing.assert_allclose(out.flatten(1).numpy(), expected, rtol=1e-6)


@pytest.mark.parametrize("rescale", [False, True])
def test_gradient_with_a_fixed_mask(rescale: bool) -> None:
    layer, x = DropCorr(0.4, rescale=rescale), torch.randn(3, 5, dtype=torch.float64)

    def forward(units: torch.Tensor) -> torch.Tensor:
        torch.manual_seed(1)
        out: torch.Tensor = layer(units)
        return out

    assert torch.autograd.gradcheck(forward, x.requires_grad_())


def test_units_of_one_kind_drop_together() -> None:
    common = torch.randn(50, 1)
    x = torch.cat([common + 0.01 * torch.randn(50, 5), -common + 0.01 * torch.randn(50, 5)], dim=1)
    layer = DropCorr(0.5)
    layer(x)
    assert layer.kept is not None
    groups = (~layer.kept).view(50, 2, 5).sum(2)
    assert (groups.max(1).values == 5).all()


def test_evaluation_is_the_identity() -> None:
    x = torch.randn(3, 4)
    assert DropCorr(rescale=True).eval()(x) is x


def estimating_steps(keep: int, growth: float, steps: int) -> list[int]:
    """Which steps estimate, by a loop."""
    found, due, kept_for = [], 0, float(keep)
    for step in range(steps):
        if step == due:
            found.append(step)
            due, kept_for = step + int(kept_for), kept_for * growth
    return found


@pytest.mark.parametrize("center", ["unit", "sample"])
@pytest.mark.parametrize("mask", ["sample", "batch"])
@pytest.mark.parametrize(("keep", "growth"), [(3, 1.0), (2, 1.5)])
def test_kept_covariance_equals_a_loop(
    center: Center, mask: Literal["sample", "batch"], keep: int, growth: float
) -> None:
    layer = DropCorr(0.3, center, mask, keep=keep, growth=growth)
    # A last batch of an epoch that is smaller, and a larger one than the first.
    batches = [torch.randn(size, 7, dtype=torch.float64) for size in (4, 4, 2, 4, 6, 4, 3, 4, 4, 4, 5, 4)]
    estimates, rows, room = estimating_steps(keep, growth, len(batches)), np.empty((0, 7)), 0
    for step, x in enumerate(batches):
        torch.manual_seed(step)
        out = layer(x)
        units, room = x.numpy(), max(room, len(x))
        torch.manual_seed(step)
        noise = torch.randn(len(x) if mask == "sample" else 1, room, dtype=torch.float64).numpy()
        if step in estimates:
            rows = units - (units.mean(0) if center == "unit" else units.mean(1, keepdims=True))
        expected = units.copy()
        for n in range(len(units)):
            z = noise[n if mask == "sample" else 0]
            s = [sum(z[m] * rows[m, j] for m in range(len(rows))) for j in range(7)]
            for j in sorted(range(7), key=lambda j: -s[j])[:2]:
                expected[n, j] = 0
        np.testing.assert_allclose(out.numpy(), expected, rtol=1e-12)
    assert layer.state_dict()["kept_estimates"] == len(estimates)


def test_estimates_grow_rare() -> None:
    layer = DropCorr(keep=2, growth=1.5)
    found = []
    for step in range(30):
        before = int(layer.state_dict()["kept_estimates"])
        layer(torch.randn(3, 4))
        found += [step] * (int(layer.state_dict()["kept_estimates"]) - before)
    # 2, 3, ⌊4.5⌋, ⌊6.75⌋ and ⌊10.125⌋ steps.
    assert found == [0, 2, 5, 9, 15, 25] == estimating_steps(2, 1.5, 30)


def test_kept_law_is_that_of_the_batch_estimated_from() -> None:
    """The covariance of s by which a later, unlike batch's units drop."""
    first, later = (
        torch.tensor([[3.0, 3.0, 0.1], [0.0, 0.0, 0.0]]),
        torch.tensor([[0.1, -3.0, 3.0]]).expand(2000, 3),
    )
    layer = DropCorr(0.34, keep=2)
    layer(torch.cat([first, torch.zeros(1998, 3)]))
    layer(later)
    assert layer.kept is not None
    shares = (~layer.kept).double().mean(0)
    # s is z·(3, 3, 0.1) up to a factor: one of the first two where z > 0, the last where z < 0.
    assert shares[2].item() == pytest.approx(0.5, abs=5 * 0.5 / 2000**0.5)
    own = DropCorr(0.34)
    own(later)
    assert own.kept is not None
    assert not torch.allclose((~own.kept).double().mean(0), shares, atol=0.05)


def test_a_loaded_state_goes_on_to_the_bit() -> None:
    layer, batches = DropCorr(0.4, keep=3, growth=2.0), [torch.randn(5, 6) for _ in range(9)]
    for x in batches[:4]:
        layer(x)
    state, fresh = copy.deepcopy(layer.state_dict()), DropCorr(0.4, keep=3, growth=2.0)
    # One that has seen other batches takes over all the same.
    fresh(torch.randn(8, 6))
    fresh.load_state_dict(state)
    for step, x in enumerate(batches[4:]):
        outs = []
        for each in (layer, fresh):
            torch.manual_seed(step)
            outs.append(each(x))
        assert torch.equal(*outs)
    assert layer.state_dict().keys() == {"kept_rows", "kept_steps_left", "kept_estimates"}
    assert not DropCorr(0.4).state_dict()
    with pytest.raises(RuntimeError, match="Missing key.*kept_rows"):
        DropCorr(keep=2).load_state_dict({})


def test_sampling_in_evaluation_leaves_the_kept_alone() -> None:
    layer = DropCorr(keep=2)
    layer(torch.randn(4, 6))
    before = copy.deepcopy(layer.state_dict())
    layer.eval().sampling = True
    with torch.inference_mode():
        layer(torch.randn(9, 6))
    assert all(torch.equal(value, before[key]) for key, value in layer.state_dict().items())
    layer.train()(torch.randn(4, 6))


def test_kept_covariance_compiles_once() -> None:
    layer = DropCorr(0.4, keep=2, growth=1.5)
    compiled = torch.compile(layer, fullgraph=True, backend="eager")
    batches = [torch.randn(4, 6) for _ in range(9)]
    # The first two make the room and find it made.
    for x in batches[:2]:
        compiled(x)
    with torch._dynamo.config.patch(error_on_recompile=True):
        for x in batches[2:]:
            other = copy.deepcopy(layer)
            torch.manual_seed(3)
            out = compiled(x)
            torch.manual_seed(3)
            assert torch.equal(out, other(x))


@pytest.mark.parametrize("sizes", [(5, 4), (4, 5)])
def test_ranks_of_unequal_batches_go_on_with_the_first(
    sizes: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    layers = [DropCorr(keep=2) for _ in sizes]
    sent: list[torch.Tensor] = []

    def broadcast(rows: torch.Tensor, source: int) -> None:
        # What gloo and NCCL ask for, which do not say so.
        if sent:
            assert rows.shape == sent[0].shape
            rows.copy_(sent[0])
        sent.append(rows.clone())

    monkeypatch.setattr(distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(distributed, "all_reduce", lambda room, op: room.fill_(max(sizes)))
    monkeypatch.setattr(distributed, "broadcast", broadcast)
    for layer, size in zip(layers, sizes, strict=True):
        layer(torch.randn(size, 6))
    covariance = layers[0].state_dict()["kept_rows"].clone()
    for layer in layers:
        layer.synchronize()
        rows = layer.state_dict()["kept_rows"]
        assert torch.allclose(rows.t() @ rows, covariance.t() @ covariance)


def test_other_units_than_the_kept_ones() -> None:
    layer = DropCorr(keep=2)
    layer(torch.randn(4, 6))
    with pytest.raises(ValueError, match="the covariance that is kept is of 6 units, and x has 5"):
        layer(torch.randn(4, 5))


def test_growth_needs_something_that_grows() -> None:
    with pytest.raises(ValueError, match="keep must be 2 or more for growth=2 to act on, got 1"):
        DropCorr(growth=2.0)
