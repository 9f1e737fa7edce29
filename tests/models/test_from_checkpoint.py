"""A checkpoint of before the import name, and one whose settings say by what to build them."""

from pathlib import Path
from typing import Any

import pytest
import torch

from dropout_lab.models import ImageClassifier
from dropout_lab.models.dropout import Chain, MalDrop
from dropout_lab.models.networks import Backbone, FullyConnected

BUILT_BY = "pytorch_lightning.cli.instantiate_module"
NETWORK = {
    "class_path": "models.networks.FullyConnected",
    "init_args": {
        "hidden": [6],
        "image_shape": [1, 4, 4],
        "num_classes": 3,
        "dropout": {
            "class_path": "models.dropout.Chain",
            "init_args": {"layers": [{"class_path": "models.dropout.MalDrop", "init_args": {"rho": 2}}]},
        },
    },
}


def checkpoint(file: Path, settings: dict[str, Any], key: str = "hyper_parameters") -> Path:
    network = FullyConnected([6], (1, 4, 4), 3, dropout=lambda: Chain([MalDrop(rho=2)]))
    weights = ImageClassifier(network).state_dict()
    torch.save({"pytorch-lightning_version": "2.6.6", "state_dict": weights, key: settings}, file)
    return file


def test_class_paths_from_before_the_import_name_load(tmp_path: Path) -> None:
    file = checkpoint(tmp_path / "old.ckpt", {"_instantiator": BUILT_BY, "network": NETWORK, "mc_samples": 4})
    model = ImageClassifier.load_from_checkpoint(file)
    (layer,) = model.network.dropout_layers().values()
    assert isinstance(model.network, FullyConnected)
    assert isinstance(layer, Chain)
    assert isinstance(layer.layers[0], MalDrop)
    weights = torch.load(file, weights_only=True)["state_dict"]
    assert all(torch.equal(tensor, weights[name]) for name, tensor in model.state_dict().items())
    assert model.mc_samples == 4
    assert ImageClassifier.load_from_checkpoint(file, mc_samples=2).mc_samples == 2


@pytest.mark.parametrize("key", ["hyper_parameters", "hparams", "module_arguments"])
@pytest.mark.parametrize(
    "instantiator",
    ["os.system", "pytorch_lightning.cli.instantiate_module.__call__", "", None, ["os.system"]],
)
def test_nothing_but_lightnings_own_builds(instantiator: object, key: str, tmp_path: Path) -> None:
    built: list[object] = []
    settings = {"_instantiator": instantiator, "network": NETWORK}
    file = checkpoint(tmp_path / "stranger.ckpt", settings, key)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FullyConnected, "__init__", lambda *args, **kwargs: built.append(args))
        with pytest.raises(ValueError, match="stranger.ckpt: .* is not in the allowlist") as raised:
            ImageClassifier.load_from_checkpoint(file)
    assert "\n" not in str(raised.value)
    assert not built


@pytest.mark.parametrize("key", ["hyper_parameters", "hparams", "module_arguments"])
def test_settings_are_looked_at_wherever_lightning_reads_them(key: str, tmp_path: Path) -> None:
    network = {"class_path": "torch.hub.load", "init_args": {"repo_or_dir": "x", "model": "y"}}
    file = checkpoint(tmp_path / "stranger.ckpt", {"_instantiator": BUILT_BY, "network": network}, key)
    with pytest.raises(ValueError, match="stranger.ckpt: its settings cannot be used"):
        ImageClassifier.load_from_checkpoint(file)


@pytest.mark.parametrize("start", [{"weights": "gone.pth"}, {"pretrained": True}])
def test_weights_that_a_fit_started_from_are_not_needed(
    start: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A fetch would fail.
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "file" / "hub"))
    (tmp_path / "file").write_text("no folder")
    shape: dict[str, Any] = {"name": "shufflenet_v2_x0_5", "image_shape": [3, 32, 32], "num_classes": 2}
    trained = ImageClassifier(Backbone(**shape)).state_dict()
    network = {"class_path": "dropout_lab.models.networks.Backbone", "init_args": {**shape, **start}}
    settings = {"_instantiator": BUILT_BY, "network": network}
    file = tmp_path / "trained.ckpt"
    torch.save(
        {"pytorch-lightning_version": "2.6.6", "state_dict": trained, "hyper_parameters": settings}, file
    )
    loaded = ImageClassifier.load_from_checkpoint(file).state_dict()
    assert all(torch.equal(tensor, trained[name]) for name, tensor in loaded.items())
