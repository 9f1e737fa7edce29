"""ISIC 2020's label files: read, checked line by line."""

import csv
import io
import math
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from datamodules.errors import LabelFileError

CLASSES = ("benign", "malignant")
REQUIRED = ("image_name", "patient_id", "target")
TARGETS = {"0": 0, "1": 1, "0.0": 0, "1.0": 1}


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


def metadata_of(cases: list[Case]) -> Metadata:
    """Turn rows into columns."""
    return Metadata(
        tuple(case.image for case in cases),
        tuple(case.patient for case in cases),
        tuple(case.age for case in cases),
        tuple(case.sex for case in cases),
        tuple(case.site for case in cases),
    )


def read_cases(file: Path) -> list[Case]:
    """Read a label file, Kaggle's ``train.csv`` or the archive's ``ISIC_2020_Training_GroundTruth_v2.csv``.

    They differ in line ends, in ages (``45.0``, ``45``) and in a column ``lesion_id``. ``age_approx``, ``sex``,
    ``anatom_site_general_challenge`` and ``benign_malignant`` may be missing as columns or be empty in rows.

    Raises:
        LabelFileError: the file is no such file, is empty, or a row cannot be right.
    """
    cases: list[Case] = []
    lines: dict[str, int] = {}
    for line, row in _rows(file, REQUIRED):
        case = _case(row, file, line)
        if case.image in lines:
            raise LabelFileError(
                file, line, f"image_name {case.image!r} is on line {lines[case.image]} already"
            )
        lines[case.image] = line
        cases.append(case)
    if not cases:
        raise LabelFileError(file, None, "has no rows")
    return cases


def read_duplicates(file: Path) -> list[tuple[str, str]]:
    """Read the archive's pairs of images that show the same, ``ISIC_2020_Training_Duplicates.csv``.

    Raises:
        LabelFileError: the file is no such file.
    """
    columns = ("image_name_1", "image_name_2")
    return [(row[columns[0]], row[columns[1]]) for _, row in _rows(file, columns)]


def _case(row: dict[str, str], file: Path, line: int) -> Case:
    for name in REQUIRED:
        if not row[name]:
            raise LabelFileError(file, line, f"{name} is empty")
    if row["target"] not in TARGETS:
        raise LabelFileError(file, line, f"target must be 0 (benign) or 1 (malignant), got {row['target']!r}")
    target = TARGETS[row["target"]]
    word = row.get("benign_malignant", "")
    if word not in ("", CLASSES[target]):
        raise LabelFileError(
            file, line, f"benign_malignant is {word!r}, but target is {target}, {CLASSES[target]}"
        )
    return Case(
        row["image_name"],
        target,
        row["patient_id"],
        _age(row.get("age_approx", ""), file, line),
        row.get("sex") or None,
        row.get("anatom_site_general_challenge") or None,
    )


def _age(text: str, file: Path, line: int) -> float | None:
    if not text:
        return None
    try:
        age = float(text)
    except ValueError:
        age = math.nan
    if not 0 <= age < math.inf:
        raise LabelFileError(file, line, f"age_approx must be a number of years or empty, got {text!r}")
    return age


def _rows(file: Path, required: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield each row's line number and its values by column, without the blanks around them."""
    content = file.read_bytes()
    try:
        # A spreadsheet puts a byte-order mark before the first column's name.
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise LabelFileError(file, line, f"is not UTF-8: byte {content[error.start]:#04x}") from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        if not header:
            raise LabelFileError(file, None, "is empty")
        absent = [name for name in required if name not in header]
        if absent:
            problem = f"no column {', '.join(absent)}; there are {', '.join(header)}"
            raise LabelFileError(
                file, 1, problem, "Name another file of training labels with the option labels"
            )
        for values in reader:
            if not values:
                continue
            if len(values) != len(header):
                raise LabelFileError(
                    file, reader.line_num, f"{len(values)} values, where the header has {len(header)}"
                )
            yield reader.line_num, dict(zip(header, map(str.strip, values), strict=True))
    except csv.Error as error:
        raise LabelFileError(file, reader.line_num, f"is no CSV: {error}") from error
