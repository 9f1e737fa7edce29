"""ISIC 2020 on disk: labels matched with images, and splits that part no patient."""

import csv
import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dropout_lab.datamodules.errors import DatasetCorruptError, TermsNotAcceptedError
from dropout_lab.datamodules.sampling import Indices
from dropout_lab.datamodules.splits import join_groups, split_groups

NAME = "ISIC 2020"
FOLDER = "isic2020"
CLASSES = ("benign", "malignant")
LABELS = ("train.csv", "ISIC_2020_Training_GroundTruth_v2.csv", "ISIC_2020_Training_GroundTruth.csv")
"""Label files as published, Kaggle's and the archive's two: the first that is there is read."""
IMAGES = ("train", "jpeg/train", "ISIC_2020_Training_JPEG/train")
"""Folders of images as published: the first that is there is read."""
DUPLICATES = "ISIC_2020_Training_Duplicates.csv"
REQUIRED = ("image_name", "patient_id", "target")
TARGETS = {"0": 0, "1": 1, "0.0": 0, "1.0": 1}
ENDINGS = {".jpg", ".jpeg", ".png"}
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
    files = _image_files(image_folder)
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
    )


def _sorted_images(folder: Path) -> LabelledImages:
    parts = [_image_files(folder / name) for name in CLASSES]
    for name, part in zip(CLASSES, parts, strict=True):
        if not part:
            raise DatasetCorruptError(folder / name, "holds no image", "Put this class's images there")
    if both := sorted(parts[0].keys() & parts[1].keys()):
        problem = f"is in {CLASSES[0]}/ too, {len(both)} such"
        raise DatasetCorruptError(parts[1][both[0]], problem, "Keep one of each")
    cases = [Case(image, target) for target, part in enumerate(parts) for image in part]
    return LabelledImages(cases, [*parts[0].values(), *parts[1].values()], [], [], [], patients=False)


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


def read_cases(file: Path) -> list[Case]:
    """Read a label file, Kaggle's ``train.csv`` or the archive's ``ISIC_2020_Training_GroundTruth_v2.csv``.

    They differ in line ends, in ages (``45.0``, ``45``) and in a column ``lesion_id``. ``age_approx``, ``sex``,
    ``anatom_site_general_challenge`` and ``benign_malignant`` may be missing as columns or be empty in rows. What else
    cannot be right raises DatasetCorruptError.
    """
    cases: list[Case] = []
    lines: dict[str, int] = {}
    for line, row in _rows(file, REQUIRED):
        case = _case(row, file, line)
        if case.image in lines:
            raise _wrong(file, line, f"image_name {case.image!r} is on line {lines[case.image]} already")
        lines[case.image] = line
        cases.append(case)
    if not cases:
        raise _wrong(file, None, "has no rows")
    return cases


def read_duplicates(file: Path) -> list[tuple[str, str]]:
    """Read the archive's pairs of images that show the same, ``ISIC_2020_Training_Duplicates.csv``."""
    columns = ("image_name_1", "image_name_2")
    return [(row[columns[0]], row[columns[1]]) for _, row in _rows(file, columns)]


def _case(row: dict[str, str], file: Path, line: int) -> Case:
    for name in REQUIRED:
        if not row[name]:
            raise _wrong(file, line, f"{name} is empty")
    if row["target"] not in TARGETS:
        raise _wrong(file, line, f"target must be 0 (benign) or 1 (malignant), got {row['target']!r}")
    target = TARGETS[row["target"]]
    word = row.get("benign_malignant", "")
    if word not in ("", CLASSES[target]):
        raise _wrong(file, line, f"benign_malignant is {word!r}, but target is {target}, {CLASSES[target]}")
    years = row.get("age_approx", "")
    try:
        age = float(years) if years else None
    except ValueError:
        age = math.nan
    if age is not None and not 0 <= age < math.inf:
        raise _wrong(file, line, f"age_approx must be a number of years or empty, got {years!r}")
    site = row.get("anatom_site_general_challenge")
    return Case(row["image_name"], target, row["patient_id"], age, row.get("sex") or None, site or None)


def _rows(file: Path, required: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield each row's line number and its values by column, without the blanks around them."""
    content = file.read_bytes()
    try:
        # A spreadsheet puts a byte-order mark before the first column's name.
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise _wrong(file, line, f"is not UTF-8: byte {content[error.start]:#04x}") from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        if not header:
            raise _wrong(file, None, "is empty")
        absent = [name for name in required if name not in header]
        if absent:
            remedy = "Name another file of training labels with the option labels"
            raise _wrong(file, 1, f"no column {', '.join(absent)}; there are {', '.join(header)}", remedy)
        for values in filter(None, reader):
            if len(values) != len(header):
                raise _wrong(
                    file, reader.line_num, f"{len(values)} values, where the header has {len(header)}"
                )
            yield reader.line_num, dict(zip(header, map(str.strip, values), strict=True))
    except csv.Error as error:
        raise _wrong(file, reader.line_num, f"is no CSV: {error}") from error


def _wrong(
    file: Path, line: int | None, problem: str, remedy: str = "Mend it, or fetch the file again"
) -> DatasetCorruptError:
    return DatasetCorruptError(file if line is None else f"{file}, line {line}", problem, remedy)
