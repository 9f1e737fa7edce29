"""What every dropout variant keeps to; a new variant is picked up by itself."""

import copy
import inspect
import pickle
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import models.dropout
from models.dropout import Dropout, ForeignDropout

VARIANTS = [
    value
    for value in vars(models.dropout).values()
    if inspect.isclass(value)
    and issubclass(value, Dropout)
    and not inspect.isabstract(value)
    and value is not ForeignDropout
]

# Arguments of variants that have no default for them.
ARGUMENTS: dict[type[Dropout], dict[str, object]] = {}


def make(variant: type[Dropout]) -> Dropout:
    return variant(**ARGUMENTS.get(variant, {}))


@pytest.fixture(params=VARIANTS, ids=lambda variant: variant.__name__)
def layer(request: pytest.FixtureRequest) -> Dropout:
    return make(request.param)


INPUTS: dict[str, Callable[[tuple[int, ...]], Tensor]] = {
    "normal": lambda shape: torch.randn(shape),
    "zeros": torch.zeros,
    "negative": lambda shape: -torch.rand(shape) - 0.1,
    "equal": torch.ones,
    "huge": lambda shape: torch.full(shape, 1e30),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("shape", [(8, 12), (4, 3, 5, 5), (1, 1)])
@pytest.mark.parametrize("values", INPUTS)
def test_shape_dtype_and_finite_values(
    layer: Dropout, dtype: torch.dtype, shape: tuple[int, ...], values: str
) -> None:
    x = INPUTS[values](shape).to(dtype)
    for mode in (True, False):
        out = layer.train(mode)(x)
        assert out.shape == x.shape
        assert out.dtype == x.dtype
        assert out.isfinite().all()


def test_kept_is_a_detached_mask_and_no_buffer(layer: Dropout) -> None:
    assert layer.kept is None
    x = torch.randn(6, 7, requires_grad=True)
    layer(x)
    kept = layer.kept
    assert kept is not None
    assert kept.dtype == torch.bool
    assert not kept.requires_grad
    assert torch.broadcast_shapes(kept.shape, x.shape) == x.shape
    assert all(buffer is not kept for buffer in layer.buffers())


def test_evaluation_is_deterministic(layer: Dropout) -> None:
    layer.eval()
    x = torch.randn(6, 7)
    assert torch.equal(layer(x), layer(x))


def test_same_seed_same_mask(layer: Dropout) -> None:
    x = torch.randn(20, 30)
    torch.manual_seed(3)
    first = layer(x)
    torch.manual_seed(3)
    assert torch.equal(first, layer(x))


def test_copies_are_independent_and_equal(layer: Dropout) -> None:
    x = torch.randn(6, 7)
    layer(x)
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert repr(other) == repr(layer)
        assert torch.equal(other.eval()(x), layer.eval()(x))


def test_state_dict_round_trip(layer: Dropout) -> None:
    layer(torch.randn(6, 7))
    fresh = copy.deepcopy(layer)
    fresh.load_state_dict(layer.state_dict())
    assert fresh.state_dict().keys() == layer.state_dict().keys()


def test_compiles_without_a_graph_break(layer: Dropout) -> None:
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    torch._dynamo.reset()
    x = torch.randn(6, 7)
    assert compiled(x).shape == x.shape
    layer.eval()
    assert torch.equal(compiled(x), layer(x))


def test_exports_in_evaluation(layer: Dropout) -> None:
    layer.eval()
    x = torch.randn(6, 7)
    exported = torch.export.export(layer, (x,))
    assert torch.equal(exported.module()(x), layer(x))


def test_joins_a_fully_connected_stage(layer: Dropout) -> None:
    stage = layer.join(nn.Linear(5, 7), nn.ReLU())
    out = stage(torch.randn(4, 5))
    assert out.shape == (4, 7)


def test_has_a_documented_source_or_is_the_baseline(layer: Dropout) -> None:
    documentation = type(layer).__doc__ or ""
    assert "Source:" in documentation or type(layer).__name__ == "NoDropout"
