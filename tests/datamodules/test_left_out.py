"""What systems and programs leave among images, in every data module that walks folders."""

import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from dropout_lab.datamodules import ImageFolderDataModule, ISICDataModule, TinyImageNetDataModule
from dropout_lab.datamodules.formats import EXTENSIONS
from dropout_lab.datamodules.image_files import DecodedDataModule
from dropout_lab.datamodules.left_out import clutter, counted, perhaps_images
from tests.data.folders import write_classes
from tests.data.isic import write_isic
from tests.data.tiny_imagenet import write_tiny_imagenet

FOLDERS = (
    "__MACOSX", "@eaDir", "@EADIR", "#recycle", "#snapshot", ".@__thumb", "@Recycle", "$RECYCLE.BIN", "$Recycle.Bin",
    "System Volume Information", "lost+found", ".ipynb_checkpoints", ".thumbnails", ".picasaoriginals", "[Originals]",
    "CaptureOne", "Catalog Previews.lrdata", ".git", ".Trash-1000", "__pycache__", ".Spotlight-V100", "thumbnails",
)  # fmt: skip
FILES = (
    "._0001.png", "._0001.jpg", ".DS_Store", ".hidden.png", "Thumbs.db", "THUMBS.DB", "desktop.ini", "Icon\r",
    "SYNOPHOTO_THUMB_XL.jpg", "0001.sync-conflict-20240101-120000-ABCDEFG.jpg", "0001.png@SynoResource",
    "0001 (Ann's conflicted copy 2024-01-01).png", ".picasa.ini", "Picasa.ini",
)  # fmt: skip


@pytest.mark.parametrize("name", [*FOLDERS, *FILES])
def test_is_clutter(name: str) -> None:
    assert clutter(name) is not None


@pytest.mark.parametrize(
    "name",
    [
        "cat",
        "thumbs",
        "originals",
        "recycled",
        "macosx",
        "git",
        "cat.jpg",
        "a~b.png",
        "#1",
        "@home",
        "tmp",
        "猫",
    ],
)
def test_is_no_clutter(name: str) -> None:
    assert clutter(name) is None


def litter(folder: Path, image: Path) -> None:
    """Put copies of an image into a folder under all names of clutter, and in folders of such names."""
    for name in FOLDERS:
        (folder / name).mkdir()
        shutil.copy(image, folder / name / f"copy{image.suffix}")
    for name in FILES:
        shutil.copy(image, folder / name)


def image_folder(root: Path) -> tuple[DecodedDataModule, list[Path]]:
    write_classes(root, {"cat": 9, "dog": 9})
    return ImageFolderDataModule(str(root), image_size=8), [root, root / "cat"]


def isic(root: Path) -> tuple[DecodedDataModule, list[Path]]:
    return ISICDataModule(str(root), image_size=8), [write_isic(root) / "train"]


def tiny_imagenet(root: Path) -> tuple[DecodedDataModule, list[Path]]:
    folder = write_tiny_imagenet(root)
    images = [folder / "train" / "n01000000" / "images", folder / "val" / "images"]
    return TinyImageNetDataModule(str(root), image_size=8), images


@pytest.mark.filterwarnings("ignore:there is no malignant image")
@pytest.mark.parametrize("make", [image_folder, isic, tiny_imagenet])
def test_clutter_is_neither_image_nor_class_and_is_told(
    make: Callable[[Path], tuple[DecodedDataModule, list[Path]]],
) -> None:
    (clean, _), (data, folders) = make(Path("clean")), make(Path("littered"))
    image = next(path for path in sorted(folders[-1].iterdir()) if path.suffix.lower() in EXTENSIONS)
    for folder in folders:
        litter(folder, image)
    clean.prepare_data()
    data.prepare_data()
    assert data.class_names == clean.class_names
    for split, expected in zip(data.splits, clean.splits, strict=True):
        assert torch.equal(split.labels, expected.labels)
    assert data.left_out.total() == len(folders) * (len(FOLDERS) + len(FILES))
    assert not clean.left_out
    note = data.notes[-1]
    assert note.startswith("left out: ")
    assert "@eaDir/" in note
    assert "Thumbs.db" in note
    assert note.isprintable()


def test_kinds_are_counted_the_most_frequent_first() -> None:
    assert counted(Counter({"Icon\r": 1, ".heic": 1200})) == r"1,200 .heic, 1 Icon\r"


def test_what_may_be_images() -> None:
    found = perhaps_images(Counter({".heic": 6, ".cr2": 5, ".pdf": 4, ".zip": 3, ".txt": 2, "._*": 1}))
    assert found == {".heic": 6, ".cr2": 5, ".pdf": 4, ".zip": 3}
