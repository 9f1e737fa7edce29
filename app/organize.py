"""The command line of ``organize``: its help answers at once, so nothing here imports torch."""

import argparse
import csv
import filecmp
import importlib
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, NoReturn, final

from rich.console import Console
from rich.progress import track

from dropout_lab.app.errors import UserError
from dropout_lab.app.files import PARTIAL, naming, whole_file
from dropout_lab.datamodules import DataError
from dropout_lab.datamodules.isic import split_shares
from dropout_lab.datamodules.isic_files import CLASSES, LabelledImages, find_images

DESCRIPTION = """\
Sort the images of ISIC 2020 into class folders, TO/benign and TO/malignant, or with --split into
TO/train/benign and so on, where no patient is in two of train, val and test.

What is there already and right is kept, so an interrupted command is taken up by giving it again. If something
else is in the way, all of it is listed and nothing is written. TO/missing.csv lists labels without an image and
images without a label.
"""
EXAMPLE = "example:  dropout-lab organize isic --root data --to data/isic-sorted --split"


@dataclass(frozen=True)
class Options:
    """What ``organize isic`` is asked for.

    Attributes:
        root: holds ``isic2020/``, or is that folder.
        to: folder to sort into.
        by: relative symbolic links, or copies.
        labels: the label file; None takes the first that is known.
        images: the folder of images; None takes the first that is known.
        split: sort into train, val and test.
        val_size: share of the images for validation.
        test_size: share of the images for the test.
        seed: of the split.
        dry_run: say what would be done.
    """

    root: Path
    to: Path
    by: Literal["link", "copy"]
    labels: str | None
    images: str | None
    split: bool
    val_size: float
    test_size: float
    seed: int
    dry_run: bool


@final
class _Parser(argparse.ArgumentParser):
    """Tells errors as the other commands do."""

    def error(self, message: str) -> NoReturn:
        """Raise UserError."""
        raise UserError(f"{message}; see organize isic --help")


