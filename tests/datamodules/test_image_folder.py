"""A user's own folders: which images, which classes, which split."""

import os
from pathlib import Path

import pytest
import torch

from dropout_lab.datamodules import DataError, ImageFolderDataModule
from dropout_lab.datamodules.folders import class_folders
from dropout_lab.datamodules.formats import FORMATS
from tests.data.folders import picture, write_classes

ROOT = Path("pictures")


def folder_data(**arguments: object) -> ImageFolderDataModule:
    data = ImageFolderDataModule(**{"root": str(ROOT), "image_size": 8, **arguments})  # type: ignore[arg-type]
    data.prepare_data()
    return data


def counts(data: ImageFolderDataModule) -> list[list[int]]:
    return [split.labels.bincount(minlength=data.num_classes).tolist() for split in data.splits]


def rows(data: ImageFolderDataModule) -> list[int]:
    return [int(row) for split in data.splits for row in split.rows]  # type: ignore[union-attr]


def message(**arguments: object) -> str:
    with pytest.raises(DataError) as caught:
        folder_data(**arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_classes_are_known_before_anything_is_read() -> None:
    write_classes(ROOT, {"dog": 1, "cat": 1, ".hidden": 1})
    data = ImageFolderDataModule(str(ROOT), image_size=32)
    assert data.class_names == ("cat", "dog")
    assert data.num_classes == 2
    assert data.image_shape == (3, 32, 32)


def test_split_is_stratified_and_takes_each_image_once() -> None:
    write_classes(ROOT, {"cat": 60, "dog": 20, "owl": 3})
    data = folder_data(test_size=0.2, val_size=0.25)
    assert sorted(rows(data)) == list(range(83))
    train, val, test = counts(data)
    assert [sum(split) for split in (train, val, test)] == [50, 16, 17]
    assert test == [12, 4, 1]
    assert [a + b + c for a, b, c in zip(train, val, test, strict=True)] == [60, 20, 3]
    assert min(train + val) >= 1


def test_labels_are_those_of_the_folders() -> None:
    write_classes(ROOT, {"cat": 5, "dog": 5})
    data = folder_data(test_size=2, val_size=2, normalize="none")
    expected = {}
    for label, name in enumerate(data.class_names):
        for file in sorted((ROOT / name).iterdir()):
            number = int(file.stem)
            expected[bytes(picture(number).tobytes())] = label
    for split in data.splits:
        for pixels, label in zip(split.take(torch.arange(len(split.labels))), split.labels, strict=True):
            assert expected[pixels.permute(1, 2, 0).contiguous().numpy().tobytes()] == label


def test_split_follows_the_seed_and_shares_the_cache() -> None:
    write_classes(ROOT, {"cat": 20, "dog": 20})
    first, same, other = (folder_data(seed=seed, cache="cache") for seed in (1, 1, 2))
    assert rows(first) == rows(same)
    assert rows(first) != rows(other)
    assert len(list(Path("cache").glob("*.npy"))) == 1


def test_fingerprint_is_of_content_and_split() -> None:
    write_classes(ROOT, {"cat": 10, "dog": 10})
    first, other = folder_data().fingerprint, folder_data(seed=1).fingerprint
    ROOT.rename("moved")
    assert folder_data(root="moved").fingerprint == first != other
    picture(99).save("moved/cat/0001.png")
    assert folder_data(root="moved").fingerprint not in (first, other)


def test_first_training_images_are_of_all_classes() -> None:
    write_classes(ROOT, {"cat": 40, "dog": 40})
    assert min(counts(folder_data(train_limit=20))[0]) >= 3


@pytest.mark.parametrize(
    "names",
    [
        "train val test", "train valid test", "Training Validation Testing", "TRAIN VAL TEST",
        "training_set dev_set test_set", "seg_train seg_val seg_test", "dataset_train dataset_eval dataset_test",
        "train2017 val2017 test2017", "trainval validation holdout", "a-train a-valid test",
        "seg_train/seg_train seg_val/seg_val seg_test/seg_test",
    ],
)  # fmt: skip
def test_given_splits_are_kept(names: str) -> None:
    for number, part in enumerate(names.split()):
        write_classes(ROOT / part, {"cat": 3 + number, "dog": 1}, first=10 * number)
    data = folder_data()
    assert data.class_names == ("cat", "dog")
    assert counts(data) == [[3, 1], [4, 1], [5, 1]]


DECOMPOSED, COMPOSED = "cafe\u0301", "caf\u00e9"


def test_a_class_whose_accent_is_written_otherwise_in_another_split() -> None:
    write_classes(ROOT / "train", {DECOMPOSED: 9, "tea": 9})
    write_classes(ROOT / "val", {COMPOSED: 2, "tea": 3}, first=50)
    data = folder_data(test_size=2)
    assert data.class_names == (COMPOSED, "tea")
    assert counts(data) == [[8, 8], [2, 3], [1, 1]]


def test_names_that_are_not_utf_8() -> None:
    folder = ROOT / os.fsdecode(b"caf\xe9")
    write_classes(ROOT, {folder.name: 9, "tea": 9})
    (folder / os.fsdecode(b"\xe9.png")).write_text("a text")
    assert r"pictures/caf\xe9/\xe9.png" in message()
    with pytest.warns(UserWarning, match=r"pictures/caf.xe9/.xe9.png .* They are left out") as told:
        data = folder_data(unreadable="skip")
    assert str(told[0].message).isprintable()
    assert data.class_names == (r"caf\xe9", "tea")
    assert sum(map(sum, counts(data))) == 18


def test_many_unreadable_files_of_names_that_are_not_utf_8() -> None:
    write_classes(ROOT, {"cat": 9, "dog": 9})
    for number in range(6):
        (ROOT / "cat" / os.fsdecode(b"\xe9%d.png" % number)).write_text(f"a text {number}")
    with pytest.warns(UserWarning, match="6 of 24 .* all listed in"):
        folder_data(unreadable="skip", cache="cache")
    (listing,) = Path("cache").glob("*.unreadable.txt")
    assert listing.read_text().splitlines()[5].startswith(r"pictures/cat/\xe95.png")


def test_very_long_names() -> None:
    long = "l" * 255
    write_classes(ROOT, {long: 9, "short": 9})
    (ROOT / "short" / "0009.png").rename(ROOT / "short" / f"{'i' * 251}.png")
    data = folder_data()
    assert data.class_names == (long, "short")
    assert sum(map(sum, counts(data))) == 18


def test_formats_that_are_not_read_are_counted_and_told() -> None:
    write_classes(ROOT, {"cat": 9, "dog": 9})
    for number in range(6):
        (ROOT / "cat" / f"IMG_{number}.HEIC").write_bytes(b"x")
    (ROOT / "dog" / "scan.pdf").write_bytes(b"x")
    (ROOT / "dog" / "notes.txt").write_bytes(b"x")
    (ROOT / "dog" / "LICENSE").write_bytes(b"x")
    picture(99).save(ROOT / "loose.png")
    expected = "left out of pictures: 6 .heic, 1 images beside the folders, 1 .pdf. If .* convert them"
    with pytest.warns(UserWarning, match=expected):
        data = folder_data()
    assert set(data.left_out) == {".heic", "images beside the folders", ".pdf", ".txt", "without an ending"}
    assert data.notes[0].startswith("left out: 6 .heic, 1 ")


def test_a_class_of_formats_that_are_not_read() -> None:
    write_classes(ROOT, {"cat": 9, "dog": 0})
    (ROOT / "dog" / "IMG_1.HEIC").write_bytes(b"x")
    assert "pictures/dog holds no images" in message()
    assert "but 1 .heic: fill" in message()


@pytest.mark.parametrize(("format", "ending"), [("AVIF", ".avif"), ("JPEG2000", ".jp2"), ("PPM", ".pbm")])
def test_formats_that_pillow_reads(format: str, ending: str) -> None:
    if format not in FORMATS:
        pytest.skip(f"this Pillow reads no {format}")
    write_classes(ROOT, {"cat": 9, "dog": 9})
    for number in range(9):
        image = picture(50 + number).convert("1" if ending == ".pbm" else "RGB")
        image.save(ROOT / "dog" / f"{number}{ending}", format)
    assert sum(map(sum, counts(folder_data()))) == 27


def test_nothing_is_written_beside_images() -> None:
    write_classes(ROOT, {"cat": 9, "dog": 9})
    before = sorted((path, path.stat().st_mtime_ns) for path in [ROOT, *ROOT.rglob("*")])
    folder_data()
    assert before == sorted((path, path.stat().st_mtime_ns) for path in [ROOT, *ROOT.rglob("*")])


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("test", [[8, 8], [2, 2], [3, 3]]),
        ("val", [[8, 8], [3, 3], [2, 2]]),
        (None, [[6, 6], [2, 2], [2, 2]]),
    ],
)
def test_what_is_not_given_is_drawn_from_train(given: str | None, expected: list[list[int]]) -> None:
    write_classes(ROOT / "train", {"cat": 10, "dog": 10})
    if given:
        write_classes(ROOT / given, {"cat": 3, "dog": 3}, first=50)
    (ROOT / "notes").mkdir()
    assert counts(folder_data(val_size=4, test_size=4)) == expected


