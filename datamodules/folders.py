"""Folders of classes: which images there are, and which splits are given."""

import os
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from dropout_lab.datamodules.errors import DataError
from dropout_lab.datamodules.formats import EXTENSIONS, FORMATS
from dropout_lab.datamodules.left_out import BESIDE, MASKS, clutter, counted, image_of_mask
from dropout_lab.datamodules.split_names import split_name
from dropout_lab.ground import printable

# Names that a message shows.
SHOWN = 5

# Folders of data for detection and segmentation, where the classes are inside of files.
PARTS = {"image", "images", "img", "imgs", "mask", "masks", "label", "labels", "annotation", "annotations", "gt",
         "groundtruth", "ground_truth", "segmentation", "segmentations"}  # fmt: skip


class Scan(NamedTuple):
    """What a folder holds."""

    images: list[Path]
    """Sorted."""
    left_out: Counter[str]
    """What else there is: files of each ending, and clutter by its pattern."""


def subfolders(folder: Path) -> list[Path]:
    """Return a folder's folders, links to folders too, by name, without clutter and this program's own."""
    return sorted(
        path
        for path in folder.iterdir()
        if clutter(path.name) is None and path.is_dir() and not holds_runs(path)
    )


def holds_runs(folder: Path) -> bool:
    """Return whether a folder is one of this program's, of runs or studies, which may lie among a user's images.

    It holds folders alone, one of them of a run or a study. The first file in it that is not hidden says no, so that a
    class of many images is not read through.
    """
    if (folder / "study.yaml").is_file():
        return True
    with os.scandir(folder) as entries:
        inside = []
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if not entry.is_dir():
                return False
            inside.append(Path(entry))
    made = ("study.yaml", "config.yaml", "version_*/config.yaml")
    return any(any(path.glob(pattern)) for path in inside for pattern in made)


def scan(folder: Path, endings: Collection[str] = EXTENSIONS, deep: bool = True) -> Scan:
    """Find the images in a folder and, if ``deep``, in all folders below it.

    Links are followed, each folder once, so that a link to a folder above ends. Files that do not end as images do, and
    clutter of systems and programs (:data:`dropout_lab.datamodules.left_out.CLUTTER`), are left out, and so are masks
    that lie beside their images (:func:`dropout_lab.datamodules.left_out.image_of_mask`).
    """
    images: list[Path] = []
    left_out: Counter[str] = Counter()
    visited: set[str] = set()
    for current, below, names in os.walk(folder, onerror=_fail, followlinks=True):
        real = os.path.realpath(current)
        if real in visited:
            below.clear()
            continue
        visited.add(real)
        patterns = {name: clutter(name) for name in below}
        left_out.update(f"{pattern}/" for pattern in patterns.values() if pattern is not None)
        below[:] = [name for name, pattern in patterns.items() if pattern is None]
        if not deep:
            left_out["folders"] += len(below)
            below.clear()
        for name in names:
            file = Path(current, name)
            ending = file.suffix.lower()
            if (pattern := clutter(name)) is not None:
                left_out[pattern] += 1
            elif ending in endings:
                images.append(file)
            else:
                left_out[ending or "without an ending"] += 1
    there = {(file.parent, file.stem) for file in images}
    masks = {file for file in images if (file.parent, image_of_mask(file.stem)) in there}
    left_out[MASKS] = len(masks)
    return Scan(sorted(file for file in images if file not in masks), +left_out)


def _fail(error: OSError) -> None:
    # os.walk would leave out what it may not read.
    raise error


def image_files(folder: Path) -> list[Path]:
    """Return the images in a folder and in all folders below it, in the order of their paths."""
    return scan(folder).images


def scan_beside(root: Path) -> Counter[str]:
    """Count what lies in a folder beside its folders of classes or splits, images too."""
    here = scan(root, deep=False)
    beside = here.left_out + Counter({BESIDE: len(here.images)})
    del beside["folders"]
    return +beside


def given_splits(root: Path) -> dict[str, Path]:
    """Return the folders ``train``, ``val`` and ``test`` that a root gives; none where it holds classes itself.

    They go by many names (:func:`dropout_lab.datamodules.split_names.split_name`), and hold a folder for each class,
    which a class called *train* does not. What may be meant in two ways raises DataError: classes beside splits, two
    folders for one split, splits without a folder for training or without folders of classes.
    """
    folders = subfolders(root)
    named = {folder: name for folder in folders if (name := split_name(folder.name)) is not None}
    alike = defaultdict(set)
    for split, rest in named.values():
        alike[rest].add(split)
    # Of seg_train and seg_test the rest is alike; freight_train is a train, and train and test are splits.
    splits = {
        folder: name.split for folder, name in named.items() if not name.rest or len(alike[name.rest]) > 1
    }
    _check_unlike(folders, [folder for folder in named if folder not in splits])
    found = defaultdict(list)
    for folder, split in splits.items():
        found[split].append(folder)
    inner = {folder: _innermost(folder, split) for folder, split in splits.items()}
    if not any(subfolders(folder) for folder in inner.values()):
        if len(found) > 1:
            raise DataError(
                f"{root} holds {_names(splits)} without a folder for each class in them: put each class's images into "
                "a folder of its own there, or, if these are classes, rename them"
            )
        return {}
    for split, twice in found.items():
        if len(twice) > 1:
            raise DataError(
                f"{root} holds {_SAID[split]} images twice: {_names(twice)}. Keep one, or join them"
            )
    if "train" not in found or not subfolders(inner[found["train"][0]]):
        raise DataError(
            f"{root} holds {_names(splits)} with folders in them, but no train with a folder for each class: are these "
            "classes or splits? Add train, or rename the classes"
        )
    others = [folder for folder in folders if folder not in splits and image_files(folder)]
    if others:
        raise DataError(
            f"{root} holds {found['train'][0].name}/ and, beside it, images in {_names(others)}: are these classes or "
            "splits? Let it hold class folders alone, or train, val and test alone"
        )
    return {split: inner[folder] for split, (folder,) in found.items()}


