"""Tiny data sets that torchvision reads, too; and the scripts, which import each other as they do when they are run."""

import pickle
import sys
from pathlib import Path

import pytest
from torchvision import datasets

from dropout_lab.datamodules import cifar10
from tests.data import write_cifar10, write_mnist

sys.path.append(str(Path(__file__).parents[2] / "docs"))


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Tiny MNIST and CIFAR-10 that torchvision reads, too."""
    folder = tmp_path / "data"
    write_mnist(folder)
    checksums = write_cifar10(folder, images_a_batch=20)
    names = [f"label {number}" for number in range(10)]
    (folder / "cifar-10-batches-py" / "batches.meta").write_bytes(pickle.dumps({"label_names": names}))
    test = {"test_batch": checksums.pop("test_batch")}
    monkeypatch.setattr(cifar10, "TRAIN_MD5", checksums)
    monkeypatch.setattr(cifar10, "TEST_MD5", test)
    monkeypatch.setattr(datasets.CIFAR10, "train_list", list(checksums.items()))
    monkeypatch.setattr(datasets.CIFAR10, "test_list", list(test.items()))
    monkeypatch.setattr(datasets.CIFAR10, "meta", {**datasets.CIFAR10.meta, "md5": None})
    return folder
