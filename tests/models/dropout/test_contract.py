"""What every dropout variant keeps to; a new variant is picked up by itself."""

import copy
import inspect
import math
import pickle
from collections.abc import Callable
from itertools import product

import pytest
import torch
from torch import Tensor, nn

import dropout_lab.models.dropout
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
    RateDropout,
    SpatialDropout,
    SpatialMalDrop,
    StandardDropout,
    Standout,
    VariationalDropout,
    scheduled_layers,
)
from dropout_lab.models.dropout.base import CountDropout
from dropout_lab.models.networks.base import Head

VARIANTS = [
    value
    for value in vars(dropout_lab.models.dropout).values()
    if inspect.isclass(value)
    and issubclass(value, Dropout)
    and not inspect.isabstract(value)
    and value is not ForeignDropout
]

# Arguments of variants that have no default for them, made afresh for each layer.
ARGUMENTS: dict[type[Dropout], Callable[[], dict[str, object]]] = {
    Chain: lambda: {"layers": [StandardDropout(), DropIn()]},
    MalDrop: lambda: {"rho": 1},
    MaliciousDropConnect: lambda: {"rho": 1},
    NestedDropout: lambda: {"p": 0.3},
    SpatialMalDrop: lambda: {"rho": 1},
}

COMPILED = {Chain, DropConnect, MalDrop, StandardDropout}
"""What `make test` compiles: one that is called alone, one with a stage, one with labels, a chain."""

OF_WEIGHTS = (DropConnect, MaliciousDropConnect)
WITHOUT_MASK = (*OF_WEIGHTS, GaussianDropout, VariationalDropout)


def make(variant: type[Dropout]) -> Dropout:
    return variant(**ARGUMENTS.get(variant, dict)())


def place(layer: Dropout, units: int = 7) -> nn.Module:
    """What is called with (x, target, weight): the layer, or the stage of one that cannot be called by itself."""
    if isinstance(layer, OF_WEIGHTS):
        return layer.join(nn.Linear(units, units), nn.Identity())
    return layer


def inputs(x: Tensor, classes: int = 3) -> tuple[Tensor, Tensor, Tensor]:
    return x, torch.arange(len(x)) % classes, torch.randn(classes, x[0].numel()).to(x.dtype)


@pytest.fixture(params=VARIANTS, ids=lambda variant: variant.__name__)
def variant(request: pytest.FixtureRequest) -> type[Dropout]:
    found: type[Dropout] = request.param
    return found


@pytest.fixture
def layer(variant: type[Dropout]) -> Dropout:
    return make(variant)


def test_every_exported_variant_is_here() -> None:
    assert {DropAct, DropConnect, MalDrop, NoDropout} <= set(VARIANTS)
    assert set(ARGUMENTS) <= set(VARIANTS)
    assert sorted(dropout_lab.models.dropout.__all__) == sorted(set(dropout_lab.models.dropout.__all__))


HUGE = {torch.float16: 1e4}
INPUTS: dict[str, Callable[[tuple[int, ...], torch.dtype], Tensor]] = {
    "normal": lambda shape, dtype: torch.randn(shape),
    "zeros": lambda shape, dtype: torch.zeros(shape),
    "negative": lambda shape, dtype: -torch.rand(shape) - 0.1,
    "equal": lambda shape, dtype: torch.ones(shape),
    "huge": lambda shape, dtype: torch.full(shape, HUGE.get(dtype, 1e30)),
    "huge of both signs": lambda shape, dtype: torch.randn(shape).sign() * HUGE.get(dtype, 1e30),
}


DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
SHAPES = ((8, 12), (4, 3, 5, 5), (1, 12), (1, 3, 5, 5), (1, 1))


def test_shape_dtype_and_finite_values(variant: type[Dropout]) -> None:
    # test_finite tries each argument of each variant; a new one is tried here before it is listed there.
    for shape, dtype in product(SHAPES, DTYPES):
        if variant in OF_WEIGHTS and len(shape) == 4:
            # A linear layer's input is (B, D).
            continue
        module = place(make(variant), shape[1]).to(dtype)
        for name, values in INPUTS.items():
            x = values(shape, dtype).to(dtype)
            for mode in (True, False):
                case = f"{name} of {shape} in {dtype}, training={mode}"
                out = module.train(mode)(*inputs(x))
                assert out.shape == x.shape, case
                assert out.dtype == x.dtype, case
                assert out.device == x.device, case
                assert out.isfinite().all(), case


