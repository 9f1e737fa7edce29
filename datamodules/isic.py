"""ISIC 2020: photographs of skin, benign or malignant; no patient in two splits."""

import logging
from typing import Any, Literal, final

import torch
from pytorch_lightning.utilities import rank_zero_only, rank_zero_warn
from torch.utils.data import Sampler

from dropout_lab.datamodules import isic_files
from dropout_lab.datamodules.augment import RandomFlip
from dropout_lab.datamodules.image_files import DecodedDataModule, LabelledFiles, SplitFiles
from dropout_lab.datamodules.sampling import BalancedSampler
from dropout_lab.datamodules.splits import check_bounds, check_size, stratified_sample


@final
class ISICDataModule(DecodedDataModule):
    """Dermoscopic photographs, benign or malignant, of 33,126 lesions of 2,056 patients; 1.76 % are malignant.

    No patient is in two splits, nor are duplicates, and each split is as malignant as the whole. With so few malignant
    ones accuracy says nothing: 98.24 % is always answering benign. Look at ``auroc``, ``ap`` and
    ``balanced_accuracy``.

    Files: ``root/isic2020/``, as published by the archive or by Kaggle. A label file (``train.csv``,
    ``ISIC_2020_Training_GroundTruth_v2.csv``), a folder of images (``train/``, ``jpeg/train/``), and if it is there
    ``ISIC_2020_Training_Duplicates.csv``. The label file may be as a spreadsheet saves it: separated by commas,
    semicolons or tabs, in UTF-8 or UTF-16, with decimal commas, blank rows, and words like ``NaN`` where nothing is
    known. Rows without an image, and images without a row, are reported and left out.
    Or images sorted into ``benign/`` and ``malignant/`` and no label file; who is whose patient is not known then.

    Source: V. Rotemberg et al., *A patient-centric dataset of images and metadata for identifying melanomas using
    clinical context*, Scientific Data 8:34, 2021. Lerner (Drop-in) took 5,000 images for her baseline and does not say
    which: ``limit=5000`` draws them at random, each class at its share.

    ``augment`` mirrors training images left to right and upside down, each half of the time: skin has no up.

    Args:
        root: folder that holds ``isic2020/``, or that folder itself.
        val_size: validation images, about so many or about this share of all.
        test_size: test images, likewise.
        limit: use at most so many images, drawn at random by ``seed``, each class at its share; None uses all.
        labels: name of the label file; null takes the first that is known.
        images: name of the folder of images; null takes the first that is known.
        balance: ``"sampler"`` draws training images with replacement so that both classes are as frequent;
            ``"none"`` takes each once an epoch. To weigh the loss instead: ``model.class_weights="balanced"``.
        image_size: decode to so many pixels square.
        common: the arguments of :class:`dropout_lab.datamodules.image_files.DecodedDataModule`.
    """

    num_classes = 2
    class_names = isic_files.CLASSES
    augmentations = (RandomFlip(vertical=True),)

    def __init__(
        self,
        root: str = "data",
        *,
        val_size: int | float = 0.1,
        test_size: int | float = 0.2,
        limit: int | None = None,
        labels: str | None = None,
        images: str | None = None,
        balance: Literal["none", "sampler"] = "none",
        image_size: int = 128,
        **common: Any,
    ) -> None:
        super().__init__(root, val_size=val_size, image_size=image_size, **common)
        check_size("test_size", test_size)
        check_bounds("limit", limit, 3)
        if balance not in ("none", "sampler"):
            raise ValueError(f"balance must be 'none' or 'sampler', got {balance!r}")
        self.test_size = test_size
        self.limit = limit
        self.labels = labels
        self.images = images
        self.balance = balance
        self._cases: dict[str, isic_files.Case] = {}

    @property
    def metadata(self) -> tuple[isic_files.Metadata, isic_files.Metadata, isic_files.Metadata]:
        """What is known of the samples of each split: patient, age, sex, site."""
        splits = ([self._cases[file.stem] for file in files] for files in self.sample_files)
        train, val, test = map(isic_files.Metadata.of, splits)
        return train, val, test

    def fetch(self) -> None:
        # Its owner wants the terms accepted, so that it is fetched by hand.
        if not (self.root / isic_files.FOLDER).is_dir():
            raise isic_files.not_found(isic_files.FOLDER, self.root)

    def find(self) -> SplitFiles:
        found = isic_files.find_images(self.root, self.labels, self.images)
        _report(found)
        self.left_out = found.left_out
        if self.limit is not None and self.limit < len(found.cases):
            found = found.select(stratified_sample(found.targets, self.limit, self.seed).tolist())
        self._cases = {case.image: case for case in found.cases}
        targets, files = torch.from_numpy(found.targets), found.files
        parts = found.split(split_shares(len(files), self.val_size, self.test_size), self.seed)
        train, val, test = (LabelledFiles([files[index] for index in part], targets[part]) for part in parts)
        for name, part in (("val_size", val), ("test_size", test), ("val_size and test_size", train)):
            if not part.files:
                raise ValueError(
                    f"{name} must leave whole patients in each split of these {len(files)} images"
                )
        for name, part in (("training", train), ("validation", val), ("test", test)):
            absent = [word for label, word in enumerate(isic_files.CLASSES) if label not in part.labels]
            if absent:
                rank_zero_warn(
                    f"there is no {absent[0]} image among the {len(part.files)} {name} images: what tells two "
                    "classes apart, as auroc, is nan there. Use more images, or another seed"
                )
        return SplitFiles(train, val, test)

    def train_sampler(self) -> Sampler[int] | None:
        return BalancedSampler(self.splits.train.labels, self.seed) if self.balance == "sampler" else None


def split_shares(images: int, val_size: int | float, test_size: int | float) -> tuple[float, float, float]:
    """Return the shares of train, val and test; raise ValueError if nothing is left to train on."""
    val, test = (size if isinstance(size, float) else size / images for size in (val_size, test_size))
    if val + test >= 1:
        raise ValueError(
            f"val_size and test_size must leave images to train on, got {val_size} and {test_size} of {images} images"
        )
    return 1 - val - test, val, test


@rank_zero_only
def _report(found: isic_files.LabelledImages) -> None:
    log, name = logging.getLogger(__name__), isic_files.NAME
    used, missing, unlabelled = (f"{len(each):,}" for each in (found.cases, found.missing, found.unlabelled))
    if found.missing or found.unlabelled:
        log.warning(
            f"{name}: {used} labelled images; left out are {missing} labels without an image and {unlabelled} images "
            "without a label"
        )
    if not found.patients:
        log.warning(
            f"{name}: {used} images in class folders; without a label file patients may be in two splits"
        )
