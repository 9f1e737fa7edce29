"""VGG-16: torchvision's layers and weights, dropout before the last layer."""

import pytest
import torch
from torch import nn
from torchvision.models import VGG16_Weights, vgg16

from dropout_lab.callbacks.network_graph import network_graph
from dropout_lab.models.dropout import MalDrop, RateDropout, StandardDropout
from dropout_lab.models.networks import VGG16

DENSE = ["Linear", "ReLU", "Linear", "ReLU", "NoDropout", "Linear", "Identity"]


@pytest.fixture(scope="module")
def network() -> VGG16:
    torch.manual_seed(0)
    return VGG16((3, 32, 32), 7, lambda: MalDrop(256))


def types(network: nn.Module) -> list[str]:
    return [type(module).__name__ for module in network.modules() if not list(module.children())]


def test_layers() -> None:
    with torch.device("meta"):
        network, published = VGG16(), vgg16()
    assert types(network) == [*types(published.features), "AdaptiveAvgPool2d", "Flatten", *DENSE]
    shapes = [tuple(parameter.shape) for parameter in network.parameters()]
    *theirs, _, _ = [tuple(parameter.shape) for parameter in published.parameters()]
    assert shapes == [*theirs, (200, 4096), (200,)]


def test_one_place_or_two() -> None:
    with torch.device("meta"):
        (last,) = VGG16().dropout_layers()
        first, second = VGG16(places=2).dropout_layers()
    assert last == second == "head.stage.dropout"
    assert first.startswith("body.")


@pytest.mark.slow  # two networks of 134 million weights
def test_initialized_as_torchvisions(network: VGG16) -> None:
    torch.manual_seed(0)
    published = vgg16(num_classes=7)
    for ours, theirs in zip(network.parameters(), published.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(network.eval()(images), published.eval()(images))
    network.train()


@pytest.mark.slow  # 134 million weights
def test_starts_from_torchvisions_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    with torch.device("meta"):
        shapes = {name: tensor.shape for name, tensor in vgg16().state_dict().items()}
    given = {name: torch.ones(()).expand(shape) for name, shape in shapes.items()}
    monkeypatch.setattr(VGG16_Weights, "get_state_dict", lambda *_, **__: given)
    pretrained = VGG16((3, 32, 32), 7, pretrained=True)
    assert (
        pretrained.start
        == "torchvision's VGG16_Weights.IMAGENET1K_V1; the last layer, of 7 classes, from chance"
    )
    *loaded, weight, bias = pretrained.parameters()
    assert all(bool((parameter == 1).all()) for parameter in loaded)
    assert weight.std().item() == pytest.approx(0.01, rel=0.05)
    assert not bias.any()


@pytest.mark.slow  # 134 million weights
def test_drops_what_helps_most_and_learns(network: VGG16) -> None:
    logits = network(torch.randn(2, 3, 32, 32), torch.tensor([3, 1]))
    logits.sum().backward()
    (layer,) = network.dropout_layers().values()
    assert isinstance(layer, MalDrop)
    assert layer.kept is not None
    assert layer.kept.shape == (2, 4096)
    assert (~layer.kept).sum(dim=1).tolist() == [256, 256]
    assert all(parameter.grad is not None for parameter in network.parameters())
    network.zero_grad(set_to_none=True)


@pytest.mark.slow  # 134 million weights
def test_is_drawn(network: VGG16) -> None:
    drawn = {node.name for node in network_graph(network, torch.randn(1, 3, 32, 32)).node}
    assert {"network/head/stage/affine", "network/head/stage/dropout", "network/head/linear"} <= drawn


@pytest.mark.slow  # 134 million weights
def test_takes_images_of_any_size(network: VGG16) -> None:
    with torch.no_grad():
        for shape in ((3, 64, 64), (3, 33, 70)):
            assert network.eval()(torch.randn(1, *shape)).shape == (1, 7)
    network.train()


def test_rates() -> None:
    with torch.device("meta"):
        network = VGG16((1, 32, 32), 7, StandardDropout, rates=[0.1, 0.3], places=2)
        assert network(torch.randn(2, 1, 32, 32)).shape == (2, 7)
    layers = list(network.dropout_layers().values())
    assert [layer.p for layer in layers if isinstance(layer, RateDropout)] == [0.1, 0.3]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"image_shape": (3, 31, 32)}, "VGG16 needs images .* at least 32 pixels"),
        ({"image_shape": (4, 32, 32)}, "VGG16 needs images of 1 or 3 channels, got 4"),
        ({"places": 3}, "places must be 1 or 2, got 3"),
        ({"rates": [0.1, 0.2]}, "rates needs one p for each of the 1 dropout places"),
        ({"weights": "nowhere.pth"}, "vgg16 has no weights 'nowhere.pth', and there is no such file"),
    ],
)
def test_bad_arguments(arguments: dict[str, object], message: str) -> None:
    with torch.device("meta"), pytest.raises(ValueError, match=message):
        VGG16(**arguments)  # type: ignore[arg-type]