def test_no_folder() -> None:
    text = message()
    assert text.startswith(f"no folder pictures ({ROOT.resolve()}): give the folder that holds")
    assert "--data.root FOLDER" in text


def test_empty_folder() -> None:
    ROOT.mkdir()
    assert message() == (
        f"{ROOT.resolve()} holds no folders: it should hold one for each class, with that class's images, or train, "
        "val and test with such folders"
    )


def test_one_class() -> None:
    write_classes(ROOT, {"cat": 9})
    assert "holds 1 class folder(s) (cat): at least two" in message()


def test_empty_class() -> None:
    write_classes(ROOT, {"cat": 9, "dog": 0})
    assert "pictures/dog holds no images (JPEG, PNG, BMP" in message()


@pytest.mark.parametrize("count", [1, 2])
def test_class_of_fewer_images_than_splits(count: int) -> None:
    write_classes(ROOT, {"cat": 9, "dog": count})
    assert f"pictures/dog holds {count} image(s); each class needs at least 3" in message()


def test_classes_beside_train() -> None:
    write_classes(ROOT / "train", {"cat": 3, "dog": 3})
    write_classes(ROOT, {"bus": 3})
    assert "holds train/ and, beside it, images in bus: are these classes or splits?" in message()


def test_a_class_named_train() -> None:
    write_classes(ROOT, {"train": 10, "bus": 10})
    assert folder_data().class_names == ("bus", "train")


