"""ISIC 2020 on disk: labels matched with images, and splits that part no patient."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dropout_lab.datamodules.errors import DatasetCorruptError, TermsNotAcceptedError
from dropout_lab.datamodules.folders import scan
from dropout_lab.datamodules.formats import EXTENSIONS
from dropout_lab.datamodules.sampling import Indices
from dropout_lab.datamodules.splits import join_groups, split_groups
from dropout_lab.datamodules.tables import read_rows, wrong

NAME = "ISIC 2020"
FOLDER = "isic2020"
CLASSES = ("benign", "malignant")
LABELS = ("train.csv", "ISIC_2020_Training_GroundTruth_v2.csv", "ISIC_2020_Training_GroundTruth.csv")
"""Label files as published, Kaggle's and the archive's two: the first that is there is read."""
IMAGES = ("train", "jpeg/train", "ISIC_2020_Training_JPEG/train")
"""Folders of images as published: the first that is there is read."""
DUPLICATES = "ISIC_2020_Training_Duplicates.csv"
REQUIRED = ("image_name", "patient_id", "target")
OPTIONAL = ("age_approx", "sex", "anatom_site_general_challenge", "benign_malignant")
_HOW_TO_FETCH = (
    f"accept the terms at https://challenge2020.isic-archive.com, fetch the training JPEGs (23 GB), the ground truth "
    f"v2 and the list of duplicates, and put them into {FOLDER}/{IMAGES[0]}/, {FOLDER}/{LABELS[1]} and "
    f"{FOLDER}/{DUPLICATES} there"
)


class Case(NamedTuple):
    """A row of a label file; None where the file says nothing."""

    image: str
    """Name of the image file without its ending."""
    target: int
    """0 benign, 1 malignant."""
    patient: str | None = None
    age: float | None = None
    """Years, to the nearest 5."""
    sex: str | None = None
    site: str | None = None
    """Part of the body."""


class Metadata(NamedTuple):
    """What is known of the samples of a split, a column each, in the samples' order; None where unknown."""

    image: tuple[str, ...]
    patient: tuple[str | None, ...]
    age: tuple[float | None, ...]
    sex: tuple[str | None, ...]
    site: tuple[str | None, ...]

    @classmethod
    def of(cls, cases: Sequence[Case]) -> "Metadata":
        return cls(*(tuple(getattr(case, name) for case in cases) for name in cls._fields))


@dataclass(frozen=True)
class LabelledImages:
    """Images with their labels, in the order of the labels."""

    cases: list[Case]
    """A row of the label file for each image."""
    files: list[Path]
    duplicates: list[tuple[int, int]]
    """Pairs of indices of images that show the same."""
    missing: list[Case]
    """Rows of the label file whose image is not there."""
    unlabelled: list[Path]
    """Image files that the label file does not know."""
    left_out: Counter[str]
    """What else lies among the images, by ending, and clutter by its pattern."""
    patients: bool = True
    """Whether it is known which images are of one patient."""

    @property
    def targets(self) -> Indices:
        """The labels, ``(N,)``."""
        return np.array([case.target for case in self.cases], dtype=np.int64)

    def select(self, indices: Sequence[int]) -> "LabelledImages":
        """Return some of the images; pairs of which one is left out are left out."""
        new = {old: number for number, old in enumerate(indices)}
        return replace(
            self,
            cases=[self.cases[index] for index in indices],
            files=[self.files[index] for index in indices],
            duplicates=[(new[one], new[two]) for one, two in self.duplicates if one in new and two in new],
        )

    def split(self, shares: Sequence[float], seed: int) -> list[Indices]:
        """Split into parts of about the given shares, each as malignant as the whole.

        Images of one patient, and duplicates, stay together. Where patients are not known each image is taken
        for a patient.
        """
        patients = [case.patient or case.image for case in self.cases]
        return split_groups(join_groups(patients, self.duplicates), self.targets, shares, seed)


def not_found(missing: str, root: Path) -> TermsNotAcceptedError:
    """Return the error that says what to fetch and where to put it."""
    return TermsNotAcceptedError(NAME, missing, root, _HOW_TO_FETCH)


def find_images(root: Path, labels: str | None, images: str | None) -> LabelledImages:
    """Find ISIC 2020 in ``root/isic2020``, or in ``root`` itself; raise DataError if that cannot be.

    Without names the first known label file and folder of images are taken, or where there is no such file, a folder
    sorted into ``benign/`` and ``malignant/``.
    """
    folder = root / FOLDER if (root / FOLDER).is_dir() else root
    label_names = LABELS if labels is None else (labels,)
    image_names = IMAGES if images is None else (images,)
    label_file = next((folder / name for name in label_names if (folder / name).is_file()), None)
    image_folder = next((folder / name for name in image_names if (folder / name).is_dir()), None)
    if label_file is None and labels is None and all((folder / name).is_dir() for name in CLASSES):
        return _sorted_images(folder)
    if label_file is None:
        raise not_found(f"{FOLDER}/{' or '.join(label_names)}", root)
    if image_folder is None:
        raise not_found(f"folder {FOLDER}/{' or '.join(image_names)}", root)
    return _matched(label_file, image_folder, folder / DUPLICATES)


