"""Drop-in against loops, behind a ReLU, where it has units to revive."""

from typing import Literal

import numpy as np
import pytest
import torch
from torch import Tensor

from dropout_lab.models.dropout import DropIn
from dropout_lab.models.dropout.drop_in import Value, drop_in

Scale = Literal["count", "mass", "none"]
Scope = Literal["batch", "sample"]


def relu_outputs(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64).relu()


def reference(
    x: Tensor, kept: Tensor, p: float, value: float | str, scale: Scale, scale_revived: bool = True
) -> np.ndarray:
    """One scope, from the formulas: kept units that were 0 were revived."""
    units, passed = x.flatten().tolist(), kept.flatten().tolist()
    living = [unit for unit in units if unit != 0]
    revived = sum(1 for unit, alive in zip(units, passed, strict=True) if unit == 0 and alive)
    r = sum(living) / len(living) if value == "mean" else float(value)
    if scale == "count":
        s = len(living) / (len(living) + p * (len(units) - len(living)) * r)
    elif scale == "mass":
        s = sum(living) / (sum(living) + revived * r)
    else:
        s = 1.0
    out = []
    for unit, alive in zip(units, passed, strict=True):
        if unit != 0:
            out.append(unit * s)
        else:
            out.append(r * (s if scale_revived else 1) if alive else 0.0)
    return np.array(out).reshape(x.shape)


