"""An image file's bytes as pixels: RGB, a square, 8 bits."""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
import PIL
from PIL import Image, ImageFile, ImageOps

from dropout_lab.datamodules.formats import FORMATS

Pixels = npt.NDArray[np.uint8]

DECODER = f"2, Pillow {PIL.__version__}, {' '.join(FORMATS)}"
"""Changes whenever the same bytes may become other pixels."""

WHITE = (255, 255, 255, 255)


@contextmanager
def strict_pillow() -> Iterator[None]:
    """Let no truncated file and no monstrous image pass, whatever another library has told Pillow.

    The two are settings of the process: enter once, around all threads that decode.
    """
    before = ImageFile.LOAD_TRUNCATED_IMAGES
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            yield
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = before


def decode(content: bytes, size: int) -> Pixels:
    """Decode an image to ``(3, size, size)``, or raise ValueError or whatever Pillow raises.

    - It is turned upright as its EXIF orientation says.
    - Grayscale, palettes, CMYK become RGB. What is transparent lies on white.
    - Of 16 bits the upper 8 are kept; they are scaled so, not clipped.
    - The largest square in the middle is resized, bilinear with antialiasing. For square images this is torchvision's
      ``Resize(size)``; for others its ``Resize(size)`` and ``CenterCrop(size)``, without rounding in between and
      without a look at pixels that are cropped. An image of that size is left as it is: pixel for pixel
      Pillow's. Pillow's ``draft``, which is faster on large JPEGs, gives other pixels and is not used.
    - Of several frames the first counts.
    """
    if not content:
        raise ValueError("empty, 0 bytes")
    try:
        opened = Image.open(io.BytesIO(content), formats=FORMATS)
    except PIL.UnidentifiedImageError as error:
        raise ValueError(f"no image in a known format ({', '.join(FORMATS)})") from error
    with opened:
        # Truncated files show here; a PNG's EXIF may come after its pixels.
        opened.load()
        ImageOps.exif_transpose(opened, in_place=True)
        image = _rgb(opened)
        width, height = image.size
        if (width, height) != (size, size):
            side = min(width, height)
            left, top = (width - side) / 2, (height - side) / 2
            box = (left, top, left + side, top + side)
            image = image.resize((size, size), Image.Resampling.BILINEAR, box=box)
        return np.asarray(image).transpose(2, 0, 1)


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB" and not image.has_transparency_data:
        return image
    if image.mode.startswith("I;16") or image.mode == "I":
        values = np.asarray(image)
        # Pillow opens some 16-bit files as 32-bit integers.
        if values.min() < 0 or values.max() > 65535:
            raise ValueError("pixels of 32 bits, which have no scale of 0 to 255")
        return Image.fromarray((values >> 8).astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        raise ValueError("floating-point pixels, which have no scale of 0 to 255")
    if image.has_transparency_data:
        ground = Image.new("RGBA", image.size, WHITE)
        return Image.alpha_composite(ground, image.convert("RGBA")).convert("RGB")
    return image.convert("RGB")
