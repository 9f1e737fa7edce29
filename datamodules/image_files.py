"""Data sets of image files: found, decoded once into the cache, split by rows."""

import json
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from pytorch_lightning.utilities import rank_zero_warn
from torch import Tensor

from dropout_lab.datamodules.base import ImageDataModule
from dropout_lab.datamodules.batches import Images, Splits
from dropout_lab.datamodules.decode import Conversion, Fit
from dropout_lab.datamodules.decode_cache import Unreadable, decoded_images, default_cache, digest_of
from dropout_lab.datamodules.duplicates import Part, duplicates
from dropout_lab.datamodules.errors import DataError
from dropout_lab.datamodules.folders import SHOWN
from dropout_lab.datamodules.left_out import counted, perhaps_images
from dropout_lab.ground import printable


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
    """Images from files of any format and size, in colour or grey, resized to squares.

    All files are decoded once into a memory-mapped array (:mod:`dropout_lab.datamodules.decode_cache`), which later
    runs and other processes share.

    Args:
        root: folder that holds the data set's own folder.
        image_size: decode to so many pixels square.
        channels: 3 for RGB, which grey images become too; 1 for grey, which colours become.
        fit: images that are not square: ``"crop"`` takes the largest square in the middle, ``"pad"`` shows all between
            black bars, ``"stretch"`` changes proportions.
        bit_depth: bits of the values in 16-bit images, 8 to 16, as of cameras of 12 bits; None: as the files say, else
            those of the largest value in any.
        cache: folder of decoded images; None: ``$DROPOUT_LAB_CACHE``, or else ``~/.cache/dropout-lab``.
        unreadable: what to do with files that cannot be decoded: ``"error"`` lists them all and stops, ``"skip"``
            lists them and goes on without, unless it would leave nothing of a class in a split.
        common: the other arguments of :class:`dropout_lab.datamodules.ImageDataModule`.
    """

    def __init__(
        self,
        root: str = "data",
        *,
        image_size: int = 64,
        channels: Literal[1, 3] = 3,
        fit: Fit = "crop",
        bit_depth: int | None = None,
        cache: str | None = None,
        unreadable: Unreadable = "error",
        **common: Any,
    ) -> None:
        super().__init__(root, image_size=image_size, **common)
        if unreadable not in ("error", "skip"):
            raise ValueError(f"unreadable must be 'error' or 'skip', got {unreadable!r}")
        self.cache = default_cache() if cache is None else Path(cache).expanduser()
        self.unreadable = unreadable
        self.conversion = Conversion(image_size, channels, fit, bit_depth)
        self.stored_shape = self.conversion.shape
        self.left_out: Counter[str] = Counter()
        """Files that are not read, by ending, and clutter, by its pattern; filled by ``find``."""
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

    @property
    def notes(self) -> list[str]:
        return [*super().notes, *([f"left out: {counted(self.left_out)}"] if self.left_out else [])]

    @abstractmethod
    def find(self) -> SplitFiles:
        """Find the files of each split and their labels, and count what is ``left_out``; or raise DataError."""

    def read(self) -> Splits:
        parts = self.find()
        self._warn_of_images_left_out()
        files = [file for part in parts for file in part.files]
        decoded = decoded_images(files, self.conversion, self.cache, self.unreadable, type(self).__name__)
        self._files, splits, placed = [], [], []
        read_parts: dict[str, Part] = {}
        all_rows = torch.split(torch.tensor(decoded.rows), [len(part.files) for part in parts])
        for name, part, rows in zip(("training", "validation", "test"), parts, all_rows, strict=True):
            self._check_filled(name, part, rows)
            # A file that was skipped has row −1.
            read = rows >= 0
            self._files.append([file for file, row in zip(part.files, rows, strict=True) if row >= 0])
            splits.append(Images(decoded.pixels, part.labels[read], rows[read], decoded.file))
            read_parts[name] = Part(self._files[-1], part.labels[read], rows[read])
            placed.append([rows[read].tolist(), part.labels[read].tolist()])
        self._warn_of_duplicates(read_parts)
        self._fingerprint = digest_of(json.dumps([decoded.content, placed]).encode())
        return Splits(*splits)

    def _warn_of_images_left_out(self) -> None:
        if images := perhaps_images(self.left_out):
            rank_zero_warn(
                f"left out of {printable(str(self.root))}: {counted(images)}. If these are images of yours, convert "
                "them to JPEG or PNG, in their classes' folders"
            )

    def _warn_of_duplicates(self, parts: Mapping[str, Part]) -> None:
        if found := duplicates(parts):
            rank_zero_warn(
                f"{printable(str(self.root))}: {'; '.join(found)}. What is measured on images that were trained on "
                "says nothing about others: remove one of the two files"
            )

    def _check_filled(self, name: str, part: LabelledFiles, rows: Tensor) -> None:
        """Raise DataError if what was skipped was all of a class in a split."""
        sizes = part.labels.bincount()
        read = part.labels[rows >= 0].bincount(minlength=len(sizes))
        emptied = ((sizes > 0) & (read == 0)).nonzero().squeeze(1).tolist()
        if emptied:
            classes = ", ".join(self.class_names[label] for label in emptied[:SHOWN])
            raise DataError(
                f"no {name} image of {len(emptied)} of {self.num_classes} classes is left ({classes}): with "
                f"unreadable=skip all {int(sizes[emptied].sum()):,} of them were left out. Mend the files, or remove "
                "the classes"
            )
