"""Images as files have them, and as tensors do."""

import io

import numpy as np
from PIL import Image

from dropout_lab.datamodules.decode import Pixels


def encoded(image: Image.Image, format: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format, **options)
    return stream.getvalue()


def pixels_of(image: Image.Image) -> Pixels:
    return np.asarray(image.convert("RGB")).transpose(2, 0, 1)
