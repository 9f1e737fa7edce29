"""Normalizations against NumPy."""

import numpy as np
import pytest
import torch
from torch import Tensor

from dropout_lab.datamodules.batches import Images
from dropout_lab.datamodules.normalize import NORMALIZATIONS, channel_statistics


def images(pixels: Tensor) -> Images:
    return Images(pixels, torch.zeros(len(pixels), dtype=torch.long))


@pytest.fixture
def pixels() -> Tensor:
    return torch.randint(0, 256, (5000, 3, 4, 5), dtype=torch.uint8)


def test_channel_statistics_are_exact(pixels: Tensor) -> None:
    mean, deviation = channel_statistics(images(pixels))
    array = pixels.numpy().astype(np.float64)
    np.testing.assert_allclose(mean.flatten(), array.mean(axis=(0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(deviation.flatten(), array.std(axis=(0, 2, 3)), rtol=1e-12)


def test_each_against_numpy(pixels: Tensor) -> None:
    x = pixels.numpy().astype(np.float64)
    mean, deviation = x.mean((0, 2, 3), keepdims=True), x.std((0, 2, 3), keepdims=True)
    expected = {
        "standard": (x - mean) / deviation,
        "mean-255": (x - mean) / 255,
        "mean-scalar-255": (x - x.mean()) / 255,
        "mean-image": x - x.mean(0),
        "none": x / 255,
    }
    assert expected.keys() == NORMALIZATIONS.keys()
    for name, values in expected.items():
        found = NORMALIZATIONS[name](images(pixels))(pixels)
        assert found.dtype == torch.float32
        np.testing.assert_allclose(found.numpy(), values, atol=1e-4)


@pytest.mark.parametrize("name", NORMALIZATIONS)
def test_inverse_gives_the_pixels_back(name: str, pixels: Tensor) -> None:
    normalization = NORMALIZATIONS[name](images(pixels))
    back = normalization.inverse(normalization(pixels))
    assert torch.allclose(back, pixels / 255, atol=1e-5)


def test_a_channel_of_one_value_becomes_zero() -> None:
    pixels = torch.full((3, 1, 2, 2), 7, dtype=torch.uint8)
    assert torch.equal(NORMALIZATIONS["standard"](images(pixels))(pixels), torch.zeros(3, 1, 2, 2))


def test_leaves_its_input_alone(pixels: Tensor) -> None:
    before = pixels.clone()
    NORMALIZATIONS["standard"](images(pixels))(pixels)
    assert torch.equal(before, pixels)


@pytest.mark.parametrize("name", ["standard", "mean-image"])
def test_statistics_of_rows_are_those_of_the_rows_alone(name: str, pixels: Tensor) -> None:
    rows = torch.tensor([4, 0, 7])
    of_rows = NORMALIZATIONS[name](Images(pixels, torch.zeros(3, dtype=torch.long), rows))
    copied = NORMALIZATIONS[name](images(pixels[rows]))
    assert torch.equal(of_rows.shift, copied.shift)
    assert torch.equal(of_rows.scale, copied.scale)


@pytest.mark.parametrize("name", NORMALIZATIONS)
def test_one_image_and_a_channel_of_one_value_are_finite_and_come_back(name: str) -> None:
    pixels = torch.randint(0, 256, (1, 3, 4, 4), dtype=torch.uint8)
    pixels[:, 1] = 255
    normalization = NORMALIZATIONS[name](images(pixels))
    normalized = normalization(pixels)
    assert normalized.isfinite().all()
    assert torch.allclose(normalization.inverse(normalized), pixels / 255, atol=1e-6)
