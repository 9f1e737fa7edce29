"""Folders of classes: which images there are, and which splits are given."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from dropout_lab.datamodules.decode import EXTENSIONS
from dropout_lab.datamodules.errors import DataError
from dropout_lab.datamodules.outputs import holds_runs

# Layouts of given splits that are in use.
VAL_NAMES = ("val", "valid", "validation")


def subfolders(folder: Path) -> list[Path]:
    """Return a folder's folders, links to folders too, by name, without hidden ones and this program's own."""
    return sorted(
        path
        for path in folder.iterdir()
        if path.is_dir() and not path.name.startswith(".") and not holds_runs(path)
    )


def image_files(folder: Path) -> list[Path]:
    """Return the images in a folder and in all folders below it, in the order of their paths.

    Links are followed, each folder once, so that a link to a folder above ends. Hidden files and folders, and files
    that are not named as images (:data:`dropout_lab.datamodules.decode.EXTENSIONS`), do not count.
    """
    found: list[Path] = []
    visited: set[str] = set()
    for current, below, names in os.walk(folder, onerror=_fail, followlinks=True):
        real = os.path.realpath(current)
        if real in visited:
            below.clear()
            continue
        visited.add(real)
        below[:] = [name for name in below if not name.startswith(".")]
        files = [Path(current, name) for name in names if not name.startswith(".")]
        found += [file for file in files if file.suffix.lower() in EXTENSIONS]
    return sorted(found)


def _fail(error: OSError) -> None:
    # os.walk would leave out what it may not read.
    raise error


def given_splits(root: Path) -> dict[str, Path]:
    """Return the folders ``train``, ``val`` and ``test`` that a root gives; none where it holds classes itself.

    Classes beside ``train/``, or validation images under two names, raise DataError.
    """
    train = root / "train"
    if not train.is_dir() or not subfolders(train):
        names = [path.name for path in subfolders(root)]
        if "train" in names and set(names) <= {"train", "test", *VAL_NAMES}:
            raise DataError(
                f"{root} holds {', '.join(names)} without a folder for each class in {train}: put each class's "
                "images into a folder of its own there"
            )
        return {}
    named_val = [root / name for name in VAL_NAMES if (root / name).is_dir()]
    if len(named_val) > 1:
        twice = " and ".join(path.name for path in named_val)
        raise DataError(f"{root} holds validation images twice: {twice}. Keep one")
    found = {"train": train, "val": next(iter(named_val), None), "test": root / "test"}
    splits = {name: folder for name, folder in found.items() if folder is not None and folder.is_dir()}
    others = [path for path in subfolders(root) if path not in splits.values() and image_files(path)]
    if others:
        raise DataError(
            f"{root} holds train/ and, beside it, images in {', '.join(path.name for path in others[:5])}: are these "
            "classes or splits? Let it hold class folders alone, or train, val and test alone"
        )
    return splits


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
    names = tuple(path.name for path in subfolders(folder))
    if len(names) < 2:
        raise DataError(
            f"{folder.resolve()} holds {len(names)} class folder(s) ({', '.join(names) or 'none'}): at least two "
            "classes are needed to tell apart"
        )
    return names


def images_by_class(folder: Path, classes: Sequence[str]) -> dict[str, list[Path]]:
    """Return each class's images, none of a class without a folder; raise DataError if there is another class."""
    here = {path.name: path for path in subfolders(folder)}
    unknown = [name for name in here if name not in classes]
    if unknown:
        raise DataError(
            f"{folder} holds the class {unknown[0]!r}, which the training images do not have "
            f"({len(unknown)} such): rename or remove its folder; there are {', '.join(classes[:10])}"
        )
    return {name: image_files(here[name]) if name in here else [] for name in classes}


def check_filled(images: Mapping[str, Sequence[Path]], folder: Path, least: int) -> None:
    """Raise DataError unless each class has ``least`` images, one for every split that is drawn from the folder."""
    for name, files in images.items():
        if not files:
            raise DataError(
                f"{folder / name} holds no images ({', '.join(sorted(EXTENSIONS))}): fill the folder or remove it"
            )
        if len(files) < least:
            raise DataError(
                f"{folder / name} holds {len(files)} image(s); each class needs at least {least}, one for each split "
                "that is drawn from there: add images, or remove the folder"
            )