_SAID = {"train": "training", "val": "validation", "test": "test"}


def _innermost(folder: Path, split: str) -> Path:
    """Return the folder that holds the classes: archives are unpacked into seg_train/seg_train."""
    below = subfolders(folder)
    while len(below) == 1 and (name := split_name(below[0].name)) is not None and name.split == split:
        folder, below = below[0], subfolders(below[0])
    return folder


def _check_unlike(folders: Sequence[Path], named: Sequence[Path]) -> None:
    """Raise DataError if a folder with a word for a split in its name, but not alone, is built as another is."""
    for folder in named:
        classes = _inner_names(folder)
        same = [other for other in folders if other != folder and classes and _inner_names(other) == classes]
        if same:
            raise DataError(
                f"{folder} holds the same folders as {same[0].name} ({', '.join(sorted(classes)[:SHOWN])}): are these "
                "splits or classes? Call them train, val and test if they are splits; else join the folders in them"
            )


def _inner_names(folder: Path) -> set[str]:
    below = subfolders(folder)
    if len(below) == 1:
        # Office-31: amazon/images/bike.
        below = subfolders(below[0])
    names = {class_name(path) for path in below}
    return names if len(names) > 1 else set()


def doubtful_classes(folder: Path) -> str | None:
    """Say if all folders that are taken for classes hold the same folders, as those of folds, sites or domains do."""
    found = subfolders(folder)
    shared = sorted(set.intersection(*map(_inner_names, found)))
    if len(shared) < 2:
        return None
    return (
        f"{folder}: the classes are {_names(found)}, and each of them holds {', '.join(shared[:SHOWN])}: if those are "
        "the classes, and the others folds, sites or domains, give one of these with data.root, or join them"
    )


def _names(folders: Collection[Path]) -> str:
    names = [folder.name for folder in folders]
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")


def class_folders(root: Path) -> tuple[str, ...]:
    """Return the names of the folders of classes in a root or its ``train``, sorted; raise DataError below two."""
    if not root.is_dir():
        raise DataError(
            f"no folder {root} ({root.resolve()}): give the folder that holds a folder of images for each class "
            "with --data.root FOLDER"
        )
    if not subfolders(root):
        raise DataError(
            f"{root.resolve()} holds no folders: it should hold one for each class, with that class's images, or "
            "train, val and test with such folders"
        )
    folder = given_splits(root).get("train", root)
    names = tuple(sorted(by_class(folder)))
    if all(name.casefold() in PARTS for name in names) and len(names) > 1:
        raise DataError(
            f"{folder.resolve()} holds {', '.join(names)}, which are no classes: a folder is needed for each class, "
            "with its images, and neither masks nor labels among them"
        )
    if len(names) < 2:
        (only,) = subfolders(folder) or [folder]
        deeper = f"; if the classes are in {only}, give that with --data.root" if subfolders(only) else ""
        raise DataError(
            f"{folder.resolve()} holds {len(names)} class folder(s) ({', '.join(names) or 'none'}): at least two "
            f"classes are needed to tell apart{deeper}"
        )
    return names


def class_name(folder: Path) -> str:
    """Return the name of a folder's class: printable, and in Unicode's composed form (NFC).

    macOS writes é as an e and an accent, other systems as one character: the same name is the same class.
    """
    return unicodedata.normalize("NFC", printable(folder.name))


def by_class(folder: Path) -> dict[str, Path]:
    """Return a folder's folders by the names of their classes; raise DataError if two of them are the same name."""
    found: dict[str, Path] = {}
    for path in subfolders(folder):
        name = class_name(path)
        if name in found:
            twice = f"{found[name].name!a} and {path.name!a}"
            raise DataError(
                f"{folder} holds two folders for the class {name}: {twice}, which Unicode takes for one name (composed "
                "and decomposed). Join them into one"
            )
        found[name] = path
    return found


def scans_by_class(folder: Path, classes: Sequence[str]) -> dict[str, Scan]:
    """Return what each class's folder holds, nothing of a class without one; raise DataError if there is another."""
    here = by_class(folder)
    unknown = [name for name in here if name not in classes]
    if unknown:
        raise DataError(
            f"{folder} holds the class {unknown[0]!r}, which the training images do not have "
            f"({len(unknown)} such): rename or remove its folder; there are {', '.join(classes[:10])}"
        )
    for path in here.values():
        inside = {
            below: name.split
            for below in subfolders(path)
            if (name := split_name(below.name)) and not name.rest
        }
        if len(set(inside.values())) > 1:
            raise DataError(
                f"{path} holds {_names(inside)}: splits within a class are not taken apart. Let {folder} hold train, "
                "val and test, each with a folder for each class"
            )
    return {name: scan(here[name]) if name in here else Scan([], Counter()) for name in classes}


def check_filled(scans: Mapping[str, Scan], folder: Path, least: int) -> None:
    """Raise DataError unless each class has ``least`` images, one for every split that is drawn from the folder."""
    for name, (files, left_out) in scans.items():
        if not files:
            others = f", but {counted(left_out)}" if left_out else ""
            raise DataError(
                f"{folder / name} holds no images ({', '.join(FORMATS)}){others}: fill the folder or remove it"
            )
        if len(files) < least:
            raise DataError(
                f"{folder / name} holds {len(files)} image(s); each class needs at least {least}, one for each split "
                "that is drawn from there: add images, or remove the folder"
            )
