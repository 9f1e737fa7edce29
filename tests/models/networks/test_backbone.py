"""torchvision's models as networks: the same functions, with places for dropout."""

import copy
import pickle
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import get_model
from torchvision.ops import StochasticDepth

from dropout_lab.callbacks.network_graph import network_graph
from dropout_lab.models.dropout import (
    TORCH_DROPOUTS,
    DropConnect,
    Dropout,
    MalDrop,
    NoDropout,
    RateDropout,
    StandardDropout,
    Standout,
)
from dropout_lab.models.networks import Backbone, Network
from dropout_lab.models.networks.published import MODELS

FAST = {
    "googlenet",
    "mobilenet_v3_small",
    "resnet18",
}
CONVOLUTIONAL_END = ["squeezenet1_0", "squeezenet1_1"]
# The smallest images that they take, where it is not 32 pixels.
SMALLEST = {"alexnet": 64, "inception_v3": 96, "maxvit_t": 224, "vit_h_14": 28}
OWN_ARGUMENTS: dict[str, dict[str, object]] = {
    "googlenet": {"aux_logits": False, "init_weights": True, "transform_input": True},
    "inception_v3": {"aux_logits": False, "init_weights": True, "transform_input": True},
    **{name: {"image_size": SMALLEST.get(name, 32)} for name in MODELS if name.startswith("vit")},
}
# Places before the last one: dropout that the model itself has.
EARLIER = {"alexnet": 2} | {name: 1 for name in MODELS if name.startswith("vgg")}


class Spy(Dropout):
    """Keeps what it was handed."""

    def forward(self, x: Tensor, target: Tensor | None = None, weight: Tensor | None = None) -> Tensor:
        self.handed = (target, weight)
        return x


def small(name: str, dropout: Callable[[], nn.Module] = NoDropout) -> Backbone:
    side = SMALLEST.get(name, 32)
    return Backbone(name, (3, side, side), num_classes=7, dropout=dropout)


def images(network: Network) -> Tensor:
    return torch.randn(2, *network.image_shape)


NAMES = [name for name in MODELS if name not in CONVOLUTIONAL_END]
EVERY = [pytest.param(name, marks=[] if name in FAST else pytest.mark.slow) for name in NAMES]


@pytest.mark.parametrize("name", EVERY)
def test_is_torchvisions_model_with_a_place_before_the_last_layer(name: str) -> None:
    torch.manual_seed(0)
    network = small(name, Spy)
    torch.manual_seed(0)
    own = OWN_ARGUMENTS.get(name, {})
    published = get_model(name, weights=None, num_classes=7, **own).eval()
    batch, target = images(network), torch.tensor([3, 1])
    with torch.no_grad():
        assert torch.allclose(network.eval()(batch, target), published(batch), atol=1e-5)
    *others, last = network.dropout_layers().values()
    assert len(others) == EARLIER.get(name, 0)
    assert isinstance(last, Spy)
    assert last.handed == (target, network.head.linear.weight)
    assert all(isinstance(layer, Spy) and layer.handed == (None, None) for layer in others)


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize(
    "dropout", [pytest.param(StandardDropout, marks=pytest.mark.slow), lambda: MalDrop(8)], ids=["p", "rho"]
)
def test_learns_with_labels(name: str, dropout: Callable[[], nn.Module]) -> None:
    network = small(name, dropout)
    # The gradient of the head alone, for the memory of the largest.
    network.body.requires_grad_(False)
    logits = network(images(network), torch.tensor([3, 1]))
    logits.sum().backward()
    assert logits.shape == (2, 7)
    assert network.head.linear.weight.grad is not None
    *_, last = network.dropout_layers().values()
    assert last.kept is not None
    assert not last.kept.all()


# Every family that has stochastic depth has it in its smallest model.
NOISY = ["convnext_tiny", "efficientnet_b0", "efficientnet_v2_s", "maxvit_t", "swin_t", "swin_v2_t"]


def noise(network: nn.Module) -> list[str]:
    """Name what is left of a model that could draw something in training: modules, and rates of functions."""
    drawing = [
        name
        for name, each in network.named_modules()
        if isinstance(each, (*TORCH_DROPOUTS, StochasticDepth, nn.RReLU)) and each is not network
    ]
    rates = ("dropout", "attention_dropout", "drop_rate", "dropout_rate")
    return drawing + [
        f"{name}.{rate}"
        for name, each in network.named_modules()
        for rate in rates
        if isinstance(vars(each).get(rate), float) and vars(each)[rate] > 0
    ]


@pytest.mark.parametrize("name", EVERY)
def test_without_dropout_nothing_is_left_that_draws(name: str) -> None:
    # No numbers are needed to see it, so that the largest model takes no memory; but RegNets compute with theirs.
    with torch.device("cpu" if name.startswith("regnet") else "meta"):
        assert not noise(small(name))


