"""What every data module keeps to: arguments, splits, loaders."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import distributed

from dropout_lab.datamodules import (
    CIFAR10DataModule,
    DataError,
    DigitsDataModule,
    ImageDataModule,
    MNISTDataModule,
)


@pytest.fixture(params=["digits", "mnist", "cifar10"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> "Maker":
    if request.param == "digits":
        return Maker(DigitsDataModule, tmp_path)
    if request.param == "mnist":
        return Maker(MNISTDataModule, request.getfixturevalue("mnist_root"), val_size=10)
    return Maker(CIFAR10DataModule, request.getfixturevalue("cifar10_root"), val_size=10)


class Maker:
    """Makes data modules of one class on tiny files."""

    def __init__(self, kind: type[ImageDataModule], root: Path, **defaults: object) -> None:
        self.kind, self.root, self.defaults = kind, root, defaults

    def __call__(self, **arguments: object) -> ImageDataModule:
        data = self.kind(root=str(self.root), **{**self.defaults, **arguments})  # type: ignore[arg-type]
        data.prepare_data()
        return data


def test_batches_are_images_and_labels(make: Maker) -> None:
    data = make(batch_size=7)
    for loader in (data.train_dataloader(), data.val_dataloader(), data.test_dataloader()):
        images, labels = next(iter(loader))
        assert images.shape == (7, *data.image_shape)
        assert images.dtype == torch.float32
        assert labels.shape == (7,)
        assert labels.dtype == torch.int64
        assert labels.min() >= 0
        assert labels.max() < data.num_classes
    assert len(data.class_names) == data.num_classes


def test_every_training_image_once_an_epoch(make: Maker) -> None:
    data = make(normalize="none")
    labels = torch.cat([labels for _, labels in data.train_dataloader()])
    assert torch.equal(labels.sort().values, data.splits.train.labels.sort().values)


def test_order_of_training_images_follows_the_seed(make: Maker) -> None:
    orders = []
    for seed in (1, 1, 2):
        data = make()
        data.seed = seed
        orders.append(torch.cat([labels for _, labels in data.train_dataloader()]))
    assert torch.equal(orders[0], orders[1])
    assert not torch.equal(orders[0], orders[2])


def test_epochs_differ_in_order(make: Maker) -> None:
    loader = make().train_dataloader()
    first, second = (torch.cat([labels for _, labels in loader]) for _ in range(2))
    assert not torch.equal(first, second)


def test_evaluation_is_in_order(make: Maker) -> None:
    data = make()
    labels = torch.cat([labels for _, labels in data.test_dataloader()])
    assert torch.equal(labels, data.splits.test.labels)
    assert torch.equal(labels, torch.cat([labels for _, labels in data.predict_dataloader()]))


def test_train_limit_takes_the_first_and_keeps_the_statistics(make: Maker) -> None:
    all_of_them, few = make(), make(train_limit=5)
    assert torch.equal(few.splits.train.pixels, all_of_them.splits.train.pixels[:5])
    assert torch.equal(few.normalization.shift, all_of_them.normalization.shift)
    assert len(few.splits.val.labels) == len(all_of_them.splits.val.labels)


def test_statistics_come_from_the_train_split_alone(make: Maker) -> None:
    data = make(normalize="mean-image")
    expected = data.splits.train.pixels.double().mean(0).float()
    assert torch.equal(data.normalization.shift, expected)


def test_image_size(make: Maker) -> None:
    data = make(image_size=16)
    assert data.image_shape[1:] == (16, 16)
    images, _ = next(iter(data.train_dataloader()))
    assert images.shape[1:] == data.image_shape


def test_augments_training_images_only(make: Maker) -> None:
    plain, augmented = make(normalize="none"), make(normalize="none", augment=True)
    for get in (ImageDataModule.val_dataloader, ImageDataModule.test_dataloader):
        assert torch.equal(next(iter(get(plain)))[0], next(iter(get(augmented)))[0])
    assert not torch.equal(
        next(iter(plain.train_dataloader()))[0], next(iter(augmented.train_dataloader()))[0]
    )


def test_to_pixels_undoes_the_normalization(make: Maker) -> None:
    data = make(normalize="standard")
    images, _ = next(iter(data.test_dataloader()))
    stored = data.splits.test.pixels[: len(images)] / 255
    assert torch.allclose(data.to_pixels(images), stored, atol=1e-5)


def test_workers_give_the_same_batches(make: Maker) -> None:
    one, two = make(), make(num_workers=1)
    for (images, _), (others, _) in zip(one.val_dataloader(), two.val_dataloader(), strict=True):
        assert torch.equal(images, others)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_size": 0}, "batch_size must be 1 or more, got 0"),
        ({"num_workers": -1}, "num_workers must be 0 or more, got -1"),
        ({"val_size": 0}, "val_size must be a number of images"),
        ({"val_size": 1.0}, r"val_size must be .* or a share in \(0, 1\), got 1.0"),
        ({"val_size": -0.5}, "val_size must be"),
        ({"train_limit": 0}, "train_limit must be 1 or more, got 0"),
        ({"image_size": 0}, "image_size must be 1 or more, got 0"),
        (
            {"normalize": "z"},
            "normalize must be one of standard, mean-255, mean-scalar-255, mean-image, none, got 'z'",
        ),
    ],
)
def test_bad_arguments_at_construction(make: Maker, arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(**arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"val_size": 10**9}, "val_size must leave images on both sides"),
        ({"train_limit": 10**9}, "train_limit must be at most"),
    ],
)
def test_sizes_that_the_data_do_not_have(make: Maker, arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(**arguments)


def test_data_before_setup() -> None:
    with pytest.raises(RuntimeError, match=r"call setup\(\) of DigitsDataModule"):
        DigitsDataModule().train_dataloader()


@pytest.mark.parametrize("kind", [MNISTDataModule, CIFAR10DataModule])
def test_missing_files_name_the_folder_and_both_remedies(kind: type[ImageDataModule], tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        kind(root=str(tmp_path / "nowhere")).prepare_data()
    message = str(caught.value)
    assert str(tmp_path / "nowhere") in message
    assert "--data.root FOLDER" in message
    assert "--data.download true" in message


def test_classes_are_numbered_as_a_run_has_them() -> None:
    data = DigitsDataModule()
    data.prepare_data()
    before = data.splits.test.labels
    names = ["none", *reversed(data.class_names)]
    with pytest.warns(UserWarning, match=r"of 1 of the run's 11 classes \(none\)"):
        data.take_classes(names)
    assert data.num_classes == 11
    assert data.class_names == tuple(names)
    assert torch.equal(data.splits.test.labels, 10 - before)
    with pytest.raises(DataError, match="the class 'none', which the run was not trained on"):
        data.take_classes("0123456789")


def test_fewer_images_than_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    data = DigitsDataModule(val_size=10)
    data.prepare_data()
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 11)
    with pytest.raises(DataError, match=r"11 processes \(trainer.devices\) are more than the 10 image"):
        data.val_dataloader()


def test_training_images_to_be_measured_on(monkeypatch: pytest.MonkeyPatch) -> None:
    data = DigitsDataModule(batch_size=7, train_limit=50, seed=3, augment=True)
    data.prepare_data()
    train = data.splits.train

    def seen(images: int | None, step: int) -> list[tuple[list[float], int]]:
        batches = list(data.training_batches(images, step))
        assert all(len(labels) <= 7 for _, labels in batches)
        return [
            (image.flatten().tolist(), int(label))
            for batch in batches
            for image, label in zip(*batch, strict=True)
        ]

    def expected(index: list[int]) -> list[tuple[list[float], int]]:
        pixels = data.normalization(train.pixels)
        return [(pixels[i].flatten().tolist(), int(train.labels[i])) for i in index]

    before = torch.get_rng_state()
    # All of a split that has no more, and as they are stored: not augmented.
    assert seen(None, 5) == seen(50, 5) == seen(1000, 9) == expected(list(range(50)))
    # Fewer are drawn, anew at each step.
    drawn = np.random.default_rng((3, 5, 50)).integers(50, size=30).tolist()
    assert seen(30, 5) == expected(drawn) == seen(30, 5)
    assert seen(30, 6) != seen(30, 5)
    assert torch.equal(before, torch.get_rng_state())
    monkeypatch.setattr(distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(distributed, "get_world_size", lambda: 2)
    for rank in (0, 1):
        monkeypatch.setattr(distributed, "get_rank", lambda rank=rank: rank)
        assert seen(30, 5) == expected(drawn[rank::2])
