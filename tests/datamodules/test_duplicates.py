"""Equal files: in two splits, under two labels."""

from pathlib import Path

import torch

from dropout_lab.datamodules.duplicates import Part, duplicates


def part(name: str, labels: list[int], rows: list[int]) -> Part:
    files = [Path(f"{name}/{number}.png") for number in range(len(rows))]
    return Part(files, torch.tensor(labels, dtype=torch.int64), torch.tensor(rows, dtype=torch.int64))


def test_none() -> None:
    # Twice in one split, under one label.
    parts = {"training": part("train", [0, 0, 1], [4, 4, 0]), "test": part("test", [1, 0], [3, 2])}
    assert duplicates(parts) == []


def test_test_images_that_are_training_images() -> None:
    parts = {
        "training": part("train", [0, 0, 1], [4, 5, 0]),
        "validation": part("val", [], []),
        "test": part("test", [1, 0, 0], [0, 5, 1]),
    }
    assert duplicates(parts) == [
        "2 of 3 test images are training images too (test/0.png is train/2.png; test/1.png is train/1.png)"
    ]


def test_an_image_under_two_labels() -> None:
    parts = {"training": part("train", [0, 1, 1], [4, 0, 4]), "test": part("test", [0], [2])}
    assert duplicates(parts) == ["1 image(s) are there under two labels (train/0.png is train/2.png)"]


def test_many_are_counted() -> None:
    many = part("train", [0] * 5, [*range(5)])
    (said,) = duplicates({"training": many, "test": part("test", [0] * 5, [*range(5)])})
    assert said.startswith("5 of 5 test images are")
    assert said.endswith("test/2.png is train/2.png; and 2 more)")