def test_gradients_are_finite(layer: Dropout) -> None:
    module = place(layer, 12)
    for name, values in INPUTS.items():
        x = values((4, 12), torch.float32).requires_grad_()
        module(*inputs(x)).sum().backward()
        assert x.grad is not None, name
        assert x.grad.isfinite().all(), name


def test_kept_is_a_detached_mask_and_no_buffer(variant: type[Dropout]) -> None:
    for shape in ((6, 7), (3, 2, 4, 4)):
        layer = make(variant)
        assert layer.kept is None
        if isinstance(layer, OF_WEIGHTS) and len(shape) == 4:
            # A linear layer's input is (B, D).
            continue
        x = torch.randn(shape, requires_grad=True)
        place(layer)(*inputs(x))
        kept = layer.kept
        if isinstance(layer, WITHOUT_MASK):
            assert kept is None, shape
            continue
        assert kept is not None, shape
        assert kept.dtype == torch.bool, shape
        assert not kept.requires_grad, shape
        assert torch.broadcast_shapes(kept.shape, x.shape) == x.shape
        assert all(buffer is not kept for buffer in layer.buffers()), shape


def test_evaluation_is_deterministic_without_labels(layer: Dropout) -> None:
    module = place(layer).eval()
    x = torch.randn(6, 7)
    assert torch.equal(module(x), module(x))


def test_sampling_drops_in_evaluation(layer: Dropout) -> None:
    module = place(layer).eval()
    for part in layer.modules():
        if isinstance(part, Dropout):
            part.sampling = True
    given = inputs(torch.randn(200, 7) * (torch.rand(200, 7) < 0.7))
    first, second = module(*given), module(*given)
    if not isinstance(layer, (NoDropout, CountDropout)):
        assert not torch.equal(first, second)
    if not isinstance(layer, WITHOUT_MASK):
        assert layer.kept is not None


def test_same_seed_same_mask(layer: Dropout) -> None:
    module, given = place(layer), inputs(torch.randn(20, 7))
    torch.manual_seed(3)
    first = module(*given)
    torch.manual_seed(3)
    assert torch.equal(first, module(*given))


COPIES: dict[str, Callable[[nn.Module], nn.Module]] = {
    "deepcopy": copy.deepcopy,
    "pickle": lambda module: pickle.loads(pickle.dumps(module)),
}


@pytest.mark.parametrize("how", COPIES)
def test_copies_are_equal_and_independent(variant: type[Dropout], how: str) -> None:
    for used in (False, True):
        check_copies(make(variant), used, COPIES[how])


def check_copies(layer: Dropout, used: bool, copied: Callable[[nn.Module], nn.Module]) -> None:
    module, given = place(layer), inputs(torch.randn(6, 7))
    if used:
        module(*given)
    other = copied(module)
    assert repr(other) == repr(module)
    torch.manual_seed(5)
    expected = module(*given)
    state, kept = copy.deepcopy(module.state_dict()), layer.kept
    torch.manual_seed(5)
    assert torch.equal(other(*given), expected)
    for _ in range(3):
        other(*given)
    assert layer.kept is kept
    assert all(torch.equal(value, state[key]) for key, value in module.state_dict().items())
    mine = {id(tensor) for part in module.modules() for tensor in vars(part).values()}
    assert not mine & {id(v) for part in other.modules() for v in vars(part).values() if torch.is_tensor(v)}
    assert torch.equal(copied(module).eval()(given[0]), module.eval()(given[0]))


def test_state_dict_into_a_fresh_layer(variant: type[Dropout]) -> None:
    for uses in (0, 3):
        layer, fresh = place(make(variant)), place(make(variant))
        given = inputs(torch.randn(6, 7))
        for _ in range(uses):
            layer(*given)
        fresh.load_state_dict(layer.state_dict())
        assert torch.equal(fresh.eval()(given[0]), layer.eval()(given[0])), uses
        again = fresh.state_dict()
        assert again.keys() == layer.state_dict().keys(), uses
        assert all(torch.equal(again[key], value) for key, value in layer.state_dict().items()), uses