def test_splits_without_classes() -> None:
    write_classes(ROOT, {"train": 10, "test": 10})
    assert "pictures holds test, train without a folder for each class in them" in message()


def test_class_that_training_does_not_have() -> None:
    write_classes(ROOT / "train", {"cat": 9, "dog": 9})
    write_classes(ROOT / "test", {"cat": 3, "dogs": 3}, first=50)
    assert "pictures/test holds the class 'dogs', which the training images do not have" in message()


def test_class_missing_in_val() -> None:
    write_classes(ROOT / "train", {"cat": 9, "dog": 9})
    write_classes(ROOT / "val", {"cat": 3, "dog": 0}, first=50)
    with pytest.warns(
        UserWarning, match="pictures/val holds no images of 1 of 2 classes .dog.: what is measured"
    ):
        assert counts(folder_data())[1] == [3, 0]


def test_val_without_images() -> None:
    write_classes(ROOT / "train", {"cat": 9, "dog": 9})
    (ROOT / "val").mkdir()
    assert "pictures/val holds no images in folders named as the classes" in message()


@pytest.mark.parametrize(("name", "size"), [("test_size", 1), ("val_size", 1), ("test_size", 19)])
def test_sizes_that_leave_a_class_out(name: str, size: int) -> None:
    write_classes(ROOT, {"cat": 10, "dog": 10})
    with pytest.raises(
        ValueError, match=f"{name} must leave images of all 2 classes to every split: .* got {size}"
    ):
        folder_data(**{name: size})


