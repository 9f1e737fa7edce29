"""Tiny folders of images."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image


def picture(number: int, width: int = 8, height: int = 8) -> Image.Image:
    """Return noise of its own for each number."""
    pixels = np.random.default_rng(number).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def write_pictures(folder: Path, count: int, first: int = 0, suffix: str = ".png") -> list[Path]:
    """Write so many images, all different; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"{number:04}{suffix}" for number in range(first, first + count)]
    for number, file in enumerate(files, first):
        picture(number).save(file)
    return files


def write_classes(root: Path, counts: Mapping[str, int], first: int = 0) -> Path:
    """Write a folder for each class with so many images, all different; return the root."""
    for name, count in counts.items():
        write_pictures(root / name, count, first)
        first += count
    return root
