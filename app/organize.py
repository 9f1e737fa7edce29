"""``organize isic``: the images of ISIC 2020 sorted into class folders.

Its help answers at once, so torch, which comes with the data modules, is imported where it is needed.
"""

import csv
import filecmp
import os
import shutil
from argparse import Namespace
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from rich.progress import track

from dropout_lab.app.errors import CommandParser, UserError
from dropout_lab.app.files import expand_home, folder_for, local_path, remove_partial
from dropout_lab.app.terminal import Terminal
from dropout_lab.ground import PARTIAL, naming, unused_name, whole_file

if TYPE_CHECKING:
    from dropout_lab.datamodules.isic_files import LabelledImages

DESCRIPTION = """\
Sort the images of ISIC 2020 into class folders, TO/benign and TO/malignant, or with --split into
TO/train/benign and so on, where no patient is in two of train, val and test.

What is there already and right is kept, so an interrupted command is taken up by giving it again. If something
else is in the way, all of it is listed and nothing is written. TO/missing.csv lists labels without an image and
images without a label.
"""
EXAMPLE = "example:  dropout-lab organize isic --root data --to data/isic-sorted --split"
SPLITS = ("train", "val", "test")
MISSING = "missing.csv"


def _parse(words: list[str]) -> Namespace:
    parser = CommandParser("organize isic", DESCRIPTION, EXAMPLE)
    add = parser.add_argument
    add("dataset", metavar="DATASET", choices=("isic",), help="isic: ISIC 2020, benign and malignant")
    add("--root", type=local_path, default=Path("data"), metavar="FOLDER",
        help="holds isic2020/, or is that folder (default: data)")  # fmt: skip
    add("--to", type=local_path, required=True, metavar="FOLDER", help="folder to sort into")
    add("--by", choices=("link", "copy"), default="link",
        help="link: symbolic links, relative, next to no space (default); copy: files")  # fmt: skip
    add("--labels", metavar="FILE",
        help="label file in isic2020/ (default: train.csv, else the archive's ground truth)")  # fmt: skip
    add("--images", metavar="FOLDER", help="folder of images in isic2020/ (default: train, jpeg/train)")
    add("--split", action="store_true", help="sort into train, val and test, by patients")
    add("--val_size", type=float, default=0.1, metavar="SHARE",
        help="with --split: about this share for validation (default: 0.1)")  # fmt: skip
    add("--test_size", type=float, default=0.2, metavar="SHARE",
        help="with --split: about this share for the test (default: 0.2)")  # fmt: skip
    add("--seed", type=int, default=0, help="with --split: of the split (default: 0)")
    add("--dry_run", action="store_true", help="say what would be done, write nothing")
    parser.usage = "dropout-lab organize isic --to FOLDER [OPTIONS]"
    options = parser.parse_args(words)
    for name in ("val_size", "test_size"):
        if not 0 < (size := getattr(options, name)) < 1:
            raise UserError(f"--{name} must be a share in (0, 1), got {size}")
    if options.seed < 0:
        raise UserError(f"--seed must be 0 or more, got {options.seed}")
    return options