def _matched(label_file: Path, image_folder: Path, duplicates_file: Path) -> LabelledImages:
    files, left_out = _image_files(image_folder)
    rows = read_cases(label_file)
    cases = [case for case in rows if case.image in files]
    if not cases:
        problem = f"none of its {len(rows)} images is in {image_folder}"
        raise DatasetCorruptError(label_file, problem, "Name the folder with the option images")
    number = {case.image: index for index, case in enumerate(cases)}
    pairs = read_duplicates(duplicates_file) if duplicates_file.is_file() else []
    return LabelledImages(
        cases,
        [files[case.image] for case in cases],
        [(number[one], number[two]) for one, two in pairs if one in number and two in number],
        missing=[case for case in rows if case.image not in files],
        unlabelled=[file for name, file in files.items() if name not in number],
        left_out=left_out,
    )


def _sorted_images(folder: Path) -> LabelledImages:
    parts, left_out = zip(*(_image_files(folder / name) for name in CLASSES), strict=True)
    for name, part in zip(CLASSES, parts, strict=True):
        if not part:
            raise DatasetCorruptError(folder / name, "holds no image", "Put this class's images there")
    if both := sorted(parts[0].keys() & parts[1].keys()):
        problem = f"is in {CLASSES[0]}/ too, {len(both)} such"
        raise DatasetCorruptError(parts[1][both[0]], problem, "Keep one of each")
    cases = [Case(image, target) for target, part in enumerate(parts) for image in part]
    files = [*parts[0].values(), *parts[1].values()]
    return LabelledImages(cases, files, [], [], [], left_out[0] + left_out[1], patients=False)


def _image_files(folder: Path) -> tuple[dict[str, Path], Counter[str]]:
    """Return a folder's images by name without ending, sorted, and what else there is."""
    found: dict[str, Path] = {}
    images, left_out = scan(folder, deep=False)
    for file in images:
        if file.stem in found:
            problem = f"{found[file.stem].name} has the same name but for its ending"
            raise DatasetCorruptError(file, problem, "Keep one of them")
        found[file.stem] = file
    return found, left_out


def read_cases(file: Path) -> list[Case]:
    """Read a label file, Kaggle's ``train.csv`` or the archive's ``ISIC_2020_Training_GroundTruth_v2.csv``.

    They differ in line ends, in ages (``45.0``, ``45``) and in a column ``lesion_id``. ``age_approx``, ``sex``,
    ``anatom_site_general_challenge`` and ``benign_malignant`` may be missing as columns or be unknown in rows
    (:data:`dropout_lab.datamodules.tables.UNKNOWN`). What else cannot be right raises DatasetCorruptError, which names
    line and column.
    """
    cases: list[Case] = []
    lines: dict[str, int] = {}
    for line, row in read_rows(file, REQUIRED, OPTIONAL):
        case = _case(row, file, line)
        if case.image in lines:
            raise wrong(file, line, f"image_name {case.image!r} is on line {lines[case.image]} already")
        lines[case.image] = line
        cases.append(case)
    if not cases:
        raise wrong(file, None, "has no rows")
    return cases


def read_duplicates(file: Path) -> list[tuple[str, str]]:
    """Read the archive's pairs of images that show the same, ``ISIC_2020_Training_Duplicates.csv``."""
    columns = ("image_name_1", "image_name_2")
    return [(_stem(row[columns[0]]), _stem(row[columns[1]])) for _, row in read_rows(file, columns)]


def _case(row: dict[str, str], file: Path, line: int) -> Case:
    target = _number(row["target"])
    if target not in (0, 1):
        raise wrong(file, line, f"target must be 0 (benign) or 1 (malignant), got {row['target']!r}")
    word = row.get("benign_malignant", "")
    if word.lower() not in ("", CLASSES[int(target)]):
        meant = CLASSES[int(target)]
        raise wrong(file, line, f"benign_malignant is {word!r}, but target is {target:.0f}, {meant}")
    years = row.get("age_approx", "")
    age = _number(years) if years else None
    if age is not None and not 0 <= age < math.inf:
        raise wrong(file, line, f"age_approx must be a number of years or empty, got {years!r}")
    site = row.get("anatom_site_general_challenge")
    return Case(
        _stem(row["image_name"]), int(target), row["patient_id"], age, row.get("sex") or None, site or None
    )


def _stem(image: str) -> str:
    """Return the name of an image file without its ending; ``v1.2`` has none."""
    file = Path(image)
    return file.stem if file.suffix.lower() in EXTENSIONS else image


def _number(text: str) -> float:
    """Read a number with a decimal point or comma; nan for anything else."""
    try:
        return float(text.replace(",", "."))
    except ValueError:
        return math.nan