def test_a_missing_key_is_reported(layer: Dropout) -> None:
    module = place(layer)
    if module.state_dict():
        with pytest.raises(RuntimeError, match="Missing key"):
            module.load_state_dict({})


def test_no_tensor_stands_twice_in_the_state_dict(layer: Dropout) -> None:
    head = Head(layer.join(nn.Linear(5, 7), nn.ReLU()), nn.Linear(7, 3))
    head(torch.randn(4, 5), torch.arange(4) % 3)
    pointers = [value.data_ptr() for value in head.state_dict().values()]
    assert len(pointers) == len(set(pointers))


def rates(layer: Dropout) -> list[Callable[[], None]]:
    """Ways to change what is dropped, in turn."""
    if isinstance(layer, CountDropout):
        return [lambda rho=rho: setattr(layer, "rho", rho) for rho in (0, 3, 7, 2)]  # type: ignore[misc]
    if not isinstance(layer, RateDropout | Chain | VariationalDropout):
        return [lambda: None] * 4
    highest = 0.5 if isinstance(layer, VariationalDropout) else 0.9
    return [lambda p=p: layer.set_rate(p) for p in (0.5, 0.1, highest, 0.3)]  # type: ignore[misc]


def test_what_is_scheduled_can_be_set(layer: Dropout) -> None:
    if layer.scheduled == "p":
        layer.set_rate(0.3)
        assert "0.3" in repr(layer)
    if layer.scheduled == "rho":
        assert isinstance(layer, CountDropout)
        assert layer.units is None
        place(layer)(*inputs(torch.randn(4, 7)))
        assert layer.units == (7 * 7 if isinstance(layer, OF_WEIGHTS) else 7)
    parts = [part for part in layer.modules() if isinstance(part, Dropout) and part.scheduled]
    assert list(scheduled_layers(layer).values()) == parts


@pytest.mark.parametrize(
    "variant",
    [pytest.param(variant, marks=() if variant in COMPILED else pytest.mark.slow) for variant in VARIANTS],
)
def test_compiles_in_a_head_to_the_same_whatever_the_rate(layer: Dropout) -> None:
    check_compiled(layer)


OTHER_READINGS: dict[str, Callable[[], Dropout]] = {
    "DropAct": lambda: DropAct(rescale=True, of="positive"),
    "DropInv": lambda: DropInv(rescale=True, of="positive"),
    "DropCorr": lambda: DropCorr(rescale=True, of="positive"),
    "DropCorr of a batch": lambda: DropCorr(mask="batch", of="positive"),
    "DropIn": lambda: DropIn(scale_revived=False),
    "GaussianDropout": lambda: GaussianDropout(noise="zero"),
}
"""What a default leaves out, and runs other code."""


@pytest.mark.slow
@pytest.mark.parametrize("make", OTHER_READINGS.values(), ids=OTHER_READINGS.keys())
def test_other_readings_compile_too(make: Callable[[], Dropout]) -> None:
    check_compiled(make())


def check_compiled(layer: Dropout) -> None:
    torch._dynamo.reset()
    head = Head(layer.join(nn.Linear(5, 7), nn.ReLU()), nn.Linear(7, 3))
    # Before its first forward.
    compiled = torch.compile(head, fullgraph=True, backend="aot_eager")
    x, target = torch.randn(6, 5), torch.arange(6) % 3
    with torch._dynamo.config.patch(error_on_recompile=True):
        for change in rates(layer):
            change()
            torch.manual_seed(2)
            out = compiled(x, target)
            torch.manual_seed(2)
            expected = head(x, target)
            if isinstance(layer, MultinomialDropout):
                # Compiled, it draws more numbers than it uses; test_multinomial holds it against its law.
                assert out.shape == expected.shape
            else:
                torch.testing.assert_close(out, expected)
    out.sum().backward()
    assert all(parameter.grad is not None for parameter in head.parameters())
    head.eval()
    torch.testing.assert_close(compiled(x), head(x))


def test_exports_in_evaluation(layer: Dropout) -> None:
    module, x = place(layer), torch.randn(6, 7)
    module(*inputs(x))
    module.eval()
    exported = torch.export.export(module, (x,))
    torch.testing.assert_close(exported.module()(x), module(x))


