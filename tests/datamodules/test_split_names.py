"""Which folder names mean splits."""

import pytest

from dropout_lab.datamodules.split_names import split_name


@pytest.mark.parametrize(
    ("names", "split"),
    [
        ("train TRAIN Train Training training_set TrainingSet trainset dataset-train train_images 01_train train2017 "
         "trainval train_val TRAIN.v2 images.training traindata Train-Data", "train"),
        ("val VAL valid Validation validation_set dev DEV-set eval evaluation val2017 valset 2_Valid", "val"),
        ("test Test TESTING test_set testset tests Testing-Data holdout TestImages", "test"),
    ],
)  # fmt: skip
def test_names_of_splits(names: str, split: str) -> None:
    for name in names.split():
        assert split_name(name) == (split, ""), name


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("seg_train", ("train", "seg")),
        ("seg_test", ("test", "seg")),
        ("chest-xray Training", ("train", "chest xray")),
        ("freight_train", ("train", "freight")),
        ("тест test", ("test", "тест")),
        ("Straße_val", ("val", "strasse")),
    ],
)
def test_a_word_among_others(name: str, expected: tuple[str, str]) -> None:
    assert split_name(name) == expected


@pytest.mark.parametrize(
    "name", ["cat", "trainers", "contest", "invalid", "testimonial", "terrain", "device", "medieval", "strain",
             "train_test", "test-val", "", "123", "data"],
)  # fmt: skip
def test_other_names(name: str) -> None:
    assert split_name(name) is None
