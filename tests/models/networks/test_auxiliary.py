"""GoogLeNet's auxiliary heads: torchvision's own outputs, a place for dropout in each, their share of the loss."""

import copy
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torchvision.models import get_model

from dropout_lab.models import ImageClassifier
from dropout_lab.models.dropout import MalDrop, NoDropout, StandardDropout
from dropout_lab.models.dropout.mal_drop import contributions
from dropout_lab.models.networks import Backbone, Network

SHAPE, CLASSES = (3, 32, 32), 7
OWN = {"aux_logits": True, "init_weights": True, "transform_input": True}


def googlenet(dropout: Callable[[], nn.Module] = NoDropout, auxiliary: float = 0.3) -> Backbone:
    torch.manual_seed(0)
    return Backbone("googlenet", SHAPE, CLASSES, dropout=dropout, auxiliary=auxiliary)


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(3, *SHAPE), torch.tensor([3, 1, 5])


def test_all_three_heads_are_torchvisions() -> None:
    network, (images, target) = googlenet(), batch()
    torch.manual_seed(0)
    published = get_model("googlenet", weights=None, num_classes=CLASSES, dropout=0.0, dropout_aux=0.0, **OWN)
    expected = published(images)
    logits = network(images, target)
    (weight, first), (_, second) = network.take_auxiliary()
    assert weight == 0.3
    for ours, theirs in zip((logits, first, second), (expected[0], expected[2], expected[1]), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
    assert network.take_auxiliary() == ()
    network.eval()(images)
    assert network.auxiliary == ()


def test_each_head_scores_its_own_layer() -> None:
    network, (images, target) = googlenet(lambda: MalDrop(8)), batch()
    layers = network.dropout_layers()
    assert [type(each) for each in layers.values()] == [MalDrop] * 3
    assert all(isinstance(each, MalDrop) and each.units == 1024 for each in layers.values())
    seen: dict[str, tuple[torch.Tensor, ...]] = {}
    for name, layer in layers.items():
        layer.register_forward_hook(lambda _, given, __, name=name: seen.update({name: given}))
    network(images, target)
    linears = [network.head.linear, *(each.head.linear for each in network.auxiliary_heads)]  # type: ignore[union-attr]
    for (name, layer), linear in zip(layers.items(), linears, strict=True):
        units, labels, weight = seen[name]
        assert weight is linear.weight  # type: ignore[union-attr]
        assert torch.equal(labels, target)
        v = contributions(units.flatten(1), target, weight.detach(), 1 / (CLASSES - 1))
        assert layer.kept is not None
        lowest = v.masked_fill(layer.kept.view_as(v), torch.inf).amin(1)
        assert (v.masked_fill(~layer.kept.view_as(v), -torch.inf).amax(1) <= lowest).all()


def test_the_loss_has_their_share_and_no_copy_holds_on_to_it() -> None:
    model, given = ImageClassifier(googlenet(auxiliary=0.25)), batch()
    model.network.body.requires_grad_(False)
    twin = copy.deepcopy(model)
    # Without a trainer nothing is logged.
    model.steps.due = lambda trainer: False  # type: ignore[method-assign]
    model._trainer = object()  # type: ignore[assignment]
    loss = model.training_step(given, 0)["loss"]
    logits = twin.network(*given)
    expected = F.cross_entropy(logits, given[1])
    for _, auxiliary in twin.network.take_auxiliary():
        expected = expected + 0.25 * F.cross_entropy(auxiliary, given[1])
    torch.testing.assert_close(loss, expected)
    loss.backward()  # type: ignore[no-untyped-call]
    heads = model.network.get_submodule("auxiliary_heads")
    assert all(parameter.grad is not None for parameter in heads.parameters())
    copy.deepcopy(model.network)


def test_without_them_nothing_is_built_and_rates_go_to_all_places() -> None:
    assert len(googlenet(auxiliary=0.0).dropout_layers()) == 1
    network = Backbone("googlenet", SHAPE, CLASSES, StandardDropout, [0.4, 0.7, 0.6], auxiliary=0.3)
    assert [each.p for each in network.dropout_layers().values()] == [0.4, 0.7, 0.6]


@pytest.mark.slow  # three of them are built
def test_published_weights_bring_them(tmp_path: Path) -> None:
    published = get_model("googlenet", weights=None, num_classes=4, **OWN)
    torch.save(published.state_dict(), tmp_path / "weights.pt")
    network = Backbone("googlenet", SHAPE, CLASSES, weights=str(tmp_path / "weights.pt"), auxiliary=0.3)
    assert network.start is not None
    assert "from chance" in network.start
    first = network.get_submodule("auxiliary_heads.0.head.stage.affine")
    assert isinstance(first, nn.Linear)
    assert torch.equal(first.weight, published.aux1.fc1.weight)
    same = Backbone("googlenet", SHAPE, 4, weights=str(tmp_path / "weights.pt"), auxiliary=0.3)
    last = same.get_submodule("auxiliary_heads.1.head.linear")
    assert isinstance(last, nn.Linear)
    assert torch.equal(last.weight, published.aux2.fc2.weight)


@pytest.mark.parametrize(
    ("name", "auxiliary", "message"),
    [
        ("resnet18", 0.3, "auxiliary must be 0 for resnet18: googlenet has auxiliary heads here; got 0.3"),
        ("googlenet", -0.1, "auxiliary must be a number of 0 or more, got -0.1"),
    ],
)
def test_what_it_refuses(name: str, auxiliary: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Backbone(name, SHAPE, CLASSES, auxiliary=auxiliary)


@pytest.mark.slow
def test_compiles_with_them() -> None:
    torch._dynamo.reset()
    network, given = googlenet(lambda: MalDrop(8)), batch()
    expected = network(*given)
    auxiliary = [logits for _, logits in network.take_auxiliary()]
    compiled = torch.compile(network, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(*given), expected, rtol=1e-3, atol=1e-4)
    found = [logits for _, logits in network.take_auxiliary()]
    torch.testing.assert_close(found, auxiliary, rtol=1e-3, atol=1e-4)


def test_a_network_without_auxiliary_heads_leaves_none() -> None:
    assert Network.auxiliary == ()
