"""Tiny ImageNet-200 from its tree of JPEG files."""

from functools import cached_property
from typing import final

import torch
from sklearn.model_selection import train_test_split

from datamodules.augment import RandomFlip, RandomShift
from datamodules.cache import Unreadable
from datamodules.decoded import DecodedDataModule, SplitFiles
from datamodules.download import Archive, fetch_archive
from datamodules.normalize import NormalizationName
from datamodules.sizes import count_of
from datamodules.tiny_imagenet_tree import FOLDER, NAME, annotated_files, read_names, read_wnids, train_files

OFFICIAL_CLASSES = 200
OFFICIAL = Archive(
    dataset=NAME,
    url="http://cs231n.stanford.edu/tiny-imagenet-200.zip",
    size=248_100_043,
    sha256="6198c8ae015e2b3e007c7841da39ec069199b9aa3bfa943a462022fe5e43c821",
    folder=FOLDER.name,
    most_members=121_000,
    most_bytes=500_000_000,
)
"""It has 120,609 members. The address is plain HTTP: what vouches for the content is the checksum."""


@final
class TinyImageNetDataModule(DecodedDataModule):
    """Photographs of 200 classes, 64×64, three channels: 100,000 to train on and 10,000 to test.

    The test split is the official validation set, since the official test set has no labels. Validation images are
    held out of the training images, the same share of each class, drawn by ``seed``; so is the order of the training
    images that ``train_limit`` counts.

    Labels are line numbers of ``wnids.txt``, which is not sorted: they differ from those that follow from sorted folder
    names. Names are the first synonym in ``words.txt``; a class that is missing there is named by its WordNet id.
    A tree of fewer classes, whose ``wnids.txt``, ``train/`` and ``val/`` agree, is as good.

    Files: ``root/tiny-imagenet-200/``, as published::

        wnids.txt                          the classes' WordNet ids
        words.txt                          WordNet id, synonyms
        train/<wnid>/images/*.JPEG
        val/images/*.JPEG
        val/val_annotations.txt            file, WordNet id, x0, y0, x1, y1, by tabs

    Some are grey (1,821 of the training images); these become RGB as all others.

    Source: Stanford CS231N, a reduced ImageNet (J. Deng et al., *ImageNet: A Large-Scale Hierarchical Image
    Database*, 2009); terms: non-commercial research and education.

    Args:
        root: folder that holds ``tiny-imagenet-200/``.
        batch_size: images a batch.
        val_size: validation images, a number or a share of the training images.
        train_limit: use the first so many training images only.
        image_size: decode to so many pixels square; 64 is their own size.
        normalize: ``"standard"``, ``"mean-255"``, ``"mean-image"`` or ``"none"``.
        augment: shift training images by up to 4 pixels and mirror half of them.
        seed: of the split and of the order of training images.
        download: fetch the official archive (248 MB) if there is no ``tiny-imagenet-200/``.
        num_workers: processes that prepare batches.
        device: keep the images there: None in the machine's memory, ``"cuda"`` on the GPU that the trainer computes
            on, ``"auto"`` there too if there is one and they fit.
        cache: folder of decoded images; None: ``$DROPOUT_LAB_CACHE``, or else ``~/.cache/dropout-lab``.
        unreadable: ``"error"`` or ``"skip"``, what to do with files that cannot be decoded.

    Raises:
        ValueError: an argument is out of range.
    """

    augmentations = (RandomShift(4), RandomFlip())

    def __init__(
        self,
        root: str = "data",
        batch_size: int = 100,
        val_size: int | float = 0.1,
        train_limit: int | None = None,
        image_size: int = 64,
        normalize: NormalizationName = "standard",
        augment: bool = False,
        seed: int = 0,
        download: bool = False,
        num_workers: int = 0,
        device: str | None = None,
        cache: str | None = None,
        unreadable: Unreadable = "error",
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
            cache,
            unreadable,
        )

    @cached_property
    def num_classes(self) -> int:  # type: ignore[override]
        """Lines of ``wnids.txt``; what is yet to be downloaded has 200.

        Every process builds the network before one of them fetches anything, so nothing is fetched here.

        Raises:
            DataError: there is no usable ``wnids.txt``, and it is not to be downloaded.
        """
        if self.download and not (self.root / FOLDER).exists():
            return OFFICIAL_CLASSES
        return len(read_wnids(self.root))

    @cached_property
    def class_names(self) -> tuple[str, ...]:  # type: ignore[override]
        """First synonyms, by label.

        Raises:
            DataError: ``wnids.txt`` or ``words.txt`` is missing or cannot be used.
        """
        return read_names(self.root, read_wnids(self.root))

    def fetch(self) -> None:
        """Download the official archive, 248 MB, and unpack it."""
        fetch_archive(OFFICIAL, self.root)

    def find(self) -> SplitFiles:
        """List the images of each split."""
        wnids = read_wnids(self.root)
        # A words.txt that is missing is found now, not when a figure first wants names.
        read_names(self.root, wnids)
        images = train_files(self.root, wnids)
        count = count_of("val_size", self.val_size, len(images.files))
        if min(count, len(images.files) - count) < len(wnids):
            raise ValueError(
                f"val_size must leave {len(wnids)} images or more, one of each class, on both sides: "
                f"{self.val_size} of {len(images.files)} images is {count}"
            )
        train, val = train_test_split(
            range(len(images.files)), test_size=count, random_state=self.seed, stratify=images.labels.numpy()
        )
        return SplitFiles(
            images.select(torch.tensor(train)),
            images.select(torch.tensor(val)),
            annotated_files(self.root, wnids),
        )