def test_autocast(layer: Dropout) -> None:
    head = Head(layer.join(nn.Linear(5, 7), nn.ReLU()), nn.Linear(7, 3))
    x, target = torch.randn(4, 5, requires_grad=True), torch.arange(4) % 3
    for mode in (True, False):
        with torch.autocast("cpu", torch.bfloat16):
            units = head.train(mode).stage(x, target, head.linear.weight)
            assert units.dtype == torch.bfloat16
            assert head(x, target).isfinite().all()
    units.sum().backward()


def test_a_cast_keeps_the_rate(layer: Dropout) -> None:
    if isinstance(layer, RateDropout):
        for p in (0.2, 0.999):
            layer.set_rate(p)
            layer.to(torch.bfloat16)
            assert layer.p == p
            assert torch.equal(layer.drop_probability, torch.tensor(p))
    if isinstance(layer, CountDropout):
        layer.to(torch.bfloat16).to("meta").to_empty(device="cpu")
        assert layer.drop_count.item() == layer.rho


def test_is_made_where_tensors_hold_no_values(variant: type[Dropout]) -> None:
    """A large network is made so, to be filled with weights later."""
    with torch.device("meta"):
        stage = make(variant).join(nn.Linear(5, 7), nn.ReLU())
    assert all(parameter.is_meta for parameter in stage.parameters())


def test_joins_a_fully_connected_stage(variant: type[Dropout]) -> None:
    for affine in (nn.Linear(5, 7), nn.Sequential(nn.Linear(5, 7), nn.BatchNorm1d(7))):
        layer = make(variant)
        stage = layer.join(affine, nn.ReLU())
        given = (torch.randn(4, 5), torch.arange(4) % 3, torch.randn(3, 7))
        for mode in (True, False):
            assert stage.train(mode)(*given).shape == (4, 7), affine
        assert [part for part in stage.modules() if part is layer or isinstance(layer, Chain)]


def test_only_variants_of_the_last_layer_leave_an_inner_place(layer: Dropout) -> None:
    inner = layer.inner()
    if layer.needs_labels:
        assert isinstance(inner, NoDropout)
    elif isinstance(layer, Chain):
        assert [part.inner() for part in layer.layers if isinstance(part, Dropout)] == list(
            inner.get_submodule("layers").children()
        )
    else:
        assert inner is layer


def test_stands_alone_or_says_why_not(layer: Dropout) -> None:
    if not layer.needs_stage:
        assert layer.alone("a pooling layer") is layer
        return
    with pytest.raises(ValueError, match=f"{type(layer).__name__} works on .* cannot stand after a pooling"):
        layer.alone("a pooling layer")


def test_has_a_documented_source_or_is_the_baseline(layer: Dropout) -> None:
    documentation = type(layer).__doc__ or ""
    assert "Source:" in documentation or type(layer).__name__ == "NoDropout"


