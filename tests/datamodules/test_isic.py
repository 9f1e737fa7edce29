"""ISIC 2020: labels, images, splits by patient."""

import codecs
import logging
import re
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dropout_lab.datamodules import DataError, ISICDataModule
from dropout_lab.datamodules.isic_files import Case, LabelledImages, Metadata, read_cases, read_duplicates
from tests.data.isic import archive_csv, kaggle_csv, kaggle_rows, write_isic


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_isic(tmp_path / "data")


def isic(folder: Path, **arguments: object) -> ISICDataModule:
    settings = {
        "root": str(folder.parent),
        "image_size": 16,
        "cache": str(folder.parent / "cache"),
        **arguments,
    }
    data = ISICDataModule(**settings)  # type: ignore[arg-type]
    data.prepare_data()
    return data


def test_both_label_files_say_the_same(tmp_path: Path) -> None:
    kaggle, archive = tmp_path / "train.csv", tmp_path / "v2.csv"
    kaggle.write_bytes(kaggle_csv(kaggle_rows()).encode())
    archive.write_bytes(archive_csv(kaggle_rows()).encode())
    cases = read_cases(kaggle)
    assert cases == read_cases(archive)
    assert len(cases) == 90
    by_name = {case.image: case for case in cases}
    assert by_name["ISIC_0000000"] == Case("ISIC_0000000", 1, "IP_0000000", 30.0, "female", "lower extremity")
    assert by_name["ISIC_0000100"].sex is None
    assert by_name["ISIC_0000200"].age is None
    assert by_name["ISIC_0000300"].site is None


def excel(separator: str = ";", end: str = "\n", decimal: str = ",", quote: str = "") -> str:
    """Return Kaggle's table as a spreadsheet of another country saves it."""
    rows = [row.split(",") for row in kaggle_csv(kaggle_rows()).splitlines()]
    cells = ([f"{quote}{cell.replace('.', decimal)}{quote}" for cell in row] for row in rows)
    return "".join(separator.join(row) + end for row in cells)


def with_unknown(word: str) -> str:
    """Return Kaggle's table with a word where nothing is known."""
    return "".join(
        ",".join(cell or word for cell in row.split(",")) + "\n"
        for row in kaggle_csv(kaggle_rows()).splitlines()
    )


def with_last_columns_moved() -> str:
    """Return Kaggle's table with the columns that are needed first, and rows that end where nothing more is known."""
    order = [0, 1, 7, 5, 6, 2, 3, 4]
    rows = [row.split(",") for row in kaggle_csv(kaggle_rows()).splitlines()]
    return "".join(",".join(row[place] for place in order).rstrip(",") + "\n" for row in rows)


@pytest.mark.parametrize(
    "content",
    [
        excel().encode(),
        excel("\t", decimal=".").encode("utf-16"),
        codecs.BOM_UTF16_BE + excel("\t", "\r\n").encode("utf-16-be"),
        excel(end="\r\n").encode("utf-8-sig"),
        excel(end="\r", quote='"').encode(),
        excel(",", quote='"').encode(),
        excel("|", decimal=".").encode(),
        b"sep=;\r\n" + excel(end="\r\n").encode(),
        f"{excel()};;;;;;;\n\n  ;\n;\n".encode(),
        excel(end=";;\n").encode(),
        "".join(f"{number or ''};{row}\n" for number, row in enumerate(excel().splitlines())).encode(),
        *(with_unknown(word).encode() for word in ("NaN", "NA", "n/a", " ", "NULL", "None")),
        with_last_columns_moved().encode(),
        kaggle_csv(kaggle_rows()).replace("image_name", "Image_Name").replace("target", " Target ", 1).encode(),
        re.sub(r"(ISIC_\d+)", r"\1.jpg", kaggle_csv(kaggle_rows())).encode(),
    ],
    ids=range(20),
)  # fmt: skip
def test_tables_as_people_save_them(tmp_path: Path, content: bytes) -> None:
    kaggle, saved = tmp_path / "train.csv", tmp_path / "saved.csv"
    kaggle.write_bytes(kaggle_csv(kaggle_rows()).encode())
    saved.write_bytes(content)
    assert read_cases(saved) == read_cases(kaggle)


def test_duplicates_as_people_save_them(tmp_path: Path) -> None:
    file = tmp_path / "pairs.csv"
    file.write_bytes("image_name_1;image_name_2\r\nISIC_1;ISIC_2.jpg\r\n;\r\n".encode("utf-16"))
    assert read_duplicates(file) == [("ISIC_1", "ISIC_2")]


@pytest.mark.parametrize("archive", [False, True])
def test_no_patient_and_no_duplicate_in_two_splits(tmp_path: Path, archive: bool) -> None:
    data = isic(write_isic(tmp_path / "data", archive))
    patients = [set(part.patient) for part in data.metadata]
    assert sum(map(len, patients)) == 30
    assert {"IP_0000000", "IP_0000001"} in [part & {"IP_0000000", "IP_0000001"} for part in patients]
    assert sum(len(split.labels) for split in data.splits) == 90


