"""A cache of decoded images in the current folder, and what is in it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from dropout_lab.datamodules import decode_cache
from dropout_lab.datamodules.decode import Conversion
from dropout_lab.datamodules.decode_cache import Decoded, decoded_images

STORE = Path("store")


def decoded(
    files: Sequence[Path], size: int = 8, unreadable: decode_cache.Unreadable = "error", **how: Any
) -> Decoded:
    return decoded_images(files, Conversion(size, **how), STORE, unreadable, "Pictures")


def arrays() -> list[Path]:
    return sorted(STORE.glob("*.npy"))


def contents() -> list[str]:
    return sorted(path.name for path in STORE.iterdir())


def assert_right(found: Decoded, files: Sequence[Path]) -> None:
    for row, file in zip(found.rows, files, strict=True):
        assert np.array_equal(found.pixels[row].permute(1, 2, 0), np.asarray(Image.open(file))), file
