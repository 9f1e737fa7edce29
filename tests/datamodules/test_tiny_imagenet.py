"""Tiny ImageNet's tree: read right, and every way in which it can be wrong."""

import os
import re
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from dropout_lab.app.main import main
from dropout_lab.datamodules import (
    DatasetCorruptError,
    DatasetNotFoundError,
    TinyImageNetDataModule,
    tiny_imagenet,
)
from dropout_lab.datamodules.download import Archive
from dropout_lab.datamodules.tiny_imagenet import annotated_files, read_wnids, train_files
from tests.data.tiny_imagenet import WNIDS, write_tiny_imagenet


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_tiny_imagenet(tmp_path)


def data(root: Path, **arguments: object) -> TinyImageNetDataModule:
    module = TinyImageNetDataModule(str(root), **arguments)  # type: ignore[arg-type]
    module.prepare_data()
    return module


def decoded(file: Path) -> Tensor:
    with Image.open(file) as image:
        return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)


def test_labels_are_lines_of_wnids(folder: Path) -> None:
    module = data(folder.parent, val_size=3)
    assert module.num_classes == 3
    assert module.image_shape == (3, 64, 64)
    # The last one is not in words.txt.
    assert module.class_names == ("teapot", "black stork", "n02000000")
    for split in module.splits:
        # The brightest channel is that of the label; grey images have none.
        means = split.take(torch.arange(len(split.labels))).double().mean(dim=(2, 3))
        coloured = means.amax(dim=1) > means.amin(dim=1)
        assert torch.equal(means.argmax(dim=1)[coloured], split.labels[coloured])


def test_classes_and_shapes_are_known_before_reading(folder: Path) -> None:
    module = TinyImageNetDataModule(str(folder.parent), image_size=32)
    assert (module.num_classes, module.image_shape) == (3, (3, 32, 32))
    assert not Path(os.environ["DROPOUT_LAB_CACHE"]).exists()


def test_each_class_has_its_share_of_each_split(folder: Path) -> None:
    train, val, test = data(folder.parent, val_size=0.2).splits
    assert [split.labels.bincount().tolist() for split in (train, val, test)] == [[8] * 3, [2] * 3, [5] * 3]
    assert train.rows is not None
    assert val.rows is not None
    assert not set(train.rows.tolist()) & set(val.rows.tolist())


def test_test_images_are_as_annotated(folder: Path) -> None:
    test = data(folder.parent).splits.test
    for number in range(len(test.labels)):
        pixels = test.take(torch.tensor([number]))[0]
        assert torch.equal(pixels, decoded(folder / "val" / "images" / f"val_{number}.JPEG"))
        assert test.labels[number] == -number % 3


def test_the_seed_draws_the_split(folder: Path) -> None:
    names = [data(folder.parent, seed=seed).find().val.files for seed in (0, 0, 1)]
    assert names[0] == names[1]
    assert set(names[0]) != set(names[2])


def test_few_training_images_are_not_of_one_class(folder: Path) -> None:
    assert set(data(folder.parent, train_limit=12).splits.train.labels.tolist()) == {0, 1, 2}


@pytest.mark.parametrize("val_size", [2, 28])
def test_a_split_without_a_class(folder: Path, val_size: int) -> None:
    with pytest.raises(ValueError, match=f"val_size must leave 3 images or more.*{val_size} of 30 images"):
        data(folder.parent, val_size=val_size)


def test_windows_line_ends(folder: Path) -> None:
    expected = data(folder.parent).splits.test.labels
    for file in folder.rglob("*.txt"):
        file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    module = data(folder.parent)
    assert torch.equal(module.splits.test.labels, expected)
    assert module.class_names[0] == "teapot"