def test_labels_pixels_and_metadata_belong_together(folder: Path) -> None:
    data = isic(folder, train_limit=20)
    targets = {row[0]: int(row[7]) for row in kaggle_rows()}
    for split, known in zip(data.splits, data.metadata, strict=True):
        assert [targets[image] for image in known.image] == split.labels.tolist()
        with Image.open(folder / "train" / f"{known.image[3]}.jpg") as image:
            # 24×20: the square in the middle.
            resized = np.asarray(image.resize((16, 16), Image.Resampling.BILINEAR, box=(2, 0, 22, 20)))
        assert np.array_equal(split.take(torch.tensor([3]))[0].permute(1, 2, 0).numpy(), resized)


@pytest.mark.filterwarnings("ignore:there is no malignant image")
def test_split_and_limit_follow_the_seed(folder: Path) -> None:
    first, same, other = (isic(folder, limit=60, seed=seed) for seed in (1, 1, 2))
    assert first.metadata == same.metadata
    assert first.metadata != other.metadata
    labels = torch.cat([split.labels for split in first.splits])
    assert labels.bincount().tolist() == [56, 4]
    assert sum(len(split.labels) for split in isic(folder, limit=5000).splits) == 90


# Which split the five malignant ones are in may differ with a processor's rounding.
@pytest.mark.filterwarnings("ignore:there is no malignant image")
def test_reports_what_has_no_partner(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    (folder / "train" / "ISIC_0000000.jpg").unlink()
    shutil.copy(folder / "train" / "ISIC_0000001.jpg", folder / "train" / "other.JPG")
    (folder / "train" / "._ISIC_0000001.jpg").write_bytes(b"")
    with caplog.at_level(logging.WARNING):
        data = isic(folder)
    assert "89 labelled images; left out are 1 labels without an image and 1 images without" in caplog.text
    assert sum(len(split.labels) for split in data.splits) == 89


def test_sorted_folders(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    for row in kaggle_rows():
        (folder / row[6]).mkdir(exist_ok=True)
        (folder / "train" / f"{row[0]}.jpg").rename(folder / row[6] / f"{row[0]}.jpg")
    (folder / "train.csv").unlink()
    with caplog.at_level(logging.WARNING):
        data = isic(folder)
    assert "patients may be in two splits" in caplog.text
    assert torch.cat([split.labels for split in data.splits]).bincount().tolist() == [84, 6]
    assert set(data.metadata[0].patient) == {None}


@pytest.mark.parametrize(
    ("doubled", "message"),
    [
        (
            "malignant/ISIC_0000001.jpg",
            "malignant/ISIC_0000001.jpg: is in benign/ too, 1 such. Keep one of each",
        ),
        (
            "benign/ISIC_0000001.png",
            "png: ISIC_0000001.jpg has the same name but for its ending. Keep one of them",
        ),
    ],
)
def test_an_image_twice(folder: Path, doubled: str, message: str) -> None:
    (folder / "train.csv").unlink()
    for name in (doubled, "benign/ISIC_0000001.jpg", "malignant/ISIC_0000000.jpg"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"x")
    with pytest.raises(DataError, match=message):
        isic(folder)


def test_a_split_of_one_class_is_told(folder: Path) -> None:
    rows = [row for row in kaggle_rows() if row[7] == "0" or row[1] == "IP_0000000"]
    (folder / "train.csv").write_text(kaggle_csv(rows))
    with pytest.warns(UserWarning, match="no malignant image among the .* auroc, is nan there") as told:
        isic(folder)
    assert len(told) == 2


def test_balanced_batches(folder: Path) -> None:
    plain, balanced = isic(folder), isic(folder, balance="sampler")
    share = torch.cat([labels for _, labels in balanced.train_dataloader()]).float().mean()
    assert share > 0.25
    labels = torch.cat([labels for _, labels in plain.train_dataloader()])
    assert labels.bincount().tolist() == plain.class_counts.tolist()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "train.csv: is empty"),
        (kaggle_csv([]).encode(), "train.csv: has no rows"),
        (b"image_name,age\na,3\n", "train.csv, line 1: no column patient_id, target; there are image_name, age"),
        (b"image_name,patient_id,target\na,p,2\n", "line 2: target must be 0 .* or 1 .*, got '2'"),
        (b"image_name,patient_id,target\na,p,\n", "line 2: target must be known, got ''"),
        (b"image_name,patient_id,target\na,,1\n", "line 2: patient_id must be known, got ''"),
        (b"image_name,patient_id,target\na,p,1\nb,p,1\na,q,0\n", "line 4: image_name 'a' is on line 2 already"),
        (b"image_name,patient_id,target\na,p\n", "line 2: 2 values, where the header has 3"),
        (b"image_name,patient_id,target\na,p,1\nb,\xe9,1\n", "line 3: is not UTF-8: byte 0xe9, number 3"),
        (b'image_name,patient_id,target\n"a,p,1\n', "line 2: is no CSV: "),
        (b"image_name,patient_id,target,benign_malignant\na,p,1,benign\n",
         "line 2: benign_malignant is 'benign', but target is 1, malignant"),
        (b"image_name,patient_id,target,age_approx\na,p,1,old\n", "line 2: age_approx must be .*, got 'old'"),
        (b"image_name;patient_id;target\na;p;0\nb;p;0,5\n", "line 3: target must be 0 .* or 1 .*, got '0,5'"),
        (b"sep=;\nimage_name;patient_id;target\na;NaN;0\n", "line 3: patient_id must be known, got 'NaN'"),
        (b"image_name,patient_id,target\na,p,0,,\nb,p,0,,x\n", "line 3: 5 values, where the header has 3"),
        (b"image_name,patient_id,target,target\na,p,0,1\n", "line 1: the column target is there 2 times, as .* 3"),
        (b"image_name patient_id target\na p 1\n", "line 1: no column image_name, patient_id, target; there are image"),
        (b"image_name;patient_id;target;age_approx\na;p;1;4,5,6\n", "line 2: age_approx must be .*, got '4,5,6'"),
        (b"\xff\xfei\0m", "line 1: is not UTF-16: byte 0x6d, number 5 of the line. Save it as CSV in UTF-8"),
        (b";;\n;;\n", "train.csv: is empty"),
        (b"image_name,patient_id,target\nnope,p,1\n", "none of its 1 images is in .*train"),
    ],
)  # fmt: skip
def test_bad_label_files(folder: Path, content: bytes, message: str) -> None:
    (folder / "train.csv").write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        isic(folder)
    assert "\n" not in str(caught.value)
    assert str(folder / "train.csv") in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"root": "/nowhere"}, "ISIC 2020 not found: no isic2020/train.csv or .* accept the terms"),
        ({"root": "/nowhere", "download": True}, "ISIC 2020 not found: no isic2020 .* accept the terms"),
        ({"labels": "x.csv"}, "no isic2020/x.csv in"),
        ({"images": "x"}, "no folder isic2020/x in"),
    ],
)
def test_missing_files(folder: Path, arguments: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        isic(folder, **arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"test_size": 0}, "test_size must be"),
        ({"val_size": 0.5, "test_size": 0.5}, "must leave images to train on, got 0.5 and 0.5 of 90 images"),
        ({"limit": 2}, "limit must be 3 or more"),
        ({"balance": "x"}, "balance must be 'none' or 'sampler', got 'x'"),
        ({"seed": -1}, "seed must be 0 or more"),
    ],
)
def test_bad_arguments(folder: Path, arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        isic(folder, **arguments)


def test_all_real_labels(real_data: Path) -> None:
    folder = real_data / "isic2020"
    cases = read_cases(folder / "train.csv")
    assert cases == read_cases(folder / "ISIC_2020_Training_GroundTruth_v2.csv")
    assert Counter(case.target for case in cases) == {0: 32542, 1: 584}
    assert len({case.patient for case in cases}) == 2056
    known = Metadata.of(cases)
    assert [column.count(None) for column in (known.sex, known.age, known.site)] == [65, 68, 527]
    number = {case.image: index for index, case in enumerate(cases)}
    pairs = [
        (number[one], number[two])
        for one, two in read_duplicates(folder / "ISIC_2020_Training_Duplicates.csv")
    ]
    assert len(pairs) == 425
    parts = LabelledImages(cases, [], pairs, [], [], Counter()).split((0.7, 0.1, 0.2), seed=0)
    part_of = np.empty(len(cases), dtype=int)
    owners = []
    for number_of_part, (part, share) in enumerate(zip(parts, (0.7, 0.1, 0.2), strict=True)):
        part_of[part] = number_of_part
        owners.append({cases[index].patient for index in part})
        assert len(part) / len(cases) == pytest.approx(share, abs=0.002)
        assert np.mean([cases[index].target for index in part]) == pytest.approx(0.0176, abs=0.002)
    assert sum(map(len, owners)) == 2056
    assert all(part_of[one] == part_of[two] for one, two in pairs)


def test_real_images(real_data: Path, tmp_path: Path) -> None:
    data = ISICDataModule(str(real_data), image_size=32, cache=str(tmp_path / "cache"))
    data.prepare_data()
    assert torch.cat([split.labels for split in data.splits]).bincount().tolist() == [286, 316]
    assert sum(len(set(known.patient)) for known in data.metadata) == 388
    with Image.open(real_data / "isic2020" / "train" / f"{data.metadata[2].image[0]}.jpg") as image:
        expected = np.asarray(image.resize((32, 32), Image.Resampling.BILINEAR))
    assert np.array_equal(data.splits.test.take(torch.tensor([0]))[0].permute(1, 2, 0).numpy(), expected)