def run(words: list[str]) -> None:
    """Sort, and say what was done."""
    options = _parse(words[1:])
    from dropout_lab.datamodules import DataError
    from dropout_lab.datamodules.isic_files import CLASSES, find_images

    console = Terminal(soft_wrap=True, highlight=False)
    try:
        found = find_images(expand_home(options.root), options.labels, options.images)
        plan = _plan(found, options)
    except (DataError, ValueError) as error:
        raise UserError(str(error)) from error
    to = expand_home(options.to)
    # Each target and its source.
    steps = {
        to / folder / found.files[index].name: found.files[index]
        for folder, indices in plan.items()
        for index in indices
    }
    try:
        new = [target for target in steps if not os.path.lexists(target)]
        # Sorted otherwise before, an image would be in two folders.
        others = _find_unplanned((to / part / name for part in ("", *SPLITS) for name in CLASSES), steps)
        there = steps.keys() - set(new)
        wrong = [*others, *(each for each in there if not _is_right(each, steps[each], options.by))]
        if wrong:
            listed = "\n".join(f"  {file}" for file in sorted(wrong))
            console.print(f"in the way:\n{listed}", markup=False)
            raise UserError(
                f"{len(wrong):,} files in {to} are not what this sorting would put there; nothing was written. "
                "Remove them, or give another folder with --to"
            )
        if not options.dry_run:
            # Of a command that was killed.
            for folder in {target.parent for target in steps}:
                remove_partial(folder)
            for target in track(new, "sorting", console=console, transient=True):
                with folder_for(target.parent):
                    _put(target, steps[target], options.by)
            with folder_for(to):
                _write_missing(found, to / MISSING)
    except OSError as error:
        raise UserError(
            f"cannot sort into {to}: {error.strerror} ({error.filename}). What is done is kept: give the command "
            "again once this is mended; where links are not allowed, with --by copy"
        ) from error
    console.print(_summary(found, plan, options, len(new), len(there)), markup=False)


def _plan(found: "LabelledImages", options: Namespace) -> dict[str, list[int]]:
    """Return the images of each folder to be made, by indices."""
    from dropout_lab.datamodules.isic import split_shares
    from dropout_lab.datamodules.isic_files import CLASSES

    targets = found.targets
    parts: dict[str, list[int]] = {"": list(range(len(targets)))}
    if options.split:
        shares = split_shares(len(targets), options.val_size, options.test_size)
        split = found.split(shares, options.seed)
        parts = {name: part.tolist() for name, part in zip(SPLITS, split, strict=True)}
    return {
        str(Path(part) / name): [index for index in indices if targets[index] == label]
        for part, indices in parts.items()
        for label, name in enumerate(CLASSES)
    }


def _summary(
    found: "LabelledImages", plan: dict[str, list[int]], options: Namespace, new: int, there: int
) -> str:
    verb = ("would be " if options.dry_run else "") + ("linked" if options.by == "link" else "copied")
    lines = [f"{options.to}: {new:,} images {verb}, {there:,} there already"]
    for name, indices in plan.items():
        patients = {found.cases[index].patient for index in indices} - {None}
        lines.append(f"  {name:<16} {len(indices):>6,} images of {len(patients):,} patients")
    lines.append(f"labels without an image {len(found.missing):,}")
    lines.append(f"images without a label {len(found.unlabelled):,}")
    if not options.dry_run:
        lines.append(f"both are listed in {options.to / MISSING}")
    return "\n".join(lines)


def _find_unplanned(folders: Iterable[Path], steps: dict[Path, Path]) -> list[Path]:
    from dropout_lab.datamodules.left_out import clutter

    present = [file for folder in folders if folder.is_dir() for file in folder.iterdir()]
    others = [file for file in present if file not in steps and file.suffix != PARTIAL]
    # What a system leaves where somebody has looked at the images is no image.
    return [file for file in others if clutter(file.name) is None]


def _is_right(target: Path, source: Path, by: str) -> bool:
    """Return whether a file is what it should be; a copy does for a link, a link is no copy."""
    if target.is_symlink():
        return by == "link" and target.exists() and target.samefile(source)
    # Of the same size and time, or else of the same bytes.
    return target.is_file() and filecmp.cmp(source, target, shallow=True)


def _put(target: Path, source: Path, by: str) -> None:
    """Link or copy, all or nothing."""
    if by == "link":
        # Through the real folders: a relative path counts from there.
        target.symlink_to(os.path.relpath(source.resolve(), target.parent.resolve()))
        return
    partial = unused_name(target)
    try:
        with naming(target):
            shutil.copy2(source, partial)
        partial.replace(target)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _write_missing(found: "LabelledImages", file: Path) -> None:
    with whole_file(file) as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("image_name", "problem"))
        writer.writerows((case.image, "no image") for case in found.missing)
        writer.writerows((image.stem, "no label") for image in found.unlabelled)
