"""CIFAR-10 from its python batches."""

import pickle
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from torchvision import datasets
from torchvision.datasets.utils import check_integrity, download_and_extract_archive

from dropout_lab.datamodules.augment import RandomFlip, RandomShift
from dropout_lab.datamodules.base import ImageDataModule
from dropout_lab.datamodules.batches import Images, Splits
from dropout_lab.datamodules.download import read_verified, torchvision_download
from dropout_lab.datamodules.errors import DatasetCorruptError, DatasetNotFoundError
from dropout_lab.datamodules.splits import check_bounds, hold_out_last

FOLDER = Path(datasets.CIFAR10.base_folder)
TRAIN_MD5 = dict(datasets.CIFAR10.train_list)
"""MD5 of the official training batches, by name, in order."""
TEST_MD5 = dict(datasets.CIFAR10.test_list)
"""MD5 of the official test batch, by name."""


@final
class CIFAR10DataModule(ImageDataModule):
    """Small photographs, 32×32, three channels, 10 classes: 50,000 to train on and 10,000 to test.

    Validation images are the last training images, whatever the seed. Lerner and CS 6353 train on the first
    49,000, validate on the next 1,000 and test on the first 1,000 of the test set: ``val_size=1000,
    test_limit=1000``. Gavier holds out 5 % and tests on all 10,000: ``val_size=0.05``. ``augment`` shifts training
    images by up to 4 pixels and mirrors half of them.

    Files: ``root/cifar-10-batches-py/``, as published (a download of 170 MB). They are pickles, which run code when
    opened, so each is opened only if it has the official checksum.

    Source: A. Krizhevsky, *Learning Multiple Layers of Features from Tiny Images*, 2009.

    Args:
        root: folder that holds ``cifar-10-batches-py/``.
        val_size: validation images, a number or a share of the 50,000.
        test_limit: use only the first so many test images; None uses all.
        common: the arguments of :class:`dropout_lab.datamodules.ImageDataModule`.
    """

    num_classes = 10
    class_names = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
    stored_shape = (3, 32, 32)
    augmentations = (RandomShift(4), RandomFlip())

    def __init__(
        self,
        root: str = "data",
        *,
        val_size: int | float = 1000,
        test_limit: int | None = None,
        **common: Any,
    ) -> None:
        super().__init__(root, val_size=val_size, **common)
        check_bounds("test_limit", test_limit, 1)
        self.test_limit = test_limit

    def fetch(self) -> None:
        official = TRAIN_MD5 | TEST_MD5
        if all(check_integrity(self.root / FOLDER / name, md5) for name, md5 in official.items()):
            return
        # torchvision's data set would also open the pickles, by a second read after the one that it has checked.
        theirs = datasets.CIFAR10
        with torchvision_download("CIFAR-10", self.root):
            download_and_extract_archive(theirs.url, self.root, filename=theirs.filename, md5=theirs.tgz_md5)

    def read(self) -> Splits:
        train, val = hold_out_last(self._images(TRAIN_MD5), self.val_size)
        test = self._images(TEST_MD5)
        return Splits(train, val, test.select(slice(self.test_limit)))

    def _images(self, official: dict[str, str]) -> Images:
        pixels, labels = [], []
        for name, md5 in official.items():
            file = self.root / FOLDER / name
            if not file.is_file():
                raise DatasetNotFoundError("CIFAR-10", FOLDER / name, self.root)
            batch = pickle.loads(read_verified(file, md5), encoding="latin1")
            pixels.append(np.asarray(batch["data"], dtype=np.uint8).reshape(-1, *self.stored_shape))
            labels += batch["labels"]
        if len(labels) != sum(map(len, pixels)):
            problem = f"{len(labels)} labels for {sum(map(len, pixels))} images"
            raise DatasetCorruptError(self.root / FOLDER, problem)
        return Images(torch.from_numpy(np.concatenate(pixels)), torch.tensor(labels))
