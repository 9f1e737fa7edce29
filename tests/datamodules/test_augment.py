"""Augmentation against what torchvision's definition says, image by image."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from datamodules.augment import InOrder, RandomFlip, RandomShift


@pytest.fixture
def pixels() -> Tensor:
    return torch.randint(1, 256, (64, 3, 6, 7), dtype=torch.uint8)


def shifts(image: Tensor, padding: int) -> list[Tensor]:
    padded = F.pad(image, (padding,) * 4)
    height, width = image.shape[-2:]
    span = range(2 * padding + 1)
    return [padded[:, top : top + height, left : left + width] for top in span for left in span]


def test_each_image_is_one_of_its_shifts(pixels: Tensor) -> None:
    moved = RandomShift(2)(pixels)
    assert moved.dtype == torch.uint8
    for before, after in zip(pixels, moved, strict=True):
        assert sum(torch.equal(after, shift) for shift in shifts(before, 2)) == 1


def test_all_places_are_equally_likely() -> None:
    image = torch.arange(1, 10, dtype=torch.uint8).view(1, 1, 3, 3)
    moved = RandomShift(1)(image.expand(9000, 1, 3, 3))
    counts = torch.tensor([(moved == shift).flatten(1).all(1).sum() for shift in shifts(image[0], 1)])
    assert counts.sum() == 9000
    # Five standard deviations of a binomial count of 9,000 draws at 1/9.
    assert (counts - 1000).abs().max() < 5 * (9000 * 1 / 9 * 8 / 9) ** 0.5


def test_half_of_the_images_are_mirrored() -> None:
    image = torch.arange(1, 7, dtype=torch.uint8).view(1, 1, 2, 3)
    flipped = RandomFlip()(image.expand(10_000, 1, 2, 3))
    same = (flipped == image).flatten(1).all(1)
    mirrored = (flipped == image.flip(-1)).flatten(1).all(1)
    assert (same ^ mirrored).all()
    assert abs(mirrored.sum().item() - 5000) < 5 * 50


def test_in_order(pixels: Tensor) -> None:
    calls = []

    def first(batch: Tensor) -> Tensor:
        calls.append("first")
        return batch

    def second(batch: Tensor) -> Tensor:
        calls.append("second")
        return batch + 1

    assert torch.equal(InOrder((first, second))(pixels), pixels + 1)
    assert calls == ["first", "second"]