@pytest.mark.parametrize(
    "name",
    [
        "mobilenet_v3_small",
        "efficientnet_b0",
        *(pytest.param(each, marks=pytest.mark.slow) for each in NOISY),
    ],
)
def test_without_dropout_two_forwards_in_training_are_equal(name: str) -> None:
    network = small(name)
    for each in network.modules():
        if isinstance(each, nn.modules.batchnorm._BatchNorm):
            # Of two images and one position nothing can be normalized.
            each.eval()
    batch = images(network)
    with torch.no_grad():
        assert torch.equal(network(batch), network(batch))


def test_stochastic_depth_is_there_if_it_is_asked_for() -> None:
    with torch.device("meta"):
        network = Backbone("convnext_tiny", (3, 32, 32), num_classes=7, stochastic_depth=True)
    kept = [each.p for each in network.modules() if isinstance(each, StochasticDepth)]
    assert (kept[0], kept[-1]) == (0.0, 0.1)


@pytest.mark.parametrize("name", CONVOLUTIONAL_END)
def test_a_model_without_a_last_linear_layer_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} ends in a convolution; .* choose another model"):
        small(name)


@pytest.mark.parametrize("name", ["shufflenet_v2_x0_5", "mobilenet_v3_small"])
def test_copies_state_dict_and_gradients(name: str) -> None:
    network = small(name)
    assert all(parameter.requires_grad for parameter in network.parameters())
    network(images(network)).sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
    network.eval()
    batch = images(network)
    for other in (copy.deepcopy(network), pickle.loads(pickle.dumps(network))):
        assert torch.equal(other(batch), network(batch))
    tensors = [tensor.data_ptr() for tensor in network.state_dict().values() if tensor.ndim]
    assert len(set(tensors)) == len(tensors), "a tensor stands twice in the state dict"


@pytest.mark.slow  # each variant is compiled in a head in the contract's tests
def test_compiles_with_labels() -> None:
    network = small("resnet18", lambda: MalDrop(8))
    compiled = torch.compile(network, fullgraph=True, backend="eager")
    assert compiled(images(network), torch.tensor([3, 1])).shape == (2, 7)


@pytest.mark.parametrize(
    "name", ["densenet121", "googlenet", pytest.param("vit_b_16", marks=pytest.mark.slow)]
)
def test_is_drawn(name: str) -> None:
    network = small(name, StandardDropout)
    drawn = {node.name for node in network_graph(network, images(network)).node}
    assert {"network/head/stage", "network/head/linear"} <= drawn


def test_grey_images_are_shown_to_all_three_channels() -> None:
    torch.manual_seed(0)
    grey = Backbone("shufflenet_v2_x0_5", (1, 32, 32), 7).eval()
    torch.manual_seed(0)
    coloured = small("shufflenet_v2_x0_5").eval()
    batch = images(grey)
    assert torch.equal(grey(batch), coloured(batch.repeat(1, 3, 1, 1)))


def test_the_stage_before_the_last_layer_is_joined_where_there_is_one() -> None:
    network = small("mobilenet_v3_small", DropConnect)
    assert network(images(network)).shape == (2, 7)
    with pytest.raises(ValueError, match="Standout .* cannot stand after what is before 'fc' in resnet18"):
        small("resnet18", Standout)


def test_rates() -> None:
    rates = [0.1, 0.2, 0.3]
    network = Backbone("alexnet", (3, 64, 64), 7, StandardDropout, rates)
    layers = network.dropout_layers().values()
    assert [layer.p for layer in layers if isinstance(layer, RateDropout)] == rates
    with pytest.raises(ValueError, match="rates needs one p for each of the 1 dropout places"):
        Backbone("resnet18", (3, 32, 32), 7, StandardDropout, rates=[0.1, 0.3])


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        (
            "resnet81",
            (3, 32, 32),
            "torchvision has no classification model 'resnet81'; did you mean resnet18?",
        ),
        ("fcn_resnet50", (3, 32, 32), "no classification model 'fcn_resnet50'"),
        ("zzz", (3, 32, 32), "no classification model 'zzz'; there are alexnet, .*wide_resnet50_2"),
        ("resnet18", (2, 32, 32), "resnet18 needs images of 1 or 3 channels, got 2"),
        ("inception_v3", (3, 32, 32), "inception_v3 takes no images of 3×32×32 .*set the data's image_size"),
        ("vit_b_16", (3, 40, 40), "vit_b_16 takes no images of 3×40×40 .*indivisible by patch size"),
        ("vit_b_16", (3, 32, 48), "vit_b_16 takes no images of 3×32×48 .*Wrong image width"),
        ("maxvit_t", (3, 64, 64), "maxvit_t takes no images of 3×64×64 .*image_size; 224 suits every model"),
    ],
)
def test_bad_arguments(name: str, shape: tuple[int, int, int], message: str) -> None:
    with pytest.raises(ValueError, match=message) as raised:
        Backbone(name, shape, 7)
    assert "\n" not in str(raised.value)
