"""Sorts ISIC's images into class folders: a plan, a look at what is there, then links or copies."""

import csv
import filecmp
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.progress import track

from app.errors import UserError
from app.organize import Options
from app.whole_file import PARTIAL, naming, whole_file
from datamodules import DataError
from datamodules.isic import split_shares
from datamodules.isic_files import LabelledImages, find_images
from datamodules.isic_labels import CLASSES

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