@pytest.mark.parametrize("name", ["wnids.txt", "words.txt", "val/val_annotations.txt"])
def test_a_missing_file_of_a_tree(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(DatasetNotFoundError, match=f"no tiny-imagenet-200/{name} in the folder") as caught:
        data(folder.parent)
    # A download would not touch the folder.
    assert f"--data.root FOLDER, or delete {folder} and fetch" in str(caught.value)


ANNOTATION = "val_0.JPEG\tn03000000\t0\t32\t44\t62\n"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("wnids.txt", "", "wnids.txt:1: '' is no WordNet id"),
        ("wnids.txt", "n03000000\nn01000000\n\nn02000000\n", "wnids.txt:3: '' is no WordNet id"),
        ("wnids.txt", "n03000000\n../../etc\n", "wnids.txt:2: '../../etc' is no WordNet id like n01443537"),
        (
            "wnids.txt",
            "n03000000\nn01000000\nn03000000\n",
            "wnids.txt:3: n03000000 is there already, in line 1",
        ),
        (
            "wnids.txt",
            "n03000000\nn01000000\nn02000000\nn09000000\n",
            "wnids.txt:4: .*n09000000/images holds 0 JPEG",
        ),
        ("wnids.txt", "n03000000\nn01000000\n", "train/n02000000: this class is not in wnids.txt"),
        ("wnids.txt", b"\xff\xfe", "wnids.txt: no text in UTF-8"),
        (
            "val/val_annotations.txt",
            "",
            "val_annotations.txt:1: '' is not a file, a WordNet id and four numbers",
        ),
        (
            "val/val_annotations.txt",
            f"{ANNOTATION}val_1.JPEG n03000000\n",
            "val_annotations.txt:2: .* by tabs",
        ),
        (
            "val/val_annotations.txt",
            ANNOTATION.replace("n03", "n09"),
            ":1: the class 'n09000000' is not in wnids",
        ),
        (
            "val/val_annotations.txt",
            ANNOTATION.replace("val_0", "val_99"),
            ":1: there is no image 'val_99.JPEG' in",
        ),
        (
            "val/val_annotations.txt",
            ANNOTATION.replace("val_0", "../x"),
            ":1: there is no image '../x.JPEG' in",
        ),
        ("val/val_annotations.txt", ANNOTATION * 2, ":2: val_0.JPEG has a line already"),
        ("val/val_annotations.txt", ANNOTATION, "14 images have no line, val_1.JPEG for one"),
    ],
    ids=range(14),
)
def test_label_files_that_cannot_be_used(folder: Path, name: str, content: str | bytes, message: str) -> None:
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DatasetCorruptError, match=message) as caught:
        data(folder.parent)
    assert str(caught.value).startswith(str(folder))
    assert f"Mend it, or delete {folder} and fetch it again" in str(caught.value)


def test_a_missing_class_folder(folder: Path) -> None:
    shutil.rmtree(folder / "train" / WNIDS[1])
    with pytest.raises(DatasetCorruptError, match=f"wnids.txt:2: .*{WNIDS[1]}/images holds 0 JPEG files"):
        data(folder.parent)


def test_missing_images(folder: Path) -> None:
    shutil.rmtree(folder / "val" / "images")
    with pytest.raises(DatasetCorruptError, match="val_annotations.txt:1: there is no image 'val_0.JPEG'"):
        data(folder.parent)


