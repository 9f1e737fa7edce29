"""A user's own images, in a folder for each class."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, final

import torch
from pytorch_lightning.utilities import rank_zero_warn
from torch import Generator

from dropout_lab.datamodules.augment import RandomFlip, RandomResizedCrop
from dropout_lab.datamodules.errors import DataError
from dropout_lab.datamodules.folders import (
    Scan,
    check_filled,
    class_folders,
    doubtful_classes,
    given_splits,
    scan_beside,
    scans_by_class,
)
from dropout_lab.datamodules.image_files import DecodedDataModule, LabelledFiles, SplitFiles
from dropout_lab.datamodules.splits import check_size, count_of, draw_stratified
from dropout_lab.ground import printable


@final
class ImageFolderDataModule(DecodedDataModule):
    """Photographs of your own: ``root/CLASS/image.jpg``, of any format and size, three channels, resized to squares.

    Two layouts:

    - ``root`` holds a folder for each class: validation and test images are drawn from all, stratified, by ``seed``;
      every class is in every split.
    - ``root`` holds ``train`` and, if given, ``val`` and ``test``, each with a folder for each class. Of the two last,
      what is not given is drawn from ``train``. They may be called ``Training`` and ``Testing``, ``TRAIN`` and
      ``TEST``, ``training_set`` and ``test_set``, ``seg_train`` and ``seg_test``; ``val`` also ``valid``,
      ``validation``, ``dev`` or ``eval``. Names that may be meant as splits or as classes are refused.

    Classes are the names of the folders, sorted, in Unicode's composed form. Images lie in them or in folders below;
    links are followed. What systems and programs leave among them (:mod:`dropout_lab.datamodules.left_out`), masks that
    lie beside their images (``7_mask.png``) and files that are not named as images are left out, and counted; this
    program's own folders of runs and studies, which may lie there, are left alone. ``augment`` enlarges a random part,
    half of the area or more, of each training image, and mirrors half of them.

    Args:
        root: folder of class folders, or of ``train``, ``val``, ``test``.
        val_size: validation images, a number or a share of what the test split leaves; not used where given.
        test_size: test images, a number or a share of all; not used where given.
        common: the arguments of :class:`dropout_lab.datamodules.image_files.DecodedDataModule`.
    """

    augmentations = (RandomResizedCrop(), RandomFlip())

    def __init__(
        self, root: str = "data", *, val_size: int | float = 0.15, test_size: int | float = 0.2, **common: Any
    ) -> None:
        super().__init__(root, val_size=val_size, **common)
        check_size("test_size", test_size)
        self.test_size = test_size

    @cached_property
    def class_names(self) -> tuple[str, ...]:  # type: ignore[override]  # elsewhere an attribute, known in advance
        return class_folders(self.root)

    @cached_property
    def num_classes(self) -> int:  # type: ignore[override]
        return len(self.class_names)

    def find(self) -> SplitFiles:
        classes = self.class_names
        given = given_splits(self.root)
        folder = given.get("train", self.root)
        self.left_out = scan_beside(self.root)
        scans = self._scan(folder)
        if (doubt := doubtful_classes(folder)) is not None:
            rank_zero_warn(printable(doubt))
        check_filled(scans, folder, least=1 + ("val" not in given) + ("test" not in given))
        generator = Generator().manual_seed(self.seed)
        train = _labelled(scans)
        drawn = {"test": (self.test_size, 1 if "val" in given else 2), "val": (self.val_size, 1)}
        parts = {}
        for name, (size, left) in drawn.items():
            if name in given:
                parts[name] = _given(given[name], self._scan(given[name]))
            else:
                train, parts[name] = _held_out(train, f"{name}_size", size, len(classes), left, generator)
        # The first so many, train_limit, should be of all classes.
        shuffled = torch.randperm(len(train.files), generator=generator)
        return SplitFiles(train.select(shuffled), **parts)

    def _scan(self, folder: Path) -> dict[str, Scan]:
        """Find each class's images, and count what is left out."""
        scans = scans_by_class(folder, self.class_names)
        if folder != self.root:
            self.left_out += scan_beside(folder)
        for found in scans.values():
            self.left_out += found.left_out
        return scans


def _given(folder: Path, scans: Mapping[str, Scan]) -> LabelledFiles:
    missing = [name for name, found in scans.items() if not found.images]
    if len(missing) == len(scans):
        raise DataError(f"{folder} holds no images in folders named as the classes: fill it or remove it")
    if missing:
        rank_zero_warn(
            printable(
                f"{folder} holds no images of {len(missing)} of {len(scans)} classes ({', '.join(missing[:5])}): "
            )
            + "what is measured there does not cover them"
        )
    return _labelled(scans)


def _labelled(scans: Mapping[str, Scan]) -> LabelledFiles:
    files = [file for found in scans.values() for file in found.images]
    sizes = torch.tensor([len(found.images) for found in scans.values()])
    return LabelledFiles(files, torch.arange(len(scans)).repeat_interleave(sizes))


def _held_out(
    images: LabelledFiles, name: str, size: int | float, classes: int, left: int, generator: Generator
) -> tuple[LabelledFiles, LabelledFiles]:
    available = len(images.labels)
    count = count_of(name, size, available)
    if not classes <= count <= available - left * classes:
        raise ValueError(
            f"{name} must leave images of all {classes} classes to every split: from {classes} to "
            f"{available - left * classes} of {available} images, got {size}, which is {count}"
        )
    rest, drawn = draw_stratified(images.labels, count, left, generator)
    return images.select(rest), images.select(drawn)
