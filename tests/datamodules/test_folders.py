"""Folders of classes and of splits: what is found, and what may be meant in two ways."""

import os
from collections import Counter
from pathlib import Path

import pytest

from dropout_lab.datamodules import DataError
from dropout_lab.datamodules.folders import (
    class_folders,
    doubtful_classes,
    given_splits,
    image_files,
    scan,
    scans_by_class,
)
from dropout_lab.datamodules.left_out import MASKS, perhaps_images
from tests.data.folders import write_classes, write_pictures

ROOT = Path("pictures")


def files(*folders: str) -> None:
    """Put a file named as an image into each folder."""
    for folder in folders:
        (ROOT / folder).mkdir(parents=True, exist_ok=True)
        (ROOT / folder / "0.png").touch()


def message() -> str:
    with pytest.raises(DataError) as caught:
        class_folders(ROOT)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("names", "found"),
    [
        ("Training Testing", "Training Testing"),
        ("seg_train/seg_train seg_test/seg_test", "seg_train/seg_train seg_test/seg_test"),
        ("a-train a-valid test @eaDir .hidden", "a-train test a-valid"),
        ("trainval", "trainval"),
    ],
)
def test_splits_are_found(names: str, found: str) -> None:
    files(*(f"{name}/{kind}" for name in names.split() for kind in ("cat", "dog")))
    (ROOT / "notes").mkdir()
    assert set(given_splits(ROOT).values()) == {ROOT / name for name in found.split()}
    assert class_folders(ROOT) == ("cat", "dog")


@pytest.mark.parametrize(
    ("folders", "says"),
    [
        ("Train Test train", "pictures holds training images twice: Train, train. Keep one, or join them"),
        ("train test testing", "pictures holds test images twice: test, testing. Keep one"),
        ("train val test dev", "pictures holds validation images twice: dev, val. Keep one"),
        (
            "Testing owl",
            "pictures holds Testing with folders in them, but no train with a folder for each class",
        ),
        (
            "train test owl",
            "pictures holds train/ and, beside it, images in owl: are these classes or splits?",
        ),
        ("train_ct test_xray", "holds the same folders as train_ct (cat, dog): are these splits or classes?"),
    ],
)
def test_folders_that_may_be_splits_or_classes(folders: str, says: str) -> None:
    files(*(f"{name}/{kind}" for name in folders.split() for kind in ("cat", "dog")))
    assert says in message()


@pytest.mark.parametrize("folders", ["train test", "Training Testing", "seg_train seg_test", "TRAIN VAL cat"])
def test_splits_without_classes(folders: str) -> None:
    files(*folders.split())
    assert "without a folder for each class in them: put each class's images into" in message()


@pytest.mark.parametrize("folders", ["freight_train passenger_train", "control test_strip", "invalid valid",
                                     "buses trains", "test_xray train_ct", "bus train"])  # fmt: skip
def test_classes_with_words_for_splits_in_their_names(folders: str) -> None:
    files(*folders.split())
    assert class_folders(ROOT) == tuple(folders.split())
    assert given_splits(ROOT) == {}


def test_splits_within_classes() -> None:
    files("cat/train", "cat/test", "dog/train", "dog/test")
    with pytest.raises(
        DataError, match="pictures/cat holds test, train: splits within a class are not taken"
    ):
        scans_by_class(ROOT, class_folders(ROOT))


def test_a_folder_too_high() -> None:
    files("all/train/cat", "all/train/dog")
    assert "if the classes are in pictures/all, give that with --data.root" in message()


def test_a_class_written_in_two_ways_in_one_folder() -> None:
    files("cafe\u0301", "caf\u00e9", "tea")
    assert "two folders for the class caf\u00e9: 'cafe\\u0301' and 'caf\\xe9', which Unicode" in message()


def test_images_are_found_in_folders_below_and_behind_links() -> None:
    files = write_pictures(Path("elsewhere"), 4) + write_pictures(Path("elsewhere/deeper"), 2, 4, ".JPG")
    folder = ROOT / "cat"
    folder.mkdir(parents=True)
    (folder / "linked").symlink_to(Path("elsewhere").absolute())
    (folder / "again").symlink_to(Path("elsewhere").absolute())
    (folder / "up").symlink_to(folder.absolute())
    (folder / "one.png").symlink_to(files[0].absolute())
    for ignored in (".hidden.png", "notes.txt", "boxes.csv"):
        (folder / ignored).write_text("no image")
    found = image_files(folder)
    assert len(found) == 7
    assert found == sorted(found)
    assert Counter(path.resolve() for path in found)[files[0].resolve()] == 2


def test_a_folder_that_may_not_be_read_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    write_classes(ROOT, {"cat": 3})

    def scandir(path: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(PermissionError, match="pictures"):
        image_files(ROOT)


@pytest.mark.parametrize(
    ("pattern", "around"),
    [("{}/{}", "fold_1 fold_2 fold_3"), ("{}/images/{}", "amazon dslr webcam"), ("{}/{}", "2019 2020")],
)
def test_folds_and_domains_are_doubted(pattern: str, around: str) -> None:
    files(*(pattern.format(name, kind) for name in around.split() for kind in ("bike", "mug")))
    doubt = doubtful_classes(ROOT)
    assert doubt is not None
    assert f"the classes are {', '.join(around.split())}, and each of them holds bike, mug" in doubt


@pytest.mark.parametrize(
    "folders", ["cat dog", "cat/1 dog/1", "cat/young cat/old dog/big dog/small", "cat/young cat/old dog"]
)
def test_classes_are_not_doubted(folders: str) -> None:
    files(*folders.split())
    assert doubtful_classes(ROOT) is None


@pytest.mark.parametrize("names", ["images masks", "train/images train/labels", "Images Annotations gt"])
def test_images_and_their_masks_are_no_classes(names: str) -> None:
    files(*names.split())
    assert "which are no classes: a folder is needed for each class" in message()


def test_masks_beside_their_images_are_left_out() -> None:
    ROOT.mkdir()
    images = ["benign (1).png", "7.jpg", "a_mask.png", "gas_mask.png", "mask.png", "mask_2.png"]
    masks = ["benign (1)_mask.png", "benign (1)_mask_1.png", "7_Segmentation.PNG", "7-mask.png", "7_gt.png"]
    for name in (*images, *masks):
        (ROOT / name).touch()
    found = scan(ROOT)
    assert {file.name for file in found.images} == set(images)
    assert found.left_out == Counter({MASKS: len(masks)})
    assert perhaps_images(found.left_out) == found.left_out