FIT = "fit --data TinyImageNetDataModule --model.network FullyConnected --model.network.hidden [4]"


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The folders that a download was asked for; it writes three classes."""
    asked: list[Path] = []

    def fake(archive: Archive, root: Path) -> None:
        assert archive is tiny_imagenet.OFFICIAL
        asked.append(root)
        if not (root / archive.folder).exists():
            write_tiny_imagenet(root)

    monkeypatch.setattr(tiny_imagenet, "fetch_archive", fake)
    return asked


@pytest.mark.parametrize("words", ["--print_config", "--data.help TinyImageNetDataModule", "--help_all"])
def test_asking_for_help_or_settings_downloads_nothing(words: str, fetched: list[Path]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(f"{FIT} --data.download true {words}".split())
    assert ended.value.code == 0
    assert fetched == []


def test_the_network_is_built_before_the_download(fetched: list[Path]) -> None:
    module = TinyImageNetDataModule("new", download=True)
    assert module.num_classes == 200
    assert fetched == []
    module.prepare_data()
    module.prepare_data()
    assert fetched == [Path("new")] * 2
    assert module.num_classes == 200
    assert len(module.class_names) == 3


def test_a_tree_that_is_there_tells_its_classes_with_download(folder: Path) -> None:
    assert TinyImageNetDataModule(str(folder.parent), download=True).num_classes == 3


def test_fit_that_downloads(fetched: list[Path]) -> None:
    main(f"{FIT} --data.root new --data.download true --data.image_size 8 "
         "--trainer.accelerator cpu --trainer.fast_dev_run 1".split())  # fmt: skip
    assert fetched[0] == Path("new")


def test_a_failed_download_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    unreachable = replace(tiny_imagenet.OFFICIAL, url="http://127.0.0.1:1/x.zip", size=1, most_bytes=1)
    monkeypatch.setattr(tiny_imagenet, "OFFICIAL", unreachable)
    with pytest.raises(SystemExit) as ended:
        main(f"{FIT} --data.download true --trainer.accelerator cpu".split())
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(
        "Tiny ImageNet could not be downloaded into .*data: http://127.0.0.1:1/x.zip: .*refused", line
    )
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize("name", ["num_classes", "class_names"])
def test_what_a_missing_tree_should_tell(name: str) -> None:
    module = TinyImageNetDataModule("nowhere")
    with pytest.raises(DatasetNotFoundError, match="no tiny-imagenet-200/w.*--data.download true"):
        getattr(module, name)


def test_official_counts(real_data: Path) -> None:
    folder = real_data / "tiny-imagenet-200"
    wnids = (folder / "wnids.txt").read_text().split()
    assert wnids != sorted(wnids)
    assert read_wnids(real_data) == tuple(wnids)
    train = train_files(real_data, wnids)
    assert train.labels.bincount().tolist() == [500] * len(wnids)
    for file, label in zip(train.files, train.labels.tolist(), strict=True):
        assert file.name.startswith(f"{wnids[label]}_")
    lines = (folder / "val" / "val_annotations.txt").read_text().splitlines()
    official = {line.split("\t")[0]: line.split("\t")[1] for line in lines}
    test = annotated_files(real_data, wnids)
    found = {file.name: wnids[label] for file, label in zip(test.files, test.labels.tolist(), strict=True)}
    assert found == official
    assert Counter(official.values()) == dict.fromkeys(wnids, 50)


@pytest.fixture
def real_excerpt(real_data: Path, tmp_path: Path) -> Path:
    """Twenty real training images and four of the official validation set of each class, grey ones among them."""
    there, here = real_data / "tiny-imagenet-200", tmp_path / "excerpt" / "tiny-imagenet-200"
    wnids = (there / "wnids.txt").read_text().split()
    for wnid in wnids:
        (here / "train" / wnid).mkdir(parents=True)
        images = sorted((there / "train" / wnid / "images").iterdir(), key=lambda file: _mode(file) != "L")
        (here / "train" / wnid / "images").mkdir()
        for file in images[:20]:
            shutil.copy(file, here / "train" / wnid / "images")
    (here / "val" / "images").mkdir(parents=True)
    kept = []
    for wnid in wnids:
        lines = [
            line
            for line in (there / "val" / "val_annotations.txt").read_text().splitlines(keepends=True)
            if line.split("\t")[1] == wnid
        ]
        kept += lines[:4]
    for line in kept:
        shutil.copy(there / "val" / "images" / line.split("\t")[0], here / "val" / "images")
    (here / "val" / "val_annotations.txt").write_text("".join(kept))
    for name in ("wnids.txt", "words.txt"):
        shutil.copy(there / name, here)
    return here


def _mode(file: Path) -> str:
    with Image.open(file) as image:
        return str(image.mode)


def test_real_images_are_those_that_pillow_decodes(real_excerpt: Path) -> None:
    module = data(real_excerpt.parent)
    files = module.find()
    modes = set()
    for part, split in zip(files, module.splits, strict=True):
        for index, file in enumerate(part.files):
            assert torch.equal(split.take(torch.tensor([index]))[0], decoded(file))
            modes.add(_mode(file))
    assert modes == {"RGB", "L"}
    assert module.class_names[:3] == ("goldfish", "tabby", "teapot")
    assert [len(split.labels) for split in module.splits] == [180, 20, 40]
