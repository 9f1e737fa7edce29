"""Data sets of image files: found, decoded once into the cache, split by rows."""

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from pytorch_lightning.utilities import rank_zero_warn
from torch import Tensor

from dropout_lab.datamodules.base import ImageDataModule
from dropout_lab.datamodules.batches import Images, Splits
from dropout_lab.datamodules.decode_cache import Unreadable, decoded_images, default_cache, digest_of
from dropout_lab.datamodules.duplicates import Part, duplicates


class LabelledFiles(NamedTuple):
    """Image files of one split."""

    files: Sequence[Path]
    labels: Tensor
    """``(N,)`` int64."""

    def select(self, index: Tensor) -> "LabelledFiles":
        return LabelledFiles([self.files[place] for place in index.tolist()], self.labels[index])


class SplitFiles(NamedTuple):
    """The files of a data set's three parts."""

    train: LabelledFiles
    val: LabelledFiles
    test: LabelledFiles


class DecodedDataModule(ImageDataModule, ABC):
    """Images from files of any format and size, three channels, resized to squares.

    All files are decoded once into a memory-mapped array (:mod:`dropout_lab.datamodules.decode_cache`), which later
    runs and other processes share.

    Args:
        root: folder that holds the data set's own folder.
        image_size: decode to so many pixels square.
        cache: folder of decoded images; None: ``$DROPOUT_LAB_CACHE``, or else ``~/.cache/dropout-lab``.
        unreadable: what to do with files that cannot be decoded: ``"error"`` lists them all and stops, ``"skip"``
            lists them and goes on without.
        common: the other arguments of :class:`dropout_lab.datamodules.ImageDataModule`.
    """

    def __init__(
        self,
        root: str = "data",
        *,
        image_size: int = 64,
        cache: str | None = None,
        unreadable: Unreadable = "error",
        **common: Any,
    ) -> None:
        super().__init__(root, image_size=image_size, **common)
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
        """Digest of what the files hold, of each one's split and label; None before ``setup``."""
        return self._fingerprint

    @abstractmethod
    def find(self) -> SplitFiles:
        """Find the files of each split and their labels, or raise DataError."""

    def read(self) -> Splits:
        parts = self.find()
        files = [file for part in parts for file in part.files]
        decoded = decoded_images(files, self.size, self.cache, self.unreadable, type(self).__name__)
        self._files, splits, placed, read_parts = [], [], [], []
        all_rows = torch.split(torch.tensor(decoded.rows), [len(part.files) for part in parts])
        for part, rows in zip(parts, all_rows, strict=True):
            # A file that was skipped has row −1.
            read = rows >= 0
            self._files.append([file for file, row in zip(part.files, rows, strict=True) if row >= 0])
            splits.append(Images(decoded.pixels, part.labels[read], rows[read]))
            read_parts.append(Part(self._files[-1], part.labels[read], rows[read]))
            placed.append([rows[read].tolist(), part.labels[read].tolist()])
        self._warn_of_duplicates(read_parts)
        self._fingerprint = digest_of(json.dumps([decoded.content, placed]).encode())
        return Splits(*splits)

    def _warn_of_duplicates(self, parts: Sequence[Part]) -> None:
        named = dict(zip(("training", "validation", "test"), parts, strict=True))
        if found := duplicates(named):
            rank_zero_warn(
                f"{self.root}: {'; '.join(found)}. What is measured on images that were trained on says nothing about "
                "others: remove one of the two files"
            )