def test_bad_arguments_at_construction() -> None:
    with pytest.raises(ValueError, match="test_size must be"):
        ImageFolderDataModule(test_size=0)
    with pytest.raises(ValueError, match="unreadable must be 'error' or 'skip', got 'no'"):
        ImageFolderDataModule(unreadable="no")


def test_unreadable_images() -> None:
    write_classes(ROOT, {"cat": 9, "dog": 9})
    (ROOT / "cat" / "0000.png").write_text("a text")
    assert "1 of 18 images of ImageFolderDataModule cannot be decoded: pictures/cat/0000.png" in message()
    with pytest.warns(UserWarning, match="1 of 18 images .* They are left out"):
        data = folder_data(unreadable="skip")
    assert len(set(rows(data))) == 17
    assert sum(map(sum, counts(data))) == 17


@pytest.mark.parametrize("part", ["", "train", "val"])
def test_a_class_without_a_readable_image(part: str) -> None:
    for number, name in enumerate(["train", "val"] if part else [""]):
        write_classes(ROOT / name, {"cat": 9, "dog": 9}, first=50 * number)
    for file in (ROOT / part / "dog").iterdir():
        file.write_text(f"a text, {file.name}")
    with pytest.warns(UserWarning, match="9 of .* images .* They are left out"):
        text = message(unreadable="skip")
    split = "validation" if part == "val" else "training"
    assert f"no {split} image of 1 of 2 classes is left (dog): with unreadable=skip all " in text
    assert text.endswith("Mend the files, or remove the classes")


def test_a_split_that_lacks_a_class_is_noted() -> None:
    write_classes(ROOT, {"cat": 40, "dog": 3})
    assert folder_data().notes == []
    assert folder_data(train_limit=1).notes[0].startswith("no training image of 1 of 2 classes: ")


def test_augments() -> None:
    write_classes(ROOT, {"cat": 9, "dog": 9})
    plain, augmented = folder_data(normalize="none"), folder_data(normalize="none", augment=True)
    images, labels = next(iter(augmented.train_dataloader()))
    others, same = next(iter(plain.train_dataloader()))
    assert torch.equal(labels, same)
    assert images.shape == others.shape
    assert not torch.equal(images, others)


@pytest.mark.slow
def test_workers_share_the_cache() -> None:
    write_classes(ROOT, {"cat": 9, "dog": 9})
    one, two = folder_data(), folder_data(num_workers=1)
    for (images, _), (others, _) in zip(one.val_dataloader(), two.val_dataloader(), strict=True):
        assert torch.equal(images, others)


def test_images_that_are_there_twice() -> None:
    for part in ("train", "test"):
        write_classes(ROOT / part, {"cat": 5, "dog": 5}, first=1 if part == "train" else 50)
    picture(1).save(ROOT / "test" / "cat" / "again.png")
    picture(2).save(ROOT / "train" / "dog" / "other.png")
    with pytest.warns(UserWarning, match="pictures: ") as caught:
        folder_data(val_size=2)
    (said,) = [str(each.message) for each in caught]
    assert "1 of 11 test images are training images too (pictures/test/cat/again.png is" in said
    assert "1 image(s) are there under two labels (" in said


@pytest.mark.parametrize(
    "own",
    ["runs/x/version_0/config.yaml", "x/version_12/config.yaml", "studies/s/study.yaml", "s/study.yaml"],
)
def test_folders_of_runs_and_studies_are_no_classes(own: str) -> None:
    write_classes(ROOT, {"cat": 4, "dog": 4})
    (ROOT / own).parent.mkdir(parents=True)
    (ROOT / own).write_text("")
    assert class_folders(ROOT) == ("cat", "dog")


def test_a_class_with_a_stray_config_is_a_class() -> None:
    write_classes(ROOT, {"cat": 4, "dog": 4, "bus/version_1": 4})
    (ROOT / "bus" / "config.yaml").write_text("")
    (ROOT / "bus" / "version_1" / "config.yaml").write_text("")
    assert class_folders(ROOT) == ("bus", "cat", "dog")
