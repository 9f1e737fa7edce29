"""Dropout in evaluation: what draws, what does not, and that nothing is left behind."""

from collections.abc import Callable
from inspect import signature

import pytest
import torch
from torch import Tensor, nn
from torchvision.ops import DropBlock2d

from dropout_lab.models.dropout import (
    Chain,
    DropAct,
    DropAlan,
    DropConnect,
    Dropout,
    ForeignDropout,
    MalDrop,
    StandardDropout,
    Standout,
    VariationalDropout,
    labels,
    sampling,
    swap_dropout,
)
from dropout_lab.models.networks import FullyConnected, MalDropCNN

MAKERS = [
    lambda: StandardDropout(0.5),
    lambda: nn.Dropout(0.5),
    lambda: nn.AlphaDropout(0.5),
    lambda: Chain([StandardDropout(0.5), nn.Dropout(0.2)]),
    DropAct,
    DropAlan,
    DropConnect,
    Standout,
    VariationalDropout,
]


def flags(module: nn.Module) -> list[tuple[bool, object]]:
    return [(each.training, getattr(each, "sampling", None)) for each in module.modules()]


def normalized(make: Callable[[], nn.Module]) -> FullyConnected:
    return FullyConnected([30, 30], (1, 4, 4), 3, dropout=make, normalization="batch")


@pytest.mark.parametrize("make", MAKERS)
def test_dropout_draws_and_batch_norm_does_not(make: Callable[[], nn.Module]) -> None:
    network, images = normalized(make), torch.randn(8, 1, 4, 4)
    network(images)
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    expected = network.eval()(images)
    with sampling(network):
        first, second = network(images), network(images)
        norms = [each for each in network.modules() if isinstance(each, nn.BatchNorm1d)]
        assert len(norms) == 2
        assert not any(norm.training for norm in norms)
    assert not torch.equal(first, second)
    assert torch.equal(network(images), expected)
    assert all(torch.equal(tensor, state[name]) for name, tensor in network.state_dict().items())


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("make", MAKERS)
def test_all_is_as_it_was_afterwards(make: Callable[[], nn.Module], training: bool, fails: bool) -> None:
    network = normalized(make).train(training)
    # A frozen part, and one that trains in a network that does not.
    next(each for each in network.modules() if isinstance(each, nn.BatchNorm1d)).train(not training)
    before = flags(network)
    try:
        with sampling(network):
            assert flags(network) != before
            if fails:
                raise KeyError
    except KeyError:
        assert fails
    assert flags(network) == before


def test_a_context_inside_another() -> None:
    network = normalized(StandardDropout)
    before = flags(network)
    with sampling(network):
        inside = flags(network)
        with sampling(network):
            assert flags(network) == inside
        assert flags(network) == inside
    assert flags(network) == before


def test_layers_of_torch_without_a_network_of_ours() -> None:
    module = nn.Sequential(nn.Linear(4, 50), nn.BatchNorm1d(50), nn.Dropout(), nn.AlphaDropout()).eval()
    x = torch.randn(3, 4)
    with sampling(module):
        assert not torch.equal(module(x), module(x))
        assert [each.training for each in module] == [False, False, True, True]
    assert torch.equal(module(x), module(x))


