"""Every shipped YAML builds what it names; one of each family trains a batch, the others in `test-all`."""

from functools import reduce
from pathlib import Path

import pytest
import yaml

from dropout_lab.app.config.settings import merge
from dropout_lab.app.config.yaml_files import read_yaml
from dropout_lab.app.main import main
from dropout_lab.app.run.build import build
from dropout_lab.datamodules import cifar10
from tests.data import write_cifar10, write_mnist
from tests.data.folders import write_classes
from tests.data.isic import write_isic
from tests.data.tiny_imagenet import write_tiny_imagenet

CONFIGS = Path(__file__).parents[2] / "configs"
SPEED = CONFIGS / "speed.yaml"
WHOLE = sorted(path for path in CONFIGS.glob("*.yaml") if path != SPEED)
PARTS = [*sorted(path for path in CONFIGS.glob("*/*.yaml") if path.parent.name != "studies"), SPEED]
EACH = pytest.mark.parametrize(
    "config", [*WHOLE, *PARTS], ids=lambda path: path.relative_to(CONFIGS).as_posix()
)

# What completes a part to a run: the network for data, the data for a network, both for a dropout, all three for a
# callback and for what makes a fit faster.
IMAGES = {"alan_cnn": "mnist", "gavier_cifar": "cifar10", "backbone": "cifar10", "vgg16": "cifar10"}
# Data that are found in a folder of their own.
FOLDERS = {"ImageFolderDataModule": "pictures"}
VARIANTS = {"rho_randomized": "mal_drop"}
# A large network sees two images, and no optimizer that keeps two more copies of its weights.
LIGHT = {"vgg16": "--data.train_limit 2 --data.batch_size 2 --model.optimizer SGD --model.optimizer.lr 0.01"}


TOGETHER = (
    "data/digits networks/fully_connected dropout/mal_drop callbacks/all callbacks/rho_randomized "
    "schedulers/warmup_cosine",
    "data/image_folder networks/gavier_cifar dropout/chain",
    "quickstart dropout/drop_connect speed",
)
"""Of every family what trains a batch in `make test`."""


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A folder with all data sets, and the checksums of its CIFAR-10."""
    folder = tmp_path_factory.mktemp("data")
    write_mnist(folder)
    write_isic(folder)
    write_classes(folder / "pictures", {"cat": 20, "dog": 20})
    write_tiny_imagenet(folder)
    return folder, write_cifar10(folder)


@pytest.fixture
def root(everything: tuple[Path, dict[str, str]], monkeypatch: pytest.MonkeyPatch) -> str:
    folder, checksums = everything
    train = {file: checksum for file, checksum in checksums.items() if file != "test_batch"}
    monkeypatch.setattr(cifar10, "TRAIN_MD5", train)
    monkeypatch.setattr(cifar10, "TEST_MD5", {"test_batch": checksums["test_batch"]})
    return str(folder)


def folder_of(configs: list[Path], root: str) -> str:
    """Return the folder of the data that are named."""
    kinds = [yaml.safe_load(path.read_text()).get("data", {}).get("class_path") for path in configs]
    return str(Path(root, *(FOLDERS[kind] for kind in kinds if kind in FOLDERS)))


def fit(configs: list[Path], root: str, options: str = "") -> None:
    words = [word for path in configs for word in ("--config", str(path))]
    small = ["--data.root", folder_of(configs, root), "--data.val_size", "10", "--trainer.accelerator", "cpu"]
    main(["fit", *words, *small, *options.split(), "--trainer.fast_dev_run", "1"])


def with_the_rest(config: Path) -> list[Path]:
    """Return what makes a run of a config, and the config."""
    if config in WHOLE:
        return [config]
    data, network = CONFIGS / "data", CONFIGS / "networks"
    rest = {
        "data": [network / "fully_connected.yaml", CONFIGS / "dropout" / "standard.yaml"],
        "networks": [data / f"{IMAGES.get(config.stem, 'digits')}.yaml"],
        "dropout": [data / "digits.yaml", network / "fully_connected.yaml"],
        "callbacks": [
            data / "digits.yaml",
            network / "fully_connected.yaml",
            CONFIGS / "dropout" / f"{VARIANTS.get(config.stem, 'standard')}.yaml",
        ],
        "configs": [CONFIGS / "quickstart.yaml"],
        "schedulers": [CONFIGS / "quickstart.yaml"],
    }[config.parent.name]
    return [*rest, config]


@pytest.mark.usefixtures("no_weights")
@EACH
def test_it_builds(config: Path, root: str) -> None:
    configs = with_the_rest(config)
    settings = reduce(merge, map(read_yaml, configs))
    # Of a fit, and of no part of it.
    settings.pop("name", None)
    small = {"data": {"root": folder_of(configs, root), "val_size": 10}, "trainer": {"accelerator": "cpu"}}
    parts = build({"seed_everything": 0, **merge(settings, small)}, keep_data=True)
    assert parts.model.network.num_classes == parts.data.num_classes


@pytest.mark.slow  # what a command makes of such files is tested with some of them
@EACH
def test_it_trains(config: Path, root: str) -> None:
    fit(with_the_rest(config), root, LIGHT.get(config.stem, ""))


@pytest.mark.parametrize("names", TOGETHER)
def test_together_they_train(names: str, root: str) -> None:
    # Compiling takes half a minute.
    options = "--model.compile null" if "speed" in names else ""
    fit([CONFIGS / f"{name}.yaml" for name in names.split()], root, options)


def test_one_of_each_family_trains() -> None:
    trained = {CONFIGS / f"{name}.yaml" for names in TOGETHER for name in names.split()}
    assert trained <= {*WHOLE, *PARTS}
    assert {config.parent for config in (*WHOLE, *PARTS)} == {config.parent for config in trained}


@EACH
def test_every_key_says_what_it_means(config: Path) -> None:
    lines = config.read_text().splitlines()
    assert lines[0].startswith("# "), "the first line says what the file is for"
    unexplained = {
        "class_path",
        "init_args",
        "data",
        "model",
        "network",
        "trainer",
        "optimizer",
        "dropout",
        "callbacks+",
    }
    plain = {"name", "max_epochs", "lr", "weight_decay"}
    for line in lines:
        key = line.strip().removeprefix("- ").split(":")[0]
        if ":" in line and not line.strip().startswith("#") and key not in unexplained | plain:
            assert "#" in line, f"{config.name}: {key} has no comment"
    assert isinstance(yaml.safe_load(config.read_text()), dict)
