"""The sources' networks: layers, sizes, dropout places."""

import copy
import math
import pickle
from collections.abc import Callable
from typing import Literal

import pytest
import torch
from torch import Tensor, nn

from dropout_lab.models.dropout import (
    DropAlan,
    Dropout,
    NoDropout,
    RateDropout,
    SpatialMalDrop,
    StandardDropout,
)
from dropout_lab.models.dropout.base import Stage
from dropout_lab.models.networks import AlanCNN, FullyConnected, GavierCIFAR, GavierMNIST, MalDropCNN, Network
from dropout_lab.models.networks.base import Head

NETWORKS: dict[str, Callable[[], Network]] = {
    "FullyConnected": lambda: FullyConnected([20, 30]),
    "AlanCNN": AlanCNN,
    "MalDropCNN": MalDropCNN,
    "GavierMNIST": GavierMNIST,
    "GavierCIFAR": GavierCIFAR,
}


@pytest.fixture(params=NETWORKS)
def network(request: pytest.FixtureRequest) -> Network:
    return NETWORKS[request.param]()


def types(network: Network) -> list[str]:
    return [type(module).__name__ for module in network.modules() if not list(module.children())]


def rates(network: Network) -> list[float]:
    return [layer.p for layer in network.dropout_layers().values() if isinstance(layer, RateDropout)]


def test_images_to_logits(network: Network) -> None:
    images = torch.randn(2, *network.image_shape)
    logits = network(images, torch.tensor([0, 1]))
    assert logits.shape == (2, network.num_classes)
    logits.sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_copies_and_state_dict(network: Network) -> None:
    images = torch.randn(2, *network.image_shape)
    network.eval()
    for other in (copy.deepcopy(network), pickle.loads(pickle.dumps(network))):
        assert torch.equal(other(images), network(images))
    tensors = [tensor.data_ptr() for tensor in network.state_dict().values()]
    assert len(set(tensors)) == len(tensors), "a tensor stands twice in the state dict"


