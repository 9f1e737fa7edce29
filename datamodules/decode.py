"""An image file's bytes as pixels: RGB or grey, a square, 8 bits."""

import io
import re
import struct
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, final, get_args

import numpy as np
import numpy.typing as npt
import PIL
from PIL import ExifTags, Image, ImageCms, ImageFile
from PIL.PpmImagePlugin import PpmImageFile
from PIL.TiffImagePlugin import TiffImageFile

from dropout_lab.datamodules.formats import FORMATS

Pixels = npt.NDArray[np.uint8]
Values = npt.NDArray[np.integer[Any]]

DECODER = f"4, Pillow {PIL.__version__}, {' '.join(FORMATS)}"
"""Changes whenever the same bytes may become other pixels."""

WHITE = (255, 255, 255, 255)
MOST_PIXELS = 2**28
"""Of an image: phones make 2·10⁸. Pillow's own bound, a third of it, is below these."""
LARGE = 2**26
"""Pixels above which images are decoded one at a time: each may take a gigabyte."""

Fit = Literal["crop", "pad", "stretch"]

# 16 bits a channel, of which Pillow takes the first or the second byte, and the same for the other one.
DEEP = re.compile(r"(LA|RGB[AXa]?|CMYK);16([BLN])")
OTHER_BYTE = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}

# TIFF's tags.
BITS_PER_SAMPLE, PHOTOMETRIC, PLANES = 258, 262, 284
WHITE_IS_ZERO, SEPARATE = 0, 2

TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""By EXIF's orientation: how to see an image upright."""

PNG = b"\x89PNG\r\n\x1a\n"
TEXTS = {b"tEXt", b"zTXt", b"iTXt", b"iCCP"}
# Texts, not packed but for EXIF, that may say how the image is turned.
ORIENTING = (b"XML:com.adobe.xmp\0\0", b"Raw profile type exif\0")

_one_large = threading.Lock()


@final
@dataclass(frozen=True)
class Conversion:
    """What becomes of images.

    Attributes:
        size: pixels of a side.
        channels: 3 for RGB, 1 for grey; the grey of colours is 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601).
        fit: what is done with images that are not square: ``"crop"`` takes the largest square in the middle, ``"pad"``
            shows all of the image between black bars, ``"stretch"`` changes its proportions.
        bit_depth: bits of the values in 16-bit images, 8 to 16: their largest value, 2^bits − 1, becomes 255. None: as
            the file says, else those of the image's largest value.
    """

    size: int
    channels: int = 3
    fit: Fit = "crop"
    bit_depth: int | None = None

    def __post_init__(self) -> None:
        if self.channels not in (1, 3):
            raise ValueError(f"channels must be 1 or 3, got {self.channels!r}")
        if self.fit not in get_args(Fit):
            raise ValueError(f"fit must be one of {', '.join(get_args(Fit))}, got {self.fit!r}")
        if self.bit_depth is not None and not 8 <= self.bit_depth <= 16:
            raise ValueError(f"bit_depth must be null or from 8 to 16, got {self.bit_depth!r}")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height, width."""
        return (self.channels, self.size, self.size)


class Converted(NamedTuple):
    """An image as it is kept."""

    pixels: Pixels
    """``(channels, size, size)``."""
    bits: int | None
    """Those of the largest value, by which it was scaled; None: nothing was concluded from the values."""


@contextmanager
def strict_pillow() -> Iterator[None]:
    """Let no truncated file and no monstrous image pass, whatever another library has told Pillow; large ones do.

    These are settings of the process: enter once, around all threads that decode. What Pillow says of damaged
    metadata is not passed on; damaged pixels are errors.
    """
    before = ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS
    ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS = False, MOST_PIXELS
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            yield
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS = before


def decode(
    content: bytes, size: int, channels: int = 3, fit: Fit = "crop", bit_depth: int | None = None
) -> Pixels:
    """Decode an image to ``(channels, size, size)`` by :func:`convert`."""
    return convert(content, Conversion(size, channels, fit, bit_depth)).pixels


def convert(content: bytes, to: Conversion) -> Converted:
    """Decode an image, or raise ValueError or whatever Pillow raises.

    - It is turned upright as its EXIF orientation says. Nothing else of its metadata matters, damaged or not.
    - Grayscale, palettes, CMYK, YCbCr, Lab become RGB, or grey. What is transparent lies on white.
    - Of 16 bits the upper 8 are kept; they are scaled so, not clipped. Cameras of 10, 12 or 14 bits leave the upper
      ones of 16 at 0: see ``bit_depth`` of :class:`Conversion`. 32-bit integers are taken where they are within 16
      bits, floating-point numbers where they are from 0 to 1.
    - It is resized, bilinear with antialiasing. For square images this is torchvision's ``Resize(size)``; cropped ones
      are as by its ``Resize(size)`` and ``CenterCrop(size)``, without rounding in between and without a look at pixels
      that are cropped. An image of that size is left as it is: pixel for pixel Pillow's. Pillow's ``draft``, which is
      faster on large JPEGs, gives other pixels and is not used.
    - Of several frames the first counts.
    """
    if not content:
        raise ValueError("empty, 0 bytes")
    content = _without_texts(content)
    with _open(content) as opened:
        large = opened.width * opened.height > LARGE
        with _one_large if large else nullcontext():
            image, bits = _in_8_bits(opened, content, to.bit_depth)
            image = _fitted(_opaque(image), to.size, to.fit).convert("L" if to.channels == 1 else "RGB")
    pixels = np.asarray(image)
    return Converted(pixels[None] if to.channels == 1 else pixels.transpose(2, 0, 1), bits)


def _without_texts(content: bytes) -> bytes:
    """Leave out a PNG's texts and colour profile: Pillow refuses large ones, and no pixel depends on them."""
    if not content.startswith(PNG):
        return content
    kept, place = [PNG], len(PNG)
    while place < len(content):
        length = int.from_bytes(content[place : place + 4], "big")
        chunk = content[place : place + 12 + length]
        if chunk[4:8] not in TEXTS or chunk[8:].startswith(ORIENTING):
            kept.append(chunk)
        place += len(chunk)
    return b"".join(kept)


