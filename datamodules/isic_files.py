"""ISIC 2020 on disk: labels matched with images, and splits that part no patient."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from datamodules.errors import DatasetCorruptError, LabelFileError, TermsNotAcceptedError
from datamodules.group_split import Indices, joined_groups, split_groups
from datamodules.isic_labels import CLASSES, Case, read_cases, read_duplicates

NAME = "ISIC 2020"
FOLDER = "isic2020"
LABELS = ("train.csv", "ISIC_2020_Training_GroundTruth_v2.csv", "ISIC_2020_Training_GroundTruth.csv")
"""Label files as published, the first that is there is read: Kaggle's, and the archive's two."""
IMAGES = ("train", "jpeg/train", "ISIC_2020_Training_JPEG/train")
"""Folders of images as published: the first that is there is read."""
DUPLICATES = "ISIC_2020_Training_Duplicates.csv"
ENDINGS = {".jpg", ".jpeg", ".png"}
HOW_TO_FETCH = (
    f"accept the terms at https://challenge2020.isic-archive.com, fetch the training JPEGs (23 GB), the ground truth "
    f"v2 and the list of duplicates, and put them into {FOLDER}/{IMAGES[0]}/, {FOLDER}/{LABELS[1]} and "
    f"{FOLDER}/{DUPLICATES} there"
)


@dataclass(frozen=True)
class LabelledImages:
    """Images with their labels, in the order of the labels.

    Attributes:
        cases: a row of the label file for each image.
        files: their files.
        duplicates: pairs of indices of images that show the same.
        missing: rows of the label file whose image is not there.
        unlabelled: image files that the label file does not know.
        patients: whether it is known which images are of one patient.
    """

    cases: list[Case]
    files: list[Path]
    duplicates: list[tuple[int, int]]
    missing: list[Case]
    unlabelled: list[Path]
    patients: bool = True

    @property
    def targets(self) -> Indices:
        """The labels, ``(N,)``."""
        return np.array([case.target for case in self.cases], dtype=np.int64)

    def select(self, indices: Sequence[int]) -> "LabelledImages":
        """Return some of the images; pairs of which one is left out are left out."""
        new = {old: number for number, old in enumerate(indices)}
        pairs = [(new[one], new[two]) for one, two in self.duplicates if one in new and two in new]
        return LabelledImages(
            [self.cases[index] for index in indices],
            [self.files[index] for index in indices],
            pairs,
            self.missing,
            self.unlabelled,
            self.patients,
        )

    def split(self, shares: Sequence[float], seed: int) -> list[Indices]:
        """Split into parts of about the given shares, each as malignant as the whole.

        Images of one patient, and duplicates, stay together. Where patients are not known each image is taken
        for a patient.
        """
        patients = [case.patient or case.image for case in self.cases]
        return split_groups(joined_groups(patients, self.duplicates), self.targets, shares, seed)


def find_images(root: Path, labels: str | None, images: str | None) -> LabelledImages:
    """Find ISIC 2020 in ``root/isic2020``, or in ``root`` itself.

    Args:
        root: where to look.
        labels: the label file; None takes the first known one, or where there is none, a folder sorted into
            ``benign/`` and ``malignant/``.
        images: the folder of images; None takes the first known one.

    Raises:
        TermsNotAcceptedError: there are no labels or no images.
        DataError: the label file cannot be used, or no image has a label.
    """
    folder = root / FOLDER if (root / FOLDER).is_dir() else root
    known = [folder / name for name in LABELS if (folder / name).is_file()]
    if labels is None and not known and all((folder / name).is_dir() for name in CLASSES):
        return _sorted_images(folder)
    label_file = known[0] if labels is None and known else folder / (labels or LABELS[1])
    if not label_file.is_file():
        looked = " or ".join(LABELS) if labels is None else labels
        raise TermsNotAcceptedError(NAME, f"{FOLDER}/{looked}", root, HOW_TO_FETCH)
    folders = [folder / name for name in (IMAGES if images is None else (images,))]
    image_folder = next((each for each in folders if each.is_dir()), None)
    if image_folder is None:
        looked = " or ".join(IMAGES) if images is None else images
        raise TermsNotAcceptedError(NAME, f"folder {FOLDER}/{looked}", root, HOW_TO_FETCH)
    return _matched(label_file, image_folder, folder / DUPLICATES)


def _matched(label_file: Path, image_folder: Path, duplicates_file: Path) -> LabelledImages:
    by_name = _image_files(image_folder)
    cases: list[Case] = []
    missing: list[Case] = []
    for case in read_cases(label_file):
        (cases if case.image in by_name else missing).append(case)
    if not cases:
        raise LabelFileError(
            label_file,
            None,
            f"none of its {len(missing)} images is in {image_folder}",
            "Name the folder with the option images",
        )
    number = {case.image: index for index, case in enumerate(cases)}
    pairs = read_duplicates(duplicates_file) if duplicates_file.is_file() else []
    return LabelledImages(
        cases,
        [by_name[case.image] for case in cases],
        [(number[one], number[two]) for one, two in pairs if one in number and two in number],
        missing,
        [file for name, file in by_name.items() if name not in number],
    )


def _sorted_images(folder: Path) -> LabelledImages:
    cases: list[Case] = []
    files: list[Path] = []
    for target, name in enumerate(CLASSES):
        found = _image_files(folder / name)
        if not found:
            raise DatasetCorruptError(folder / name, "holds no image", "Put this class's images there")
        known = {case.image for case in cases}
        if both := sorted(known & found.keys()):
            raise DatasetCorruptError(
                found[both[0]], f"is in {CLASSES[0]}/ too, {len(both)} such", "Keep one of each"
            )
        cases += [Case(image, target) for image in found]
        files += found.values()
    return LabelledImages(cases, files, [], [], [], patients=False)


def _image_files(folder: Path) -> dict[str, Path]:
    """Return a folder's images by name without ending, sorted."""
    found: dict[str, Path] = {}
    for file in sorted(folder.iterdir()):
        # Names with a dot in front are what a Mac adds to an archive.
        if file.suffix.lower() not in ENDINGS or file.name.startswith("."):
            continue
        if file.stem in found:
            problem = f"{found[file.stem].name} has the same name but for its ending"
            raise DatasetCorruptError(file, problem, "Keep one of them")
        found[file.stem] = file
    return found
