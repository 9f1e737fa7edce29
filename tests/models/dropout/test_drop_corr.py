"""DropCorr against its covariance and against NumPy's multivariate normal."""

from typing import Literal

import numpy as np
import pytest
import torch

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
