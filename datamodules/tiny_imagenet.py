"""Tiny ImageNet-200 from its tree of JPEG files."""

import re
from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import final

import torch
from sklearn.model_selection import train_test_split

from dropout_lab.datamodules.augment import RandomFlip, RandomShift
from dropout_lab.datamodules.download import Archive, fetch_archive
from dropout_lab.datamodules.errors import DatasetCorruptError, DatasetNotFoundError
from dropout_lab.datamodules.folders import Scan, scan
from dropout_lab.datamodules.formats import ENDINGS
from dropout_lab.datamodules.image_files import DecodedDataModule, LabelledFiles, SplitFiles
from dropout_lab.datamodules.splits import count_of

NAME = "Tiny ImageNet"
FOLDER = Path("tiny-imagenet-200")
WNID = re.compile(r"n\d{8}")
ANNOTATION_FIELDS = 6
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


def read_wnids(root: Path) -> tuple[str, ...]:
    """Return the WordNet ids of the classes, by label: the order of ``wnids.txt``."""
    file = root / FOLDER / "wnids.txt"
    wnids = _lines(file, root)
    for number, wnid in enumerate(wnids, start=1):
        if WNID.fullmatch(wnid) is None:
            raise _corrupt(root, f"{file}:{number}", f"{wnid!r} is no WordNet id like n01443537")
        if (first := wnids.index(wnid) + 1) < number:
            raise _corrupt(root, f"{file}:{number}", f"{wnid} is there already, in line {first}")
    return tuple(wnids)


def read_names(root: Path, wnids: Sequence[str]) -> tuple[str, ...]:
    """Return the first synonym of each class in ``words.txt``; a class that is missing there keeps its WordNet id."""
    lines = _lines(root / FOLDER / "words.txt", root)
    synonyms = {wnid: words for wnid, _, words in (line.partition("\t") for line in lines)}
    return tuple(synonyms.get(wnid, wnid).partition(",")[0].strip() for wnid in wnids)


def train_files(root: Path, wnids: Sequence[str]) -> LabelledFiles:
    """List the training images, class by class."""
    folder = root / FOLDER / "train"
    files: list[Path] = []
    labels: list[int] = []
    for label, wnid in enumerate(wnids):
        images = folder / wnid / "images"
        here = _scan(images).images
        # One to train on, one to validate with.
        if len(here) < 2:
            where = f"{root / FOLDER / 'wnids.txt'}:{label + 1}"
            raise _corrupt(root, where, f"{images} holds {len(here)} JPEG files, and a class needs 2 or more")
        files += here
        labels += [label] * len(here)
    others = {path.name for path in folder.iterdir() if WNID.fullmatch(path.name)} - set(wnids)
    if others:
        raise _corrupt(root, folder / min(others), "this class is not in wnids.txt")
    return LabelledFiles(files, torch.tensor(labels))


def annotated_files(root: Path, wnids: Sequence[str]) -> LabelledFiles:
    """List the images of the official validation set in the order of ``val_annotations.txt``."""
    annotations, folder = root / FOLDER / "val" / "val_annotations.txt", root / FOLDER / "val" / "images"
    labels = {wnid: label for label, wnid in enumerate(wnids)}
    images = {path.name: path for path in _scan(folder).images}
    found: dict[str, int] = {}
    for number, line in enumerate(_lines(annotations, root), start=1):
        file, *rest = line.split("\t")
        problem = None
        if len(rest) != ANNOTATION_FIELDS - 1:
            problem = f"{line!r} is not a file, a WordNet id and four numbers, separated by tabs"
        elif rest[0] not in labels:
            problem = f"the class {rest[0]!r} is not in wnids.txt"
        elif file not in images:
            problem = f"there is no image {file!r} in {folder}"
        elif file in found:
            problem = f"{file} has a line already"
        if problem is not None:
            raise _corrupt(root, f"{annotations}:{number}", problem)
        found[file] = labels[rest[0]]
    if left := sorted(images.keys() - found.keys()):
        raise _corrupt(root, annotations, f"{len(left)} images have no line, {left[0]} for one")
    return LabelledFiles([images[file] for file in found], torch.tensor(list(found.values())))


