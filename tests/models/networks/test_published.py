"""Weights of torchvision's models: its own by name, and files."""

from collections.abc import Callable
from pathlib import Path
from urllib.error import URLError

import pytest
import torch
from torch import Tensor
from torchvision.models import ShuffleNet_V2_X0_5_Weights as Weights
from torchvision.models import densenet121, googlenet, shufflenet_v2_x0_5

from dropout_lab.models.networks import Backbone

NAME = "shufflenet_v2_x0_5"
SHAPE = (3, 32, 32)


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    torch.manual_seed(1)
    published: dict[str, Tensor] = shufflenet_v2_x0_5().state_dict()
    return published


@pytest.fixture
def file(state: dict[str, Tensor]) -> Path:
    torch.save(state, "weights.pth")
    return Path("weights.pth")


@pytest.fixture
def fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: dict[str, Tensor]) -> Path:
    """The file of torchvision's weights where an earlier fetch has left it."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    kept = tmp_path / "hub" / "checkpoints" / Path(Weights.DEFAULT.url).name
    kept.parent.mkdir(parents=True)
    torch.save(state, kept)
    return kept


@pytest.fixture
def batch() -> Tensor:
    return torch.randn(2, *SHAPE)


def published_logits(state: dict[str, Tensor], batch: Tensor) -> Tensor:
    model = shufflenet_v2_x0_5()
    model.load_state_dict(state)
    logits: Tensor = model.eval()(batch)
    return logits


@pytest.mark.usefixtures("fetched")
@pytest.mark.parametrize(
    "weights", [None, "IMAGENET1K_V1", "DEFAULT", "ShuffleNet_V2_X0_5_Weights.IMAGENET1K_V1"]
)
def test_torchvisions_weights(weights: str | None, state: dict[str, Tensor], batch: Tensor) -> None:
    network = Backbone(NAME, SHAPE, 1000, pretrained=weights is None, weights=weights)
    assert torch.allclose(network.eval()(batch), published_logits(state, batch))
    assert network.start == "torchvision's ShuffleNet_V2_X0_5_Weights.IMAGENET1K_V1"


def test_a_file(file: Path, state: dict[str, Tensor], batch: Tensor) -> None:
    network = Backbone(NAME, SHAPE, 1000, weights=str(file))
    assert torch.allclose(network.eval()(batch), published_logits(state, batch))
    assert network.start == str(file)


def test_another_number_of_classes_leaves_the_last_layer_as_initialized(
    file: Path, state: dict[str, Tensor]
) -> None:
    torch.manual_seed(0)
    network = Backbone(NAME, SHAPE, 7, weights=str(file))
    torch.manual_seed(0)
    fresh = Backbone(NAME, SHAPE, 7)
    assert torch.equal(network.head.linear.weight, fresh.head.linear.weight)
    assert torch.equal(network.state_dict()["body.0.conv1.0.weight"], state["conv1.0.weight"])
    assert network.start == "weights.pth; the last layer, of 7 classes, from chance"
    assert fresh.start is None


def test_names_of_published_densenets() -> None:
    published = densenet121(num_classes=7)
    old = {}
    for key, tensor in published.state_dict().items():
        for part in ("norm", "conv"):
            for number in "12":
                key = key.replace(f".{part}{number}.", f".{part}.{number}.") if "denselayer" in key else key
        old[key] = tensor
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    torch.save(old, "densenet.pth")
    batch = torch.randn(2, *SHAPE)
    network = Backbone("densenet121", SHAPE, 7, weights="densenet.pth")
    assert torch.allclose(network.eval()(batch), published.eval()(batch), atol=1e-6)


def test_auxiliary_classifiers_are_left_in_the_file() -> None:
    published = googlenet(num_classes=7, init_weights=False, transform_input=True)
    torch.save(published.state_dict(), "googlenet.pth")
    batch = torch.randn(2, *SHAPE)
    network = Backbone("googlenet", SHAPE, 7, weights="googlenet.pth")
    assert torch.allclose(network.eval()(batch), published.eval()(batch), atol=1e-6)


def wrong(change: Callable[[dict[str, Tensor]], object]) -> Callable[[dict[str, Tensor]], object]:
    def written(state: dict[str, Tensor]) -> object:
        state = dict(state)
        return change(state) or state

    return written


BAD_FILES = {
    "has no conv1.0.weight; give weights of": wrong(lambda state: state.__delitem__("conv1.0.weight")),
    "has extra, which shufflenet_v2_x0_5 has not": wrong(lambda state: state.update(extra=torch.ones(1))),
    r"conv1.0.weight is \(2,\) there and \(24, 3, 3, 3\) here": wrong(
        lambda state: state.update({"conv1.0.weight": torch.ones(2)})
    ),
    "conv1.0.weight is not finite": wrong(
        lambda state: state.update({"conv1.0.weight": torch.full((24, 3, 3, 3), torch.nan)})
    ),
    "holds no state dict": wrong(lambda state: [1, 2]),
    "holds no state dict, tensors by name": wrong(lambda state: {"model": state}),
}


@pytest.mark.parametrize("message", BAD_FILES)
def test_files_that_do_not_fit(message: str, state: dict[str, Tensor]) -> None:
    torch.save(BAD_FILES[message](state), "bad.pth")
    with pytest.raises(ValueError, match=f"bad.pth.*{message}") as raised:
        Backbone(NAME, SHAPE, 7, weights="bad.pth")
    assert "\n" not in str(raised.value)


class Harmful:
    """Leaves a trace when it is unpickled."""

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return Path.touch, (Path("harm"),)  # type: ignore[return-value]


def test_nothing_in_a_file_is_executed() -> None:
    torch.save({"weight": Harmful()}, "harmful.pth")
    Path("cut.pth").write_bytes(Path("harmful.pth").read_bytes()[:100])
    Path("empty.pth").touch()
    for file in ("harmful.pth", "cut.pth", "empty.pth"):
        with pytest.raises(ValueError, match=f"weights {file}: no file of weights, or damaged"):
            Backbone(NAME, SHAPE, 7, weights=file)
    assert not Path("harm").exists()


def test_unknown_weights() -> None:
    with pytest.raises(
        ValueError, match=f"{NAME} has no weights 'V9', and there is no such file; .*IMAGENET1K_V1"
    ):
        Backbone(NAME, SHAPE, 7, weights="V9")
    with pytest.raises(ValueError, match="no weights 'ResNet18_Weights.IMAGENET1K_V1'"):
        Backbone(NAME, SHAPE, 7, weights="ResNet18_Weights.IMAGENET1K_V1")


def test_offline(fetched: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> None:
        raise URLError("no route to host")

    fetched.unlink()
    monkeypatch.setattr(torch.hub, "urlopen", offline)
    with pytest.raises(
        ValueError, match="could not be fetched .*no route.*: fetch https.*name the file"
    ) as raised:
        Backbone(NAME, SHAPE, 7, pretrained=True)
    assert str(fetched.parent) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_damaged_file_of_an_earlier_fetch(fetched: Path) -> None:
    fetched.write_bytes(fetched.read_bytes()[:1000])
    with pytest.raises(ValueError, match="could not be fetched .*name the file"):
        Backbone(NAME, SHAPE, 7, pretrained=True)


@pytest.mark.parametrize("prefix", ["_orig_mod.", "module.", "module._orig_mod.", "model.", "backbone."])
def test_names_with_a_prefix(prefix: str, state: dict[str, Tensor], batch: Tensor) -> None:
    wrapped = {f"{prefix}{key}": tensor for key, tensor in state.items()}
    torch.save({"state_dict": {**wrapped, "loss.weight": torch.ones(2)}, "epoch": 3}, "wrapped.ckpt")
    network = Backbone(NAME, SHAPE, 1000, weights="wrapped.ckpt")
    assert torch.allclose(network.eval()(batch), published_logits(state, batch))


def test_two_models_in_a_file(state: dict[str, Tensor]) -> None:
    both = {f"{who}.{key}": tensor for who in ("teacher", "student") for key, tensor in state.items()}
    torch.save(both, "both.pth")
    with pytest.raises(ValueError, match=r"both.pth holds 2 models, student\., teacher\.: save one"):
        Backbone(NAME, SHAPE, 7, weights="both.pth")