HALF_OPEN = [-0.1, 1.0, 1.5, math.nan, math.inf]
COUNT = [-1, 1.5, math.nan, math.inf]
BAD: list[tuple[type[Dropout], str, list[object], str]] = [
    (DropAct, "p", [*HALF_OPEN], "in [0, 1)"),
    (DropInv, "p", [*HALF_OPEN], "in [0, 1)"),
    (DropCorr, "p", [*HALF_OPEN], "in [0, 1)"),
    (GaussianDropout, "p", [*HALF_OPEN], "in [0, 1)"),
    (DropConnect, "p", [*HALF_OPEN], "in [0, 1)"),
    (SpatialDropout, "p", [*HALF_OPEN], "in [0, 1)"),
    (StandardDropout, "p", [*HALF_OPEN], "in [0, 1)"),
    (MultinomialDropout, "p", [*HALF_OPEN], "in [0, 1)"),
    (NestedDropout, "p", [0.0, -0.1, 1.1, math.nan], "in (0, 1]"),
    (VariationalDropout, "p", [0.0, 0.6, -1.0, math.nan], "in (0, 0.5], so that α = p/(1 − p) is at most 1"),
    (VariationalDropout, "granularity", ["units"], "one of layer, unit"),
    (DropIn, "p", [-0.1, 1.1, math.nan], "in [0, 1]"),
    (DropIn, "value", ["median", -0.5, math.nan, math.inf], "'uniform', 'mean' or a number of 0 or more"),
    (DropIn, "scale", ["sum"], "one of count, mass, none"),
    (DropIn, "scope", ["unit"], "one of batch, sample"),
    (DropAlan, "distribution", ["gamma"], "one of alpha, beta"),
    (DropAlan, "inference", ["mean"], "one of identity, expectation"),
    (DropAlan, "max_drop", [0.7, 1.0, 1 - 1e-9, math.nan], "in [0.8, 1)"),
    (DropAlan, "min_drop", [-0.1, 1.0, 1 - 1e-9, math.nan], "in [0, 1)"),
    (DropAlan, "saturation", [0.0, 1e-7, 1e7, -1.0, math.nan, math.inf], "in [1e-6, 1e6]"),
    (DropAlan, "negative_slope", [-0.1, 1.1, math.nan], "in [0, 1], 1 for no leaky ReLU"),
    (DropCorr, "center", ["batch"], "one of unit, sample"),
    (DropCorr, "keep", [0, 1.5, math.nan], "a whole number, 1 or more"),
    (DropCorr, "growth", [0.9, math.nan, math.inf], "a number of 1 or more"),
    (DropCorr, "mask", ["unit"], "one of sample, batch"),
    (DropAct, "of", ["some"], "one of all, positive"),
    (DropInv, "of", ["some"], "one of all, positive"),
    (DropCorr, "of", ["some"], "one of all, positive"),
    (GaussianDropout, "noise", ["two"], "one of one, zero"),
    (MalDrop, "rho", [*COUNT], "a whole number, 0 or more"),
    (SpatialMalDrop, "rho", [*COUNT], "a whole number, 0 or more"),
    (MalDrop, "omega", ["equal", -1.0, math.nan, math.inf], "'balanced' or a number of 0 or more"),
    (SpatialMalDrop, "omega", ["equal", -1.0, math.nan], "'balanced' or a number of 0 or more"),
    (MalDrop, "score", ["gradient"], "one of contribution, loss, exact"),
    (MalDrop, "mask", ["unit"], "one of sample, batch"),
    (SpatialMalDrop, "mask", ["unit"], "one of sample, batch"),
    (MaliciousDropConnect, "rho", [*COUNT], "a whole number, 0 or more"),
    (MaliciousDropConnect, "omega", ["equal", -1.0, math.nan], "'balanced' or a number of 0 or more"),
    (MaliciousDropConnect, "mask", ["unit"], "one of sample, batch"),
    (Standout, "gate", ["relu"], "one of sigmoid, inverted"),
    (Standout, "alpha", [math.nan, math.inf], "a finite number"),
    (Standout, "beta", [math.nan, -math.inf], "a finite number"),
    (DropConnect, "mask", ["unit"], "one of sample, batch, gaussian"),
    (DropConnect, "inference", ["sampled"], "one of gaussian, mean"),
    (DropConnect, "samples", [0, -3, 2.5], "a whole number, 1 or more"),
]


def test_bad_arguments(variant: type[Dropout]) -> None:
    for kind, argument, values, allowed in BAD:
        for value in values if kind is variant else []:
            arguments = {**ARGUMENTS.get(kind, dict)(), argument: value}
            with pytest.raises(ValueError) as error:  # noqa: PT011 (the message is compared whole)
                kind(**arguments)
            assert str(error.value) == f"{argument} must be {allowed}, got {value!r}"


def test_every_checked_argument_is_in_the_table(variant: type[Dropout]) -> None:
    parameters = inspect.signature(variant).parameters.values()
    named = {p.name for p in parameters if p.annotation is not bool and variant is not Chain}
    assert named <= {argument for kind, argument, _, _ in BAD if kind is variant}


def test_a_rate_that_a_variant_has_not_is_refused(layer: Dropout) -> None:
    if isinstance(layer, RateDropout | Chain | VariationalDropout | NoDropout):
        layer.set_rate(0.3)
    else:
        with pytest.raises(ValueError, match="has no p for rates to set; leave rates out"):
            layer.set_rate(0.3)


def test_labels_and_weight_by_name(layer: Dropout) -> None:
    x, target, weight = inputs(torch.randn(6, 7))
    assert place(layer)(x, target=target, weight=weight).shape == x.shape