def _open(content: bytes) -> ImageFile.ImageFile:
    try:
        return Image.open(io.BytesIO(content), formats=FORMATS)
    except PIL.UnidentifiedImageError as error:
        raise ValueError(f"no image in a known format ({', '.join(FORMATS)})") from error


def _in_8_bits(
    opened: ImageFile.ImageFile, content: bytes, bit_depth: int | None
) -> tuple[Image.Image, int | None]:
    """Return an image upright and in 8 bits a channel, and the ``bits`` of :class:`Converted`."""
    deep = next(filter(None, map(DEEP.fullmatch, _raw_modes(opened))), None)
    told, white_is_zero = _told_bits(opened), False
    if isinstance(opened, TiffImageFile):
        white_is_zero = opened.tag_v2.get(PHOTOMETRIC) == WHITE_IS_ZERO
        if opened.tag_v2.get(PLANES) == SEPARATE and max(opened.tag_v2.get(BITS_PER_SAMPLE, (1,))) > 8:
            raise ValueError("16-bit channels in planes of their own, which Pillow takes for 8 bits")
    image = _upright(opened)
    if image.mode == "F":
        return _of_shares(np.asarray(image)), None
    if deep is not None:
        return _of_deep_colours(image, content, deep[1], deep[2], bit_depth)
    if not image.mode.startswith("I"):
        return image, None
    values = np.asarray(image)
    # Pillow opens some 16-bit files as 32-bit integers.
    if values.min() < 0 or values.max() > 65535:
        raise ValueError(f"values from {values.min()} to {values.max()}, which have no scale of 0 to 255")
    known = bit_depth or told
    bits = known or _bits_of(values)
    grey = _upper_8(values, bits)
    if white_is_zero:
        grey = 255 - grey
    if (key := opened.info.get("transparency")) is not None:
        grey = np.where(values == key, np.uint8(255), grey)
    return Image.fromarray(grey), None if known else bits


def _raw_modes(opened: ImageFile.ImageFile) -> list[str]:
    """Return how Pillow will read the file's pixels, part by part."""
    arguments = (tile.args if isinstance(tile.args, tuple) else (tile.args,) for tile in opened.tile)
    return [str(first) for first, *_ in arguments]


def _told_bits(opened: ImageFile.ImageFile) -> int | None:
    """Return the bits of 16-bit values where the file says others than 16; that says nothing, all writers do."""
    if isinstance(opened, PpmImageFile) and any(tile.codec_name != "raw" for tile in opened.tile):
        # Pillow has scaled them from the largest value that the header names.
        return 16
    if isinstance(opened, TiffImageFile):
        bits = opened.tag_v2.get(BITS_PER_SAMPLE, (8,))[0]
        return int(bits) if 8 < bits < 16 else None
    return None


def _upright(opened: ImageFile.ImageFile) -> Image.Image:
    # Pillow turns TIFFs itself when it loads them, and writes their EXIF anew; others' EXIF may come after the pixels.
    if isinstance(opened, TiffImageFile):
        orientation = _take_orientation(opened)
        opened.load()
    else:
        # Truncated files show here.
        opened.load()
        orientation = _take_orientation(opened)
    turn = TURNS.get(orientation)
    return opened if turn is None else opened.transpose(turn)


def _take_orientation(opened: ImageFile.ImageFile) -> Any:
    try:
        return opened.getexif().pop(ExifTags.Base.Orientation, None)
    except (SyntaxError, ValueError, TypeError, LookupError, struct.error, OSError):
        # So damaged that it says nothing of the image, which viewers show as it is stored.
        return None


