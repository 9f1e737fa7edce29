"""Augmentation against what torchvision's definition says, image by image."""

import pytest
import torch
import torch.nn.functional as F
import torchvision.transforms.v2.functional as tvf
from torch import Tensor

from dropout_lab.datamodules.augment import (
    RandomFlip,
    RandomResizedCrop,
    RandomShift,
    resized_crops,
)


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


def test_vertical_flips_are_drawn_apart() -> None:
    image = torch.arange(1, 7, dtype=torch.uint8).view(1, 1, 2, 3)
    flipped = RandomFlip(vertical=True)(image.expand(10_000, 1, 2, 3))
    forms = [image, image.flip(-1), image.flip(-2), image.flip(-1, -2)]
    counts = torch.tensor([(flipped == form).flatten(1).all(1).sum() for form in forms])
    assert counts.sum() == 10_000
    assert (counts - 2500).abs().max() < 5 * (10_000 * 3 / 16) ** 0.5


def test_resized_crops_are_torchvisions_one_by_one(pixels: Tensor) -> None:
    sides = torch.stack((torch.randint(1, 7, (64,)), torch.randint(1, 8, (64,))))
    starts = (torch.rand(2, 64) * (torch.tensor([[7], [8]]) - sides)).long()
    found = resized_crops(pixels, starts.float(), sides.float())
    assert found.dtype == torch.uint8
    for image, (top, left), (height, width), crop in zip(pixels, starts.T, sides.T, found, strict=True):
        expected = tvf.resized_crop(
            image.float(), int(top), int(left), int(height), int(width), [6, 7], antialias=False
        )
        # Half a level of rounding, and a float's last digits.
        assert (crop - expected).abs().max() < 0.501


def test_the_whole_image_stays_as_it_is(pixels: Tensor) -> None:
    assert torch.equal(RandomResizedCrop(scale=(1, 1), ratio=(1, 1))(pixels), pixels)


def test_crops_are_of_the_shares_and_ratios_asked_for() -> None:
    # Pixels that say where they are: the slope within a crop is its size.
    rows, columns = torch.meshgrid(torch.arange(128), torch.arange(128), indexing="ij")
    image = torch.stack((rows, columns)).to(torch.uint8).expand(500, 2, 128, 128)
    crops = RandomResizedCrop(scale=(0.2, 0.5), ratio=(0.5, 2))(image).float()
    heights = (crops[:, 0, -1, 0] - crops[:, 0, 0, 0]) / 127
    widths = (crops[:, 1, 0, -1] - crops[:, 1, 0, 0]) / 127
    area, ratio = heights * widths, (widths / heights).log2()
    assert area.min() > 0.18
    assert area.max() < 0.52
    assert ratio.abs().max() < 1.05
    # Uniform: means in the middle, to five standard deviations.
    assert abs(area.mean() - 0.35) < 5 * 0.3 / 12**0.5 / 500**0.5 + 0.005
    assert abs(ratio.mean()) < 5 * 2 / 12**0.5 / 500**0.5 + 0.01
    middle = (crops[:, 0, -1, 0] + crops[:, 0, 0, 0]) / 2
    assert abs(middle.mean() - 63.5) < 5 * 20 / 500**0.5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scale": (0.5, 1.5)}, "scale must be two shares"),
        ({"scale": (0.5, 0.2)}, "scale must be two shares"),
        ({"ratio": (0, 1)}, "ratio must be two positive numbers"),
    ],
)
def test_ranges_that_cannot_be(arguments: dict[str, tuple[float, float]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RandomResizedCrop(**arguments)
