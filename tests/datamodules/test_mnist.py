"""MNIST's files: read right, and every way in which they can be wrong."""

import gzip
import hashlib
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import torch
from torchvision import datasets

from dropout_lab.datamodules import DatasetCorruptError, DownloadError, MNISTDataModule, mnist
from dropout_lab.datamodules.mnist import parse_idx
from tests.data import idx, write_mnist

IMAGES = "MNIST/raw/train-images-idx3-ubyte"
LABELS = "MNIST/raw/train-labels-idx1-ubyte"


def data(root: Path, **arguments: object) -> MNISTDataModule:
    module = MNISTDataModule(str(root), val_size=10, **arguments)
    module.prepare_data()
    return module


def test_the_last_images_are_validation(mnist_root: Path) -> None:
    train, val, test = data(mnist_root).splits
    assert train.pixels[:, 0, 0, 0].tolist() == list(range(50))
    assert val.pixels[:, 0, 0, 0].tolist() == list(range(50, 60))
    assert test.labels.tolist() == [number % 10 for number in range(30)]


def test_a_share_for_validation(mnist_root: Path) -> None:
    module = MNISTDataModule(str(mnist_root), val_size=0.05)
    module.setup()
    assert [len(split.labels) for split in module.splits] == [57, 3, 30]


def test_equal_to_torchvision(mnist_root: Path) -> None:
    theirs = datasets.MNIST(str(mnist_root), train=True)
    ours = data(mnist_root).splits.train
    assert torch.equal(ours.pixels[:, 0], theirs.data[:50])
    assert torch.equal(ours.labels, theirs.targets[:50])


def test_packed_files_need_the_official_checksum(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_mnist(tmp_path, packed=True)
    with pytest.raises(
        DatasetCorruptError, match=r"train-images-idx3-ubyte\.gz: its MD5 is .*, the official one"
    ):
        data(tmp_path)
    official = {
        file.name: hashlib.md5(file.read_bytes()).hexdigest() for file in (tmp_path / mnist.FOLDER).iterdir()
    }
    monkeypatch.setattr(mnist, "OFFICIAL_MD5", official)
    assert len(data(tmp_path).splits.train.labels) == 50


def test_a_packed_file_that_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_mnist(tmp_path, packed=True)
    file = tmp_path / f"{IMAGES}.gz"
    for content in (b"not gzip", file.read_bytes()[:-20]):
        file.write_bytes(content)
        monkeypatch.setitem(mnist.OFFICIAL_MD5, file.name, hashlib.md5(content).hexdigest())
        with pytest.raises(DatasetCorruptError, match="not a readable gzip file"):
            data(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (IMAGES, b"", "not an IDX file of 3 dimension"),
        (IMAGES, b"\x1f\x8b" + bytes(100), "not an IDX file"),
        (IMAGES, idx(np.zeros(60)), "not an IDX file of 3 dimension"),
        (IMAGES, idx(np.zeros((60, 28, 28)))[:-1], "47055 bytes where the header says 47056"),
        (IMAGES, idx(np.zeros((60, 28, 28)))[:9], "9 bytes where the header says"),
        (IMAGES, idx(np.zeros((60, 28, 28))) + b"x", "47057 bytes where the header says 47056"),
        (IMAGES, idx(np.zeros((60, 32, 32))), r"images of \(32, 32\) pixels"),
        (LABELS, idx(np.zeros(59)), "59 labels for 60 images"),
        (LABELS, idx(np.full(60, 10)), "a label of 10"),
        (LABELS, gzip.compress(idx(np.zeros(60)), mtime=0), "not an IDX file of 1 dimension"),
    ],
    ids=range(10),
)
def test_broken_files(mnist_root: Path, name: str, content: bytes, message: str) -> None:
    (mnist_root / name).write_bytes(content)
    with pytest.raises(DatasetCorruptError, match=message) as caught:
        data(mnist_root)
    assert str(mnist_root / name) in str(caught.value)


def test_parses_any_dimensions() -> None:
    array = np.arange(24).reshape(2, 3, 4)
    assert np.array_equal(parse_idx(idx(array), 3, Path("x")).numpy(), array)


def test_download_is_torchvisions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def fake(root: str, download: bool) -> None:
        asked.append((root, download))
        write_mnist(tmp_path)

    monkeypatch.setattr(datasets, "MNIST", fake)
    assert len(data(tmp_path, download=True).splits.test.labels) == 30
    assert asked == [(str(tmp_path), True)]


def test_a_failed_download_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fake(root: str, download: bool) -> None:
        raise URLError("no network")

    monkeypatch.setattr(datasets, "MNIST", fake)
    with pytest.raises(DownloadError, match=r"MNIST could not be downloaded into .*no network.*by hand"):
        data(tmp_path, download=True)


def test_real_files(real_data: Path) -> None:
    module = MNISTDataModule(str(real_data))
    module.prepare_data()
    train, val, test = module.splits
    assert [len(split.labels) for split in module.splits] == [55_000, 5_000, 10_000]
    labels = torch.cat([train.labels, val.labels])
    assert labels.bincount().tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert test.labels.bincount().tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    mean = torch.cat([train.pixels, val.pixels]).double().mean().item() / 255
    assert mean == pytest.approx(0.1307, abs=5e-5)
