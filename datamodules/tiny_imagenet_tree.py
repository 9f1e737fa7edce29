"""The files of Tiny ImageNet's tree: classes, names, images, annotations, each checked against the others.

Every function takes the folder that holds ``tiny-imagenet-200/`` and raises :class:`datamodules.errors.DataError` with
the file and the line that cannot be used.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import torch

from datamodules.decoded import LabelledFiles
from datamodules.errors import DatasetCorruptError, DatasetNotFoundError

NAME = "Tiny ImageNet"
FOLDER = Path("tiny-imagenet-200")
WNID = re.compile(r"n\d{8}")
ANNOTATION_FIELDS = 6


def read_wnids(root: Path) -> tuple[str, ...]:
    """Return the WordNet ids of the classes, by label: the order of ``wnids.txt``."""
    file = root / FOLDER / "wnids.txt"
    wnids: list[str] = []
    for number, wnid in enumerate(_lines(file, root), start=1):
        if WNID.fullmatch(wnid) is None:
            raise _corrupt(root, f"{file}:{number}", f"{wnid!r} is no WordNet id like n01443537")
        if wnid in wnids:
            raise _corrupt(
                root, f"{file}:{number}", f"{wnid} is there already, in line {wnids.index(wnid) + 1}"
            )
        wnids.append(wnid)
    return tuple(wnids)


def read_names(root: Path, wnids: Sequence[str]) -> tuple[str, ...]:
    """Return the first synonym of each class in ``words.txt``; a class that is missing there keeps its WordNet id."""
    wanted = set(wnids)
    lines = (line.partition("\t") for line in _lines(root / FOLDER / "words.txt", root))
    synonyms = {wnid: words for wnid, _, words in lines if wnid in wanted}
    return tuple(synonyms.get(wnid, wnid).partition(",")[0].strip() for wnid in wnids)


def train_files(root: Path, wnids: Sequence[str]) -> LabelledFiles:
    """List the training images, class by class."""
    folder = root / FOLDER / "train"
    files: list[Path] = []
    labels: list[int] = []
    for label, wnid in enumerate(wnids):
        images = folder / wnid / "images"
        here = sorted(images.glob("*.JPEG"))
        # One to train on, one to validate with.
        if len(here) < 2:
            raise _corrupt(
                root,
                f"{root / FOLDER / 'wnids.txt'}:{label + 1}",
                f"{images} holds {len(here)} JPEG files, and a class needs 2 or more",
            )
        files += here
        labels += [label] * len(here)
    others = {path.name for path in folder.iterdir() if WNID.fullmatch(path.name)} - set(wnids)
    if others:
        raise _corrupt(root, folder / min(others), "this class is not in wnids.txt")
    return LabelledFiles(files, torch.tensor(labels))


def annotated_files(root: Path, wnids: Sequence[str]) -> LabelledFiles:
    """List the images of the official validation set in the order of ``val_annotations.txt``."""
    annotations = root / FOLDER / "val" / "val_annotations.txt"
    folder = root / FOLDER / "val" / "images"
    labels = {wnid: label for label, wnid in enumerate(wnids)}
    images = {path.name: path for path in folder.glob("*.JPEG")}
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