@pytest.mark.parametrize("value", ["uniform", "mean", 0.0, 0.25, 3.0])
@pytest.mark.parametrize("scale", ["count", "mass", "none"])
@pytest.mark.parametrize("scope", ["batch", "sample"])
@pytest.mark.parametrize("shape", [(5, 8), (3, 2, 3, 3)])
def test_training_equals_a_loop(value: Value, scale: Scale, scope: Scope, shape: tuple[int, ...]) -> None:
    layer, x = DropIn(0.25, value, scale, scope), relu_outputs(*shape)
    out = layer(x)
    assert layer.kept is not None
    assert ((x == 0) & layer.kept).any()
    r = layer.value.item() if value == "uniform" else value
    if scope == "batch":
        expected = reference(x, layer.kept, 0.25, r, scale)
    else:
        expected = np.stack([reference(x[n], layer.kept[n], 0.25, r, scale) for n in range(len(x))])
    np.testing.assert_allclose(out.numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize("value", ["uniform", "mean", 3.0])
@pytest.mark.parametrize("scope", ["batch", "sample"])
@pytest.mark.parametrize("shape", [(5, 8), (3, 2, 3, 3)])
def test_scaling_the_rest_alone_equals_a_loop(value: Value, scope: Scope, shape: tuple[int, ...]) -> None:
    layer = DropIn(0.25, value, scope=scope, scale_revived=False)
    x = relu_outputs(*shape).requires_grad_()
    out = layer(x)
    assert layer.kept is not None
    revived = (x == 0) & layer.kept
    assert revived.any()
    r = layer.value.item() if value == "uniform" else value
    parts = [slice(None)] if scope == "batch" else [slice(n, n + 1) for n in range(len(x))]
    expected = np.concatenate(
        [reference(x[part], layer.kept[part], 0.25, r, "count", scale_revived=False) for part in parts]
    )
    np.testing.assert_allclose(out.detach().numpy(), expected, rtol=1e-12)
    out.sum().backward()
    # R and s are constants: none through revived units, s through living ones.
    assert x.grad is not None
    assert (x.grad[revived] == 0).all()
    living = x.detach() != 0
    torch.testing.assert_close(x.grad[living], (out / x).detach()[living])


def test_scaling_the_rest_alone_keeps_no_mean() -> None:
    x = (torch.rand(2000, 100, dtype=torch.float64) < 0.4).double()
    out = DropIn(0.5, value=0.5, scale_revived=False)(x)
    living, dead = int(x.sum()), int((x == 0).sum())
    mean = living * living / (living + 0.25 * dead) + 0.25 * dead
    assert mean > 1.05 * living
    # The number revived is binomial.
    assert out.sum().item() == pytest.approx(mean, abs=5 * 0.5 * (dead * 0.25) ** 0.5)
    assert DropIn(scale_revived=False).eval()(x) is x


@pytest.mark.parametrize("scale", ["mass", "none"])
def test_scaling_the_rest_alone_goes_with_the_sources_scale(scale: Scale) -> None:
    with pytest.raises(ValueError, match=f"scale_revived=False goes with scale='count', as scale='{scale}'"):
        DropIn(scale=scale, scale_revived=False)


def test_dead_units_are_revived_with_probability_p_and_living_ones_all_pass() -> None:
    layer, x = DropIn(0.3), relu_outputs(1000, 200)
    layer(x)
    assert layer.kept is not None
    dead = x == 0
    assert layer.kept[~dead].all()
    count = int(dead.sum())
    assert layer.kept[dead].double().mean().item() == pytest.approx(0.3, abs=5 * (0.21 / count) ** 0.5)


def test_nothing_and_everything() -> None:
    x = relu_outputs(6, 9)
    assert torch.equal(DropIn(0.0)(x), x)
    layer = DropIn(1.0, value=2.0, scale="none")
    assert torch.equal(layer(x), torch.where(x == 0, 2.0, x))
    assert layer.kept is not None
    assert layer.kept.all()


def test_without_a_zero_there_is_nothing_to_do() -> None:
    x = torch.rand(5, 5) + 0.1
    assert torch.equal(DropIn(0.9)(x), x)


@pytest.mark.parametrize("scale", ["count", "mass", "none"])
@pytest.mark.parametrize("value", ["uniform", "mean", 0.5])
@pytest.mark.parametrize("scope", ["batch", "sample"])
def test_no_living_unit(scale: Scale, value: Value, scope: Scope) -> None:
    for p in (0.0, 0.5, 1.0):
        assert DropIn(p, value, scale, scope)(torch.zeros(4, 5)).isfinite().all()


@pytest.mark.parametrize("scope", ["batch", "sample"])
@pytest.mark.parametrize("value", ["uniform", "mean", 0.5])
def test_mass_keeps_the_sum(scope: Scope, value: Value) -> None:
    x = relu_outputs(20, 30)
    out = DropIn(0.7, value, "mass", scope)(x)
    dims = (0, 1) if scope == "batch" else (1,)
    assert not torch.equal(out, x)
    torch.testing.assert_close(out.sum(dims), x.sum(dims), rtol=1e-12, atol=0)


def test_count_keeps_the_mean_of_living_units_of_1() -> None:
    x = (torch.rand(2000, 100, dtype=torch.float64) < 0.4).double()
    out = DropIn(0.5, value=0.5)(x)
    dead = int((x == 0).sum())
    # The number revived is binomial; s is computed with its mean.
    assert out.sum().item() == pytest.approx(x.sum().item(), abs=5 * 0.5 * (dead * 0.25) ** 0.5)


def test_cancelling_sums_stay_finite() -> None:
    x = torch.tensor([[-1.0, 0.0], [1.0, 0.0], [-0.5, 0.0], [3e38, 0.0]])
    for scale in ("count", "mass"):
        for value in ("mean", 1.0, 0.5):
            assert DropIn(1.0, value, scale, "sample")(x).isfinite().all()


def test_evaluation_is_the_identity() -> None:
    x = relu_outputs(3, 4)
    assert DropIn().eval()(x) is x


def test_gradient_with_a_fixed_mask() -> None:
    x = relu_outputs(4, 5) + 0.1
    revived = torch.rand(4, 5) < 0.4
    value, factor = torch.tensor(0.3), torch.tensor(0.7, dtype=torch.float64)
    x.requires_grad_()
    assert torch.autograd.gradcheck(lambda units: drop_in(units, revived, value, factor), x)


@pytest.mark.parametrize("scale", ["count", "mass"])
def test_no_gradient_through_revived_units_or_the_scale(scale: Scale) -> None:
    x = relu_outputs(4, 6).requires_grad_()
    layer = DropIn(0.5, "mean", scale)
    out = layer(x)
    out.sum().backward()
    assert layer.kept is not None
    assert x.grad is not None
    living = x.detach() != 0
    factor = (out.detach()[living] / x.detach()[living])[0]
    expected = torch.where(~living & layer.kept, 0.0, factor)
    torch.testing.assert_close(x.grad, expected)


def test_r_is_drawn_once_and_travels_in_the_state_dict() -> None:
    drawn = torch.stack([DropIn().value for _ in range(300)])
    assert drawn.min() >= 0
    assert drawn.max() < 1
    assert drawn.mean().item() == pytest.approx(0.5, abs=5 * (1 / 12 / 300) ** 0.5)
    first, second = DropIn(), DropIn()
    second.load_state_dict(first.state_dict())
    assert torch.equal(first.value, second.value)
    assert not DropIn(value=0.4).state_dict()
    assert DropIn(value=0.4).value.item() == pytest.approx(0.4)
