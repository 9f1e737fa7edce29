"""The command line of ``organize``: its help answers at once, so nothing here imports torch."""

import argparse
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NoReturn, final

from app.errors import UserError

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
    organize: Callable[[Options], None] = importlib.import_module("app.sorting").organize
    organize(options)