def count_left_out(root: Path, wnids: Sequence[str]) -> Counter[str]:
    """Count what lies among the images of all classes, and is left out."""
    folders = [root / FOLDER / "train" / wnid / "images" for wnid in wnids]
    return sum((_scan(folder).left_out for folder in [*folders, root / FOLDER / "val" / "images"]), Counter())


def _scan(folder: Path) -> Scan:
    """Find a folder's images; a missing folder holds none."""
    return scan(folder, ENDINGS["JPEG"], deep=False) if folder.is_dir() else Scan([], Counter())


def _lines(file: Path, root: Path) -> list[str]:
    if not file.is_file():
        missing = file.relative_to(root)
        if not (root / FOLDER).exists():
            raise DatasetNotFoundError(NAME, missing, root)
        # A download never touches a folder that is there.
        remedy = f"delete {root / FOLDER} and fetch the official files with --data.download true"
        raise DatasetNotFoundError(NAME, missing, root, remedy)
    try:
        return file.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    except UnicodeDecodeError as error:
        raise _corrupt(root, file, f"no text in UTF-8 ({error})") from error


def _corrupt(root: Path, where: Path | str, problem: str) -> DatasetCorruptError:
    remedy = f"Mend it, or delete {root / FOLDER} and fetch it again, by hand or with --data.download true"
    return DatasetCorruptError(where, problem, remedy)


@final
class TinyImageNetDataModule(DecodedDataModule):
    """Photographs of 200 classes, 64×64, three channels: 100,000 to train on and 10,000 to test.

    The test split is the official validation set, since the official test set has no labels. Validation images are
    held out of the training images, the same share of each class, drawn by ``seed``; so is the order of the training
    images that ``train_limit`` counts.

    Labels are line numbers of ``wnids.txt``, which is not sorted: they differ from those that follow from sorted folder
    names. A tree of fewer classes, whose ``wnids.txt``, ``train/`` and ``val/`` agree, is as good.

    Files: ``root/tiny-imagenet-200/``, as published::

        wnids.txt                          the classes' WordNet ids
        words.txt                          WordNet id, synonyms
        train/<wnid>/images/*.JPEG
        val/images/*.JPEG
        val/val_annotations.txt            file, WordNet id, x0, y0, x1, y1, by tabs

    Some are grey (1,821 of the training images); these become RGB as all others.

    Source: Stanford CS231N, a reduced ImageNet (J. Deng et al., *ImageNet: A Large-Scale Hierarchical Image
    Database*, 2009); terms: non-commercial research and education.

    ``augment`` shifts training images by up to 4 pixels and mirrors half of them. The arguments are those of
    :class:`dropout_lab.datamodules.image_files.DecodedDataModule`.
    """

    augmentations = (RandomShift(4), RandomFlip())

    @cached_property
    def num_classes(self) -> int:  # type: ignore[override]
        """Lines of ``wnids.txt``; what is yet to be downloaded has 200.

        Every process builds the network before one of them fetches anything, so nothing is fetched here.
        """
        if self.download and not (self.root / FOLDER).exists():
            return OFFICIAL_CLASSES
        return len(read_wnids(self.root))

    @cached_property
    def class_names(self) -> tuple[str, ...]:  # type: ignore[override]
        return read_names(self.root, read_wnids(self.root))

    def fetch(self) -> None:
        fetch_archive(OFFICIAL, self.root)

    def find(self) -> SplitFiles:
        wnids = read_wnids(self.root)
        # A words.txt that is missing is found now, not when a figure first wants names.
        read_names(self.root, wnids)
        images = train_files(self.root, wnids)
        self.left_out = count_left_out(self.root, wnids)
        count = count_of("val_size", self.val_size, len(images.files))
        if min(count, len(images.files) - count) < len(wnids):
            raise ValueError(
                f"val_size must leave {len(wnids)} images or more, one of each class, on both sides: "
                f"{self.val_size} of {len(images.files)} images is {count}"
            )
        train, val = train_test_split(
            range(len(images.files)), test_size=count, random_state=self.seed, stratify=images.labels.numpy()
        )
        train, val = (images.select(torch.tensor(part)) for part in (train, val))
        return SplitFiles(train, val, annotated_files(self.root, wnids))