class Own(nn.Module):
    """A dropout layer of a user's own: it asks ``training`` of a part, and normalizes."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(30)
        self.block = DropBlock2d(0.5, 1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.block(self.norm(x)[:, :, None, None])
        return out[:, :, 0, 0]


def test_batch_norm_inside_a_foreign_layer_does_not_count() -> None:
    network, images = normalized(Own).eval(), torch.randn(8, 1, 4, 4)
    with sampling(network):
        assert not torch.equal(network(images), network(images))
    counts = [each.num_batches_tracked for each in network.modules() if isinstance(each, nn.BatchNorm1d)]
    assert [int(count) for count in counts if count is not None] == [0, 0, 0, 0]
    assert not any(each.training for each in network.modules())


def test_maldrop_stays_in_evaluation_and_does_not_count() -> None:
    network = MalDropCNN(image_shape=(1, 8, 8), dropout=lambda: MalDrop(4))
    images, target = torch.randn(5, 1, 8, 8), torch.tensor([0, 1, 2, 3, 4])
    network(images, target)
    (layer,) = network.dropout_layers().values()
    assert isinstance(layer, MalDrop)
    rate, samples = layer.pass_rate, layer.state_dict()["pass_samples"]
    expected = network.eval()(images)
    with sampling(network):
        assert torch.equal(network(images), expected)
        assert torch.equal(network(images, target), expected)
        assert not layer.drops
    assert torch.equal(layer.pass_rate, rate)
    assert layer.state_dict()["pass_samples"] == samples == 5


def test_maldrop_in_a_chain_stays_and_the_others_draw() -> None:
    module = nn.Sequential(nn.Linear(4, 20), nn.ReLU(), nn.Dropout(), nn.Linear(20, 3))
    swap_dropout(module, lambda: Chain([StandardDropout(), MalDrop(2)]))
    x, target = torch.randn(6, 4), torch.randint(3, (6,))
    with labels(module, target):
        module(x)
    state = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    with sampling(module):
        assert not torch.equal(module(x), module(x))
    assert all(torch.equal(tensor, state[name]) for name, tensor in module.state_dict().items())


def test_missing_drops_are_not_counted() -> None:
    layer = DropAct(0.9)
    module = nn.Sequential(nn.Linear(4, 20), nn.ReLU(), layer)
    module(torch.randn(6, 4))
    before = int(layer.shortfall)
    assert before > 0
    with sampling(module):
        module(torch.randn(6, 4))
    assert int(layer.shortfall) == before


def test_a_foreign_layer_draws() -> None:
    layer: Dropout = ForeignDropout(DropBlock2d(0.5, 1)).eval()
    x = torch.ones(2, 3, 8, 8)
    with sampling(layer):
        assert (layer(x) == 0).any()
    assert torch.equal(layer(x), x)


@pytest.mark.parametrize("inverted", [True, False])
def test_the_mean_is_the_expectation_of_a_linear_layer(inverted: bool) -> None:
    p, passes = 0.3, 20_000
    linear = nn.Linear(6, 4)
    module = nn.Sequential(StandardDropout(p, inverted), linear).double().eval()
    x = torch.randn(1, 6, dtype=torch.float64)
    scale = 1.0 if inverted else 1 - p
    expected = x[0] * scale @ linear.weight.T + linear.bias
    with torch.no_grad(), sampling(module):
        draws = module(x.expand(passes, 6))
    standard_error = draws.std(0) / passes**0.5
    assert ((draws.mean(0) - expected).abs() < 5 * standard_error).all()
    assert torch.allclose(module(x)[0], expected, rtol=1e-6)


TRANSFORMER: dict[str, object] = {"d_model": 16, "nhead": 2, "dim_feedforward": 32, "batch_first": True}
LEAST: dict[str, dict[str, object]] = {
    "GRU": {"input_size": 16, "hidden_size": 16, "num_layers": 2, "batch_first": True},
    "LSTM": {"input_size": 16, "hidden_size": 16, "num_layers": 2, "batch_first": True},
    "RNN": {"input_size": 16, "hidden_size": 16, "num_layers": 2, "batch_first": True},
    "MultiheadAttention": {"embed_dim": 16, "num_heads": 2, "batch_first": True},
    "Transformer": {**TRANSFORMER, "num_encoder_layers": 1, "num_decoder_layers": 1},
    "TransformerDecoderLayer": TRANSFORMER,
    "TransformerEncoderLayer": TRANSFORMER,
}
INPUTS = {"MultiheadAttention": 3, "Transformer": 2, "TransformerDecoderLayer": 2}
# What the three recurrent ones have in common.
ABSTRACT = {"RNNBase"}


def with_rate() -> list[str]:
    """Name torch.nn's modules that have a dropout of their own, as an argument."""
    return sorted(
        name
        for name, kind in vars(nn).items()
        if isinstance(kind, type)
        and issubclass(kind, nn.Module)
        and name not in ABSTRACT
        and ("dropout" in signature(kind).parameters or issubclass(kind, nn.RNNBase))
    )


def outputs(module: nn.Module, inputs: list[Tensor]) -> Tensor:
    with torch.no_grad():
        out = module(*inputs)
    first: Tensor = out[0] if isinstance(out, tuple) else out
    return first


@pytest.mark.parametrize("name", with_rate())
def test_what_a_module_of_torch_drops_inside_is_drawn_too(name: str) -> None:
    module = getattr(nn, name)(**LEAST[name], dropout=0.5).eval()
    inputs = [torch.randn(4, 5, 16)] * INPUTS.get(name, 1)
    expected = outputs(module, inputs)
    with sampling(module):
        assert not torch.equal(outputs(module, inputs), outputs(module, inputs))
    assert torch.equal(outputs(module, inputs), expected)


@pytest.mark.parametrize("padded", [False, True])
def test_a_swapped_transformer_has_its_layers_called_in_evaluation(padded: bool) -> None:
    block = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.5, batch_first=True)
    block.self_attn.dropout = 0.0
    encoder = nn.TransformerEncoder(block, 1).eval()
    assert swap_dropout(encoder, lambda: StandardDropout(0.5, inverted=False)) == 3
    inputs = torch.randn(4, 5, 16)
    mask = torch.arange(5).expand(4, 5) >= 4 if padded else None
    # With gradients torch takes no fused kernel.
    expected = encoder(inputs, src_key_padding_mask=mask)
    with torch.no_grad():
        assert torch.allclose(encoder(inputs, src_key_padding_mask=mask), expected, atol=1e-6)
        with sampling(encoder):
            first, second = (encoder(inputs, src_key_padding_mask=mask) for _ in range(2))
    assert not torch.equal(first, second)
