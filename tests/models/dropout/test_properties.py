"""What holds for every variant whatever the shape, the rate and the numbers."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dropout_lab.models.dropout import (
    Chain,
    DropAct,
    DropAlan,
    DropConnect,
    DropCorr,
    DropIn,
    DropInv,
    Dropout,
    ForeignDropout,
    GaussianDropout,
    MalDrop,
    MaliciousDropConnect,
    MultinomialDropout,
    NestedDropout,
    NoDropout,
    SpatialDropout,
    SpatialMalDrop,
    StandardDropout,
    Standout,
    VariationalDropout,
)
from tests.models.dropout.test_contract import VARIANTS, inputs, place

lasting = settings(max_examples=25, deadline=None, derandomize=True, database=None)
rates = st.integers(0, 99).map(lambda percent: percent / 100)

# 2¹¹³, 1e34, times the largest factor here, 1/(1 − 0.999), is finite in float32; a tiny one squared is 0.
numbers = st.one_of(
    st.sampled_from([0.0, -0.0, 1.0, -1.0, 2.0**113, -(2.0**113), 1e-38, -1e-38, 1e-45]),
    st.floats(-(2.0**113), 2.0**113, width=32),
    st.floats(-10, 10, width=32),
)


@st.composite
def tensors(draw: st.DrawFn, images: bool = True) -> Tensor:
    shape = [draw(st.integers(1, 5)), draw(st.integers(1, 6))]
    if images and draw(st.booleans()):
        shape += [draw(st.integers(1, 3)), draw(st.integers(1, 3))]
    size = math.prod(shape)
    values = draw(st.lists(numbers, min_size=size, max_size=size))
    return torch.tensor(values, dtype=torch.float32).view(shape)


def layers(variant: type[Dropout]) -> st.SearchStrategy[Dropout]:
    """Layers of a variant with any arguments."""
    flags = st.booleans()
    table: dict[type[Dropout], st.SearchStrategy[Dropout]] = {
        Chain: st.builds(lambda p: Chain([StandardDropout(p), DropIn(p)]), rates),
        DropAct: st.builds(DropAct, rates, flags),
        DropAlan: st.builds(
            DropAlan,
            st.sampled_from(["alpha", "beta"]),
            flags,
            st.sampled_from(["identity", "expectation"]),
            st.sampled_from([0.8, 0.95, 0.999]),
            st.sampled_from([0.0, 0.5, 0.8]),
            st.sampled_from([1e-6, 0.2, 1.0, 1e6]),
            st.sampled_from([0.0, 0.01, 1.0]),
        ),
        DropConnect: st.builds(
            DropConnect,
            rates,
            st.sampled_from(["sample", "batch", "gaussian"]),
            st.sampled_from(["gaussian", "mean"]),
            st.integers(1, 5),
        ),
        DropCorr: st.builds(
            DropCorr,
            rates,
            st.sampled_from(["unit", "sample"]),
            st.sampled_from(["sample", "batch"]),
            flags,
            st.integers(1, 3),
        ),
        DropIn: st.builds(
            DropIn,
            st.integers(0, 100).map(lambda percent: percent / 100),
            st.sampled_from(["uniform", "mean", 0.0, 0.3, 5.0]),
            st.sampled_from(["count", "mass", "none"]),
            st.sampled_from(["batch", "sample"]),
        ),
        DropInv: st.builds(DropInv, rates, flags),
        GaussianDropout: st.builds(GaussianDropout, rates),
        MalDrop: st.builds(
            MalDrop,
            st.integers(0, 1),
            st.sampled_from(["balanced", 0.0, 2.0]),
            st.sampled_from(["contribution", "loss", "exact"]),
            st.sampled_from(["sample", "batch"]),
        ),
        MaliciousDropConnect: st.builds(
            MaliciousDropConnect,
            st.integers(0, 1),
            st.sampled_from(["balanced", 0.0, 2.0]),
            st.sampled_from(["sample", "batch"]),
        ),
        MultinomialDropout: st.builds(MultinomialDropout, rates),
        NestedDropout: st.builds(NestedDropout, st.integers(1, 100).map(lambda percent: percent / 100)),
        NoDropout: st.builds(NoDropout),
        SpatialDropout: st.builds(SpatialDropout, rates),
        SpatialMalDrop: st.builds(SpatialMalDrop, st.integers(0, 1), st.sampled_from(["balanced", 0.0, 2.0])),
        StandardDropout: st.builds(StandardDropout, rates, flags),
        Standout: st.builds(
            Standout, st.floats(-3, 3), st.floats(-3, 3), st.sampled_from(["sigmoid", "inverted"]), flags
        ),
        VariationalDropout: st.builds(
            VariationalDropout, st.sampled_from([0.01, 0.3, 0.5]), st.sampled_from(["layer", "unit"])
        ),
    }
    return table[variant]


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.__name__)
def test_finite_and_of_the_same_shape(variant: type[Dropout]) -> None:
    assert variant is not ForeignDropout

    @lasting
    @given(layers(variant), tensors(images=variant not in (DropConnect, MaliciousDropConnect)))
    def check(layer: Dropout, x: Tensor) -> None:
        module = place(layer, x.shape[1])
        for mode in (True, False):
            out = module.train(mode)(*inputs(x))
            assert out.shape == x.shape
            assert out.dtype == x.dtype
            assert out.isfinite().all()

    check()


UNSCALED = [MalDrop, NestedDropout, NoDropout]


@pytest.mark.parametrize("variant", UNSCALED, ids=lambda variant: variant.__name__)
def test_kept_units_are_left_alone_and_others_are_0(variant: type[Dropout]) -> None:
    @lasting
    @given(layers(variant), tensors())
    def check(layer: Dropout, x: Tensor) -> None:
        out = layer(*inputs(x))
        assert layer.kept is not None
        assert torch.equal(out, torch.where(layer.kept, x, 0.0))

    check()


@lasting
@given(tensors(), st.data())
def test_maldrop_drops_exactly_rho(x: Tensor, data: st.DataObject) -> None:
    units = x[0].numel()
    rho = data.draw(st.integers(0, units))
    layer = MalDrop(rho, score="loss" if data.draw(st.booleans()) else "contribution")
    layer(*inputs(x))
    assert layer.kept is not None
    assert (~layer.kept.flatten(1)).sum(1).tolist() == [rho] * len(x)


@lasting
@given(tensors(), st.data())
def test_spatial_maldrop_drops_exactly_rho_channels(x: Tensor, data: st.DataObject) -> None:
    rho = data.draw(st.integers(0, x.shape[1]))
    layer = SpatialMalDrop(rho)
    layer(*inputs(x))
    assert layer.kept is not None
    assert (~layer.kept.flatten(1)).sum(1).tolist() == [rho] * len(x)


@pytest.mark.parametrize("kind", [DropAct, DropInv])
def test_floor_of_p_times_n_or_all_positive_ones(kind: type[DropAct | DropInv]) -> None:
    @lasting
    @given(tensors(), st.integers(0, 99))
    def check(x: Tensor, percent: int) -> None:
        layer = kind(percent / 100)
        layer(x)
        assert layer.kept is not None
        dropped, positive = (~layer.kept).flatten(1), (x > 0).flatten(1)
        k = percent * positive.shape[1] // 100
        assert not (dropped & ~positive).any()
        assert dropped.sum(1).tolist() == [min(k, n) for n in positive.sum(1).tolist()]
        assert layer.shortfall.item() == sum(max(k - n, 0) for n in positive.sum(1).tolist())

    check()


@lasting
@given(
    tensors(), st.integers(0, 99), st.sampled_from(["unit", "sample"]), st.sampled_from(["sample", "batch"])
)
def test_dropcorr_drops_exactly_floor_of_p_times_n(x: Tensor, percent: int, center: str, mask: str) -> None:
    layer = DropCorr(percent / 100, center, mask)  # type: ignore[arg-type]
    layer(x)
    assert layer.kept is not None
    k = percent * x[0].numel() // 100
    assert (~layer.kept.flatten(1)).sum(1).tolist() == [k] * (len(x) if mask == "sample" else 1)


@pytest.mark.parametrize("kind", [DropAct, DropInv, DropCorr])
def test_floor_of_p_times_the_positive_ones(kind: type[DropAct | DropInv | DropCorr]) -> None:
    @lasting
    @given(tensors(), st.integers(0, 99))
    def check(x: Tensor, percent: int) -> None:
        layer = kind(percent / 100, of="positive")
        layer(x)
        assert layer.kept is not None
        dropped, positive = (~layer.kept).flatten(1), (x > 0).flatten(1)
        assert not (dropped & ~positive).any()
        assert dropped.sum(1).tolist() == [percent * n // 100 for n in positive.sum(1).tolist()]

    check()


@lasting
@given(tensors(), st.integers(0, 99))
def test_nested_keeps_a_prefix(x: Tensor, percent: int) -> None:
    layer = NestedDropout((percent + 1) / 100)
    layer(x)
    assert layer.kept is not None
    kept = layer.kept.flatten(1)
    assert kept[:, 0].all()
    assert not (kept[:, 1:] & ~kept[:, :-1]).any()
