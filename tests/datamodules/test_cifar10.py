"""CIFAR-10's files: the sources' splits, and pickles that are opened only when they are the official ones."""

import os
import pickle
from pathlib import Path

import pytest
import torch
from torchvision import datasets

from dropout_lab.datamodules import (
    CIFAR10DataModule,
    DatasetCorruptError,
    DatasetNotFoundError,
    DownloadError,
    cifar10,
)

BATCH = "cifar-10-batches-py/data_batch_3"


def data(root: Path, **arguments: object) -> CIFAR10DataModule:
    module = CIFAR10DataModule(str(root), **{"val_size": 10, **arguments})  # type: ignore[arg-type]
    module.prepare_data()
    return module


def test_splits_are_in_file_order(cifar10_root: Path) -> None:
    train, val, test = data(cifar10_root, test_limit=5).splits
    assert [len(split.labels) for split in (train, val, test)] == [90, 10, 5]
    stored = [
        pickle.loads((cifar10_root / f"cifar-10-batches-py/data_batch_{number}").read_bytes())["data"]
        for number in range(1, 6)
    ]
    images = torch.cat([torch.from_numpy(part) for part in stored]).view(-1, 3, 32, 32)
    assert torch.equal(torch.cat([train.pixels, val.pixels]), images)


class Trap:
    """A pickle that leaves a trace when it is opened."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("opened",)


def test_a_pickle_with_another_checksum_is_not_opened(cifar10_root: Path) -> None:
    (cifar10_root / BATCH).write_bytes(pickle.dumps(Trap()))
    with pytest.raises(DatasetCorruptError, match="data_batch_3: its MD5 is .*, the official one"):
        data(cifar10_root)
    assert not Path("opened").exists()


def test_a_truncated_batch(cifar10_root: Path) -> None:
    file = cifar10_root / BATCH
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(DatasetCorruptError, match=r"\(1000 bytes\)"):
        data(cifar10_root)


def test_a_missing_batch(cifar10_root: Path) -> None:
    (cifar10_root / BATCH).unlink()
    with pytest.raises(DatasetNotFoundError, match="no cifar-10-batches-py/data_batch_3 in the folder"):
        data(cifar10_root)


def test_a_failed_download_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fake(*_: object, **__: object) -> None:
        raise RuntimeError("checksum")

    monkeypatch.setattr(cifar10, "download_and_extract_archive", fake)
    with pytest.raises(DownloadError, match=r"CIFAR-10 could not be downloaded .*checksum"):
        data(tmp_path, download=True)


def test_bad_test_limit(cifar10_root: Path) -> None:
    with pytest.raises(ValueError, match="test_limit must be 1 or more, got 0"):
        data(cifar10_root, test_limit=0)


def test_real_files_and_the_sources_splits(real_data: Path) -> None:
    lerner = CIFAR10DataModule(str(real_data), val_size=1000, test_limit=1000)
    lerner.prepare_data()
    assert [len(split.labels) for split in lerner.splits] == [49_000, 1_000, 1_000]
    gavier = CIFAR10DataModule(str(real_data), val_size=0.05)
    gavier.prepare_data()
    assert [len(split.labels) for split in gavier.splits] == [47_500, 2_500, 10_000]
    theirs = datasets.CIFAR10(str(real_data), train=False)
    pixels = torch.from_numpy(theirs.data).permute(0, 3, 1, 2)
    assert torch.equal(gavier.splits.test.pixels, pixels)
    assert gavier.splits.test.labels.tolist() == theirs.targets
    assert list(gavier.class_names) == theirs.classes
