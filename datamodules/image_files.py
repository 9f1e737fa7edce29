"""Data sets of image files: found, decoded once into the cache, split by rows."""

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from dropout_lab.datamodules.base import ImageDataModule
from dropout_lab.datamodules.batches import Images, Splits
from dropout_lab.datamodules.decode_cache import Unreadable, decoded_images, default_cache, digest_of
from dropout_lab.datamodules.normalize import NormalizationName


class LabelledFiles(NamedTuple):
    """Image files of one split."""

    files: Sequence[Path]
    labels: Tensor
    """``(N,)`` int64."""

    def select(self, index: Tensor) -> "LabelledFiles":
        """Return some of the files, by indices."""
        return LabelledFiles([self.files[place] for place in index.tolist()], self.labels[index])


class SplitFiles(NamedTuple):
    """The files of a data set's three parts."""

    train: LabelledFiles
    val: LabelledFiles
    test: LabelledFiles


class DecodedDataModule(ImageDataModule, ABC):
    """Images from files of any format and size, three channels, resized to squares.

    All files are decoded once into a memory-mapped array (:mod:`dropout_lab.datamodules.decode_cache`), which later runs and other
    processes share.

    Args:
        root: folder that holds the data set's own folder.
        batch_size: images a batch.
        val_size: validation images, a number or a share of the training images in (0, 1).
        train_limit: use the first so many training images only.
        image_size: decode to so many pixels square.
        normalize: ``"standard"``, ``"mean-255"``, ``"mean-image"`` or ``"none"``.
        augment: augment training images; how, says the data set.
        seed: of the order of training images, and of the split where it is random.
        download: fetch the official files if they are missing.
        num_workers: processes that prepare batches.
        device: keep the images there: None in the machine's memory, ``"cuda"`` on the GPU that the trainer computes
            on, ``"auto"`` there too if there is one and they fit.
        cache: folder of decoded images; None: ``$DROPOUT_LAB_CACHE``, or else ``~/.cache/dropout-lab``.
        unreadable: what to do with files that cannot be decoded: ``"error"`` lists them all and stops, ``"skip"``
            lists them and goes on without.

    Raises:
        ValueError: an argument is out of range.
    """

    def __init__(
        self,
        root: str,
        batch_size: int,
        val_size: int | float,
        train_limit: int | None,
        image_size: int,
        normalize: NormalizationName,
        augment: bool,
        seed: int,
        download: bool,
        num_workers: int,
        device: str | None,
        cache: str | None,
        unreadable: Unreadable,
    ) -> None:
        """Check the arguments."""
        super().__init__(
            root,
            batch_size,
            val_size,
            train_limit,
            image_size,
            normalize,
            augment,
            seed,
            download,
            num_workers,
            device,
        )
        if unreadable not in ("error", "skip"):
            raise ValueError(f"unreadable must be 'error' or 'skip', got {unreadable!r}")
        self.cache = default_cache() if cache is None else Path(cache).expanduser()
        self.unreadable = unreadable
        self.size = image_size
        self.stored_shape = (3, image_size, image_size)
        self._files: list[list[Path]] = []
        self._fingerprint: str | None = None

    @property
    def sample_files(self) -> list[list[Path]]:
        """The file of each sample, by split."""
        train, val, test = self._files
        return [train[: self.train_limit], val, test]

    @property
    def fingerprint(self) -> str | None:
        """Digest of what the files hold, of the split that each is in, and of its label; None before ``setup``."""
        return self._fingerprint

    @abstractmethod
    def find(self) -> SplitFiles:
        """Find the files of each split and their labels.

        Raises:
            DataError: files are missing or cannot be used.
        """

    def read(self) -> Splits:
        """Decode all files, or take them from the cache."""
        parts = self.find()
        files = [file for part in parts for file in part.files]
        decoded = decoded_images(files, self.size, self.cache, self.unreadable, type(self).__name__)
        self._files = []
        splits, start = [], 0
        for part in parts:
            rows = torch.tensor(decoded.rows[start : start + len(part.files)])
            start += len(part.files)
            # A file that was skipped has row −1.
            read = rows >= 0
            self._files.append([file for file, row in zip(part.files, rows, strict=True) if row >= 0])
            splits.append(Images(decoded.pixels, part.labels[read], rows[read]))
        self._fingerprint = _fingerprint(decoded.content, splits)
        return Splits(*splits)


def _fingerprint(content: str, splits: Sequence[Images]) -> str:
    placed = [[split.rows.tolist(), split.labels.tolist()] for split in splits if split.rows is not None]
    return digest_of(json.dumps([content, placed]).encode())