@pytest.mark.parametrize(
    ("network", "parameters"),
    [
        # Sums of weights and biases over the layers as printed.
        (FullyConnected([100, 100]), 3072 * 100 + 100 + 100 * 100 + 100 + 100 * 10 + 10),
        (AlanCNN(), (3 * 49 + 1) * 64 + (64 * 25 + 1) * 64 + (64 * 4 * 4 + 1) * 1000 + 1001 * 10),
        (MalDropCNN(), (9 + 1) * 10 + 20 + (90 + 1) + 4097 * 10),
        (GavierMNIST(), (9 + 1) * 16 + (144 + 1) * 32 + 6273 * 1000 + 1001 * 1000 + 1001 * 10),
        (
            GavierCIFAR(),
            sum((9 * inputs + 1) * outputs + 2 * outputs for inputs, outputs in
                [(3, 32), (32, 32), (32, 64), (64, 64), (64, 128), (128, 128)])
            + 2049 * 256 + 257 * 256 + 257 * 10,
        ),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_has_the_sources_parameters(network: Network, parameters: int) -> None:
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters


def test_layers_of_gavier_mnist() -> None:
    assert types(GavierMNIST()) == [
        "Conv2d", "ReLU", "Conv2d", "ReLU", "MaxPool2d", "Flatten",
        "Linear", "ReLU", "StandardDropout", "Linear", "ReLU", "StandardDropout", "Linear", "Identity",
    ]  # fmt: skip


def test_layers_of_maldrop_cnn() -> None:
    assert types(MalDropCNN()) == [
        "Conv2d", "ReLU", "BatchNorm2d", "Conv2d", "ReLU", "NoDropout", "Linear", "Identity",
    ]  # fmt: skip


@pytest.mark.parametrize("normalization", [None, "batch", "layer"])
def test_layers_of_fully_connected(normalization: str | None) -> None:
    network = FullyConnected([5, 6, 7], normalization=normalization)  # type: ignore[arg-type]
    norm = {None: [], "batch": ["BatchNorm1d"], "layer": ["LayerNorm"]}[normalization]
    assert types(network) == ["Flatten", *["Linear", *norm, "ReLU", "NoDropout"] * 3, "Linear", "Identity"]


@pytest.mark.parametrize("convolutions", [2, 3])
def test_alan_cnn_starts_glorot_uniform(convolutions: Literal[2, 3]) -> None:
    layers = [
        each
        for each in AlanCNN(convolutions=convolutions).modules()
        if isinstance(each, nn.Conv2d | nn.Linear)
    ]
    assert len(layers) == convolutions + 2
    for layer in layers:
        assert layer.bias is not None
        assert not layer.bias.any()
        outputs, inputs, *window = layer.weight.shape
        bound = math.sqrt(6 / ((inputs + outputs) * math.prod(window)))
        weights = layer.weight.detach().double()
        assert weights.abs().max() <= bound
        # Of U(−a, a) the variance is a²/3, and that of a squared weight a⁴·4/45: five deviations of the mean.
        assert weights.square().mean() == pytest.approx(
            bound**2 / 3, abs=5 * bound**2 * math.sqrt(4 / 45 / weights.numel())
        )
    linear = AlanCNN(initialization="torch").head.linear
    assert linear.bias.any()


def test_alan_cnn_as_run_and_as_written() -> None:
    assert types(AlanCNN()).count("Conv2d") == 2
    assert types(AlanCNN(convolutions=3)).count("Conv2d") == 3
    dense = AlanCNN(normalization="batch", dropout=DropAlan).head.stage.get_submodule("affine")
    assert [type(part) for part in dense.children()] == [nn.Linear, nn.BatchNorm1d]
    images = torch.randn(50, 3, 32, 32)
    assert (AlanCNN()(images) < 0).any()
    assert (AlanCNN(relu_logits=True)(images) >= 0).all()


def test_rates_of_the_source() -> None:
    assert rates(GavierMNIST()) == [0.2, 0.2]
    assert rates(GavierCIFAR()) == [0.2, 0.3, 0.4, 0.5, 0.5]


def test_rates_are_the_layers_own_unless_given() -> None:
    assert rates(GavierCIFAR(dropout=lambda: StandardDropout(0.7))) == [0.7] * 5
    given = [0.1, 0.2, 0.3, 0.4, 0.5]
    assert rates(GavierCIFAR(dropout=StandardDropout, rates=given)) == given
    assert rates(GavierCIFAR(rates=given)) == given
    assert rates(GavierCIFAR(dropout=NoDropout, rates=given)) == []


def test_each_place_has_a_layer_of_its_own(network: Network) -> None:
    layers = list(network.dropout_layers().values())
    assert layers
    assert len({id(layer) for layer in layers}) == len(layers)


@pytest.mark.parametrize("scale", [1e-2, 0.3])
def test_weight_scale(scale: float) -> None:
    network = FullyConnected([300, 300], weight_scale=scale)
    linears = [module for module in network.modules() if isinstance(module, nn.Linear)]
    for linear in linears:
        assert linear.weight.std().item() == pytest.approx(scale, rel=0.1)
        assert not linear.bias.any()


class Spy(Dropout):
    """Keeps what it was handed."""

    def forward(self, x: Tensor, target: Tensor | None = None, weight: Tensor | None = None) -> Tensor:
        self.handed = (target, weight)
        return x


@pytest.mark.parametrize("make", [
    lambda: FullyConnected([20, 30], dropout=Spy), lambda: AlanCNN(dropout=Spy), lambda: MalDropCNN(dropout=Spy),
    lambda: GavierMNIST(dropout=Spy), lambda: GavierCIFAR(dropout=Spy),
])  # fmt: skip
def test_the_penultimate_place_is_handed_labels_and_the_next_weight(make: Callable[[], Network]) -> None:
    network = make()
    target = torch.tensor([3, 1])
    network(torch.randn(2, *network.image_shape), target)
    *others, last = network.dropout_layers().values()
    assert isinstance(last, Spy)
    assert last.handed[0] is target
    assert last.handed[1] is network.head.linear.weight
    assert all(isinstance(layer, Spy) and layer.handed == (None, None) for layer in others)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FullyConnected([]), "hidden needs at least one layer size"),
        (lambda: FullyConnected([10, 0]), r"each 1 or more, got \[10, 0\]"),
        (
            lambda: FullyConnected([10], normalization="group"),  # type: ignore[arg-type]
            "normalization must be one of .* got 'group'",
        ),
        (lambda: FullyConnected([10], weight_scale=0.0), "weight_scale must be above 0"),
        (
            lambda: FullyConnected([10], rates=[0.1, 0.2]),
            "rates needs one p for each of the 1 dropout places",
        ),
        (
            lambda: FullyConnected([10], dropout=StandardDropout, rates=[1.5]),
            r"p must be in \[0, 1\), got 1.5",
        ),
        (lambda: AlanCNN((1, 8, 8)), "AlanCNN needs images .* at least 18 pixels, got image_shape=.1, 8, 8."),
        (
            lambda: AlanCNN(normalization="layer"),  # type: ignore[arg-type]
            "normalization must be batch or null, got 'layer'",
        ),
        (
            lambda: AlanCNN(initialization="he"),  # type: ignore[arg-type]
            "initialization must be one of glorot, torch, got 'he'",
        ),
        (
            lambda: AlanCNN(convolutions=4),  # type: ignore[arg-type]
            "convolutions must be 2 or 3, got 4",
        ),
        (lambda: GavierCIFAR((3, 30, 30)), "a multiple of 8"),
        (lambda: GavierMNIST((1, 27, 27)), "a multiple of 2"),
    ],
)
def test_bad_arguments(make: Callable[[], Network], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("shape", [(1, 18, 18), (3, 64, 64), (1, 28, 20)])
def test_alan_cnn_takes_any_image_that_is_large_enough(shape: tuple[int, int, int]) -> None:
    assert AlanCNN(shape)(torch.randn(2, *shape)).shape == (2, 10)


def test_maldrop_cnn_with_feature_maps_at_its_place() -> None:
    network = MalDropCNN((1, 6, 5), 4, lambda: SpatialMalDrop(2), channels=7)
    assert network.head.linear.in_features == 7 * 6 * 5
    images, target = torch.randn(3, 1, 6, 5), torch.arange(3)
    assert network(images, target).shape == (3, 4)
    (layer,) = network.dropout_layers().values()
    assert layer.kept is not None
    assert layer.kept.shape == (3, 7, 1, 1)
    assert (~layer.kept).flatten(1).sum(1).tolist() == [2] * 3
    with pytest.raises(ValueError, match="channels must be a whole number, 1 or more, got 0"):
        MalDropCNN(channels=0)


class Functional(Network):
    """Drops by a function, in training alone or, by torch's default, always."""

    def __init__(self, **mode: bool) -> None:
        self.mode = mode
        head = Head(Stage(nn.Linear(12, 8), nn.ReLU(), NoDropout()), nn.Linear(8, 3))
        super().__init__((3, 2, 2), 3, nn.Flatten(), head)

    def forward(self, images: Tensor, target: Tensor | None = None) -> Tensor:
        return super().forward(nn.functional.dropout(images, 0.5, **self.mode), target)


def test_a_network_that_draws_in_evaluation_is_said() -> None:
    with pytest.warns(UserWarning, match="Functional gives other logits for the same image in evaluation"):
        Functional()
    Functional(training=False)