def parse(words: list[str]) -> Options:
    """Parse the words after ``organize``.

    Raises:
        UserError: an option is wrong.
        SystemExit: help was asked for and given.
    """
    parser = _Parser(
        prog="dropout-lab organize", allow_abbrev=False, description="Sort a data set into folders."
    )
    datasets = parser.add_subparsers(dest="dataset", metavar="DATASET", required=True)
    isic = datasets.add_parser(
        "isic",
        help="ISIC 2020: benign and malignant",
        description=DESCRIPTION,
        epilog=EXAMPLE,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    isic.add_argument("--root", type=Path, default=Path("data"), metavar="FOLDER",
                      help="holds isic2020/, or is that folder (default: data)")  # fmt: skip
    isic.add_argument("--to", type=Path, required=True, metavar="FOLDER", help="folder to sort into")
    isic.add_argument("--by", choices=("link", "copy"), default="link",
                      help="link: symbolic links, relative, next to no space (default); copy: files")  # fmt: skip
    isic.add_argument("--labels", metavar="FILE",
                      help="label file in isic2020/ (default: train.csv, else the archive's ground truth)")  # fmt: skip
    isic.add_argument("--images", metavar="FOLDER",
                      help="folder of images in isic2020/ (default: train, jpeg/train)")  # fmt: skip
    isic.add_argument("--split", action="store_true", help="sort into train, val and test, by patients")
    isic.add_argument("--val_size", type=float, default=0.1, metavar="SHARE",
                      help="with --split: about this share for validation (default: 0.1)")  # fmt: skip
    isic.add_argument("--test_size", type=float, default=0.2, metavar="SHARE",
                      help="with --split: about this share for the test (default: 0.2)")  # fmt: skip
    isic.add_argument("--seed", type=int, default=0, help="with --split: of the split (default: 0)")
    isic.add_argument("--dry_run", action="store_true", help="say what would be done, write nothing")
    given = vars(parser.parse_args(words))
    given.pop("dataset")
    options = Options(**given)
    for name, size in (("val_size", options.val_size), ("test_size", options.test_size)):
        if not 0 < size < 1:
            raise UserError(f"--{name} must be a share in (0, 1), got {size}")
    if options.seed < 0:
        raise UserError(f"--seed must be 0 or more, got {options.seed}")
    return options


def run(words: list[str]) -> None:
    """Sort.

    Raises:
        UserError: an option or the data are wrong, or files are in the way.
    """
    options = parse(words[1:])
    organize: Callable[[Options], None] = importlib.import_module("dropout_lab.app.organize").organize
    organize(options)


SPLITS = ("train", "val", "test")
MISSING = "missing.csv"


class Step(NamedTuple):
    """An image and where it goes."""

    source: Path
    target: Path


class Look(NamedTuple):
    """What a plan finds in its folder."""

    new: list[Step]
    there: list[Step]
    wrong: list[Path]
    """Files that are in the way: other ones of a planned name, or ones that are not planned."""


def planned(found: LabelledImages, options: Options) -> dict[str, list[int]]:
    """Return the images of each folder to be made, by indices.

    Raises:
        ValueError: nothing is left to train on.
    """
    targets = found.targets
    parts: dict[str, list[int]] = {"": list(range(len(targets)))}
    if options.split:
        shares = split_shares(len(targets), options.val_size, options.test_size)
        parts = {
            name: part.tolist() for name, part in zip(SPLITS, found.split(shares, options.seed), strict=True)
        }
    return {
        str(Path(part) / name): [index for index in indices if targets[index] == label]
        for part, indices in parts.items()
        for label, name in enumerate(CLASSES)
    }


def look(steps: list[Step], to: Path, by: str) -> Look:
    """Compare a plan with what is there; a copy does for a link, a link is no copy."""
    new, there, wrong = [], [], []
    for step in steps:
        if not os.path.lexists(step.target):
            new.append(step)
        elif _is_right(step, by):
            there.append(step)
        else:
            wrong.append(step.target)
    targets = {step.target for step in steps}
    # Sorted otherwise before, an image would be in two folders.
    for part in ("", *SPLITS):
        for name in CLASSES:
            folder = to / part / name
            present = sorted(folder.iterdir()) if folder.is_dir() else []
            wrong += [file for file in present if file not in targets and file.suffix != PARTIAL]
    return Look(new, there, wrong)


def organize(options: Options) -> None:
    """Do what is asked for, and say what was done.

    Raises:
        UserError: the data cannot be used, files are in the way, or writing fails.
    """
    console = Console(soft_wrap=True, highlight=False)
    try:
        found = find_images(options.root.expanduser(), options.labels, options.images)
        plan = planned(found, options)
    except (DataError, ValueError) as error:
        raise UserError(str(error)) from error
    to = options.to.expanduser()
    steps = [
        Step(found.files[index], to / folder / found.files[index].name)
        for folder, indices in plan.items()
        for index in indices
    ]
    folders = sorted({to, *to.parents, *(step.target.parent for step in steps)}, reverse=True)
    made = [folder for folder in folders if not folder.exists()]
    try:
        seen = look(steps, to, options.by)
        if seen.wrong:
            listed = "\n".join(f"  {file}" for file in seen.wrong)
            console.print(f"in the way:\n{listed}", markup=False)
            raise UserError(
                f"{len(seen.wrong):,} files in {to} are not what this sorting would put there; nothing was written. "
                "Remove them, or give another folder with --to"
            )
        if not options.dry_run:
            for step in track(seen.new, "sorting", console=console, transient=True):
                step.target.parent.mkdir(parents=True, exist_ok=True)
                _put(step, options.by)
            to.mkdir(parents=True, exist_ok=True)
            _write_missing(found, to / MISSING)
    except OSError as error:
        for folder in made:
            # Those that hold something stay.
            with suppress(OSError):
                folder.rmdir()
        raise UserError(
            f"cannot sort into {to}: {error.strerror} ({error.filename}). What is done is kept: give the command "
            "again once this is mended; where links are not allowed, with --by copy"
        ) from error
    _report(console, found, plan, seen, options)


def _is_right(step: Step, by: str) -> bool:
    if step.target.is_symlink():
        return by == "link" and step.target.exists() and step.target.samefile(step.source)
    # Of the same size and time, or else of the same bytes.
    return step.target.is_file() and filecmp.cmp(step.source, step.target, shallow=True)


def _put(step: Step, by: str) -> None:
    """Link or copy, all or nothing."""
    if by == "link":
        # Through the real folders: a relative path counts from there.
        folder = step.target.parent.resolve()
        step.target.symlink_to(os.path.relpath(step.source.resolve(), folder))
        return
    partial = step.target.with_name(step.target.name + PARTIAL)
    try:
        with naming(step.target):
            shutil.copy2(step.source, partial)
        partial.replace(step.target)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _write_missing(found: LabelledImages, file: Path) -> None:
    with whole_file(file) as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("image_name", "problem"))
        writer.writerows((case.image, "no image") for case in found.missing)
        writer.writerows((image.stem, "no label") for image in found.unlabelled)


def _report(
    console: Console, found: LabelledImages, plan: dict[str, list[int]], seen: Look, options: Options
) -> None:
    would = "would be " if options.dry_run else ""
    verb = "linked" if options.by == "link" else "copied"
    console.print(
        f"{options.to}: {len(seen.new):,} images {would}{verb}, {len(seen.there):,} there already",
        markup=False,
    )
    for folder, indices in plan.items():
        patients = {found.cases[index].patient for index in indices} - {None}
        console.print(f"  {folder:<16} {len(indices):>6,} images of {len(patients):,} patients", markup=False)
    console.print(f"labels without an image {len(found.missing):,}")
    console.print(f"images without a label {len(found.unlabelled):,}")
    if not options.dry_run:
        console.print(f"both are listed in {options.to / MISSING}", markup=False)