def _upper_8(values: Values, bits: int) -> Pixels:
    if (most := int(values.max())) >= 1 << bits:
        raise ValueError(f"a value of {most}, where {bits} bits end at {(1 << bits) - 1}; see bit_depth")
    return (values >> (bits - 8)).astype(np.uint8)


def _bits_of(values: Values) -> int:
    return max(8, int(values.max()).bit_length())


def _of_deep_colours(
    image: Image.Image, content: bytes, channels: str, order: str, bit_depth: int | None
) -> tuple[Image.Image, int | None]:
    """Return colours of 16 bits, ``image`` with their upper bytes, in 8 bits."""
    # A transparent colour is told in 16 bits.
    key = image.info.pop("transparency", None)
    upper = np.asarray(image)
    inks = 4 if channels == "CMYK" else 3
    # Of colours that are multiplied by their opacity Pillow has divided the upper byte.
    exact = bit_depth not in (None, 16) or key is not None or channels == "RGBa"
    few = exact or upper[..., :inks].max() < 128
    values = _both_bytes(content, channels, order) if few else upper.astype(np.uint16) << 8
    colours = values[..., :inks]
    bits = bit_depth or _bits_of(colours)
    eight = _upper_8(colours, bits)
    if key is not None:
        eight[(colours == np.array(key, dtype=np.uint16)).all(axis=2)] = 255
    if values.shape[2] > inks:
        # Of all 16 bits where the colours have fewer, unless nothing could be seen then.
        fewer = values[..., inks:].max() < 1 << bits
        opacity = _upper_8(values[..., inks:], bits if fewer else 16)
        if channels == "RGBa":
            # On white.
            eight += np.minimum(255 - opacity, 255 - eight)
        else:
            eight = np.concatenate([eight, opacity], axis=2)
    scaled = Image.frombytes("CMYK", image.size, eight.tobytes()) if inks == 4 else Image.fromarray(eight)
    return scaled, None if bit_depth else bits


def _both_bytes(content: bytes, channels: str, order: str) -> Values:
    """Read values of 16 bits, ``(H, W, C)``; grey as three equal colours."""
    if channels == "LA":
        # Pillow has no name for the second byte of these, but two channels of 16 bits are four of 8.
        first, second = np.split(_read_as(content, "RGBA")[..., [0, 0, 0, 2, 1, 1, 1, 3]], 2, axis=2)
    else:
        plain = channels.replace("a", "A")
        first, second = (_read_as(content, f"{plain};16{each}") for each in (order, OTHER_BYTE[order]))
    return first << 8 | second


def _read_as(content: bytes, raw_mode: str) -> npt.NDArray[np.uint16]:
    with _open(content) as again:
        again.tile = [_with_raw_mode(tile, raw_mode) for tile in again.tile]
        return np.asarray(_upright(again)).astype(np.uint16)


def _with_raw_mode(tile: Any, raw_mode: str) -> Any:
    arguments = tile.args
    return tile._replace(args=(raw_mode, *arguments[1:]) if isinstance(arguments, tuple) else raw_mode)


def _of_shares(values: npt.NDArray[np.float32]) -> Image.Image:
    low, high = values.min(), values.max()
    # NaN is in no range.
    if not (low >= 0 and high <= 1):
        raise ValueError(
            f"floating-point pixels from {low:g} to {high:g}, which have no scale of 0 to 255; those from 0 to 1 have"
        )
    return Image.fromarray(np.rint(values * 255).astype(np.uint8))


def _opaque(image: Image.Image) -> Image.Image:
    """Return an image of any mode as RGB, or as grey if it is."""
    if image.mode == "LAB":
        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        image = ImageCms.buildTransform(lab, srgb, "LAB", "RGB").apply(image)
    if image.has_transparency_data:
        ground = Image.new("RGBA", image.size, WHITE)
        return Image.alpha_composite(ground, image.convert("RGBA")).convert("RGB")
    return image.convert("L" if image.mode in ("1", "L") else "RGB")


def _fitted(image: Image.Image, size: int, fit: Fit) -> Image.Image:
    width, height = image.size
    if (width, height) == (size, size):
        return image
    if fit == "stretch":
        return image.resize((size, size), Image.Resampling.BILINEAR)
    if fit == "crop":
        side = min(width, height)
        left, top = (width - side) / 2, (height - side) / 2
        box = (left, top, left + side, top + side)
        return image.resize((size, size), Image.Resampling.BILINEAR, box=box)
    inner = [max(1, round(size * length / max(width, height))) for length in (width, height)]
    padded = Image.new(image.mode, (size, size))
    place = ((size - inner[0]) // 2, (size - inner[1]) // 2)
    padded.paste(image.resize((inner[0], inner[1]), Image.Resampling.BILINEAR), place)
    return padded
