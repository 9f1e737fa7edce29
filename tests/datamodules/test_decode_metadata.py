"""What an image says of itself beside its pixels: how it was turned, and more of it than a decoder would read."""

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo

from dropout_lab.datamodules.decode import Pixels, decode, strict_pillow
from tests.data.folders import picture
from tests.datamodules.images import encoded, pixels_of


def test_photographs_are_turned_upright() -> None:
    upright = picture(0)
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rows are columns
    stored = encoded(upright.transpose(Image.Transpose.ROTATE_90), exif=exif)
    assert np.array_equal(decode(stored, 8), pixels_of(upright))


ROTATED = struct.pack("<HHII", 0x0112, 3, 1, 6)


def with_exif(jpeg: bytes, *tags: bytes) -> bytes:
    exif = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + b"".join(tags) + b"\0\0\0\0"
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:]


@pytest.mark.parametrize(
    "tag",
    [
        struct.pack("<HHII", 0x0103, 4, 1, 70_000),
        struct.pack("<HHIi", 0x0100, 9, 1, -5),
        struct.pack("<HHII", 0x0132, 2, 50, 99_999),
        struct.pack("<HHII", 0x011A, 5, 1, 7),
        struct.pack("<HHII", 0x8769, 4, 1, 99_999),
        struct.pack("<HHII", 0x010F, 77, 1, 3),
    ],
    ids=["long for a short", "negative", "beyond its end", "half a rational", "lost IFD", "unknown type"],
)
def test_orientation_is_taken_from_exif_that_is_damaged_elsewhere(tag: bytes) -> None:
    upright = picture(0, 16, 16)
    plain = encoded(upright, "JPEG", quality=95)
    turned = pixels_of(Image.open(io.BytesIO(plain)).transpose(Image.Transpose.ROTATE_270))
    with strict_pillow():
        assert np.array_equal(decode(with_exif(plain, *sorted([ROTATED, tag])), 16), turned)


@pytest.mark.parametrize(
    "exif", [b"", b"Exif\0\0", b"Exif\0\0no TIFF at all", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*"]
)
def test_without_an_orientation_images_stay(exif: bytes) -> None:
    plain = encoded(picture(0, 16, 16), "JPEG")
    content = plain[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + plain[2:]
    with strict_pillow():
        assert np.array_equal(decode(content, 16), decode(plain, 16))


def test_no_damage_of_exif_is_one_of_the_image() -> None:
    plain = encoded(picture(0, 16, 16), "JPEG")
    content = with_exif(
        plain, ROTATED, struct.pack("<HHII", 0x011A, 5, 1, 40), struct.pack("<HHII", 0x0132, 2, 9, 30)
    )
    straight = decode(plain, 16)
    turns = _all_turns(straight)
    generator = np.random.default_rng(0)
    with strict_pillow():
        for _ in range(300):
            damaged = bytearray(content)
            # What is between the segment's head and the next segment.
            for place in generator.integers(12, 12 + 8 + 2 + 3 * 12 + 4, 3):
                damaged[place] = generator.integers(256)
            found = decode(bytes(damaged), 16)
            assert any(np.array_equal(found, turned) for turned in turns)


def _all_turns(pixels: Pixels) -> list[Pixels]:
    turns = [np.rot90(pixels, count, (1, 2)) for count in range(4)]
    return [*turns, *(np.flip(turned, 2) for turned in turns)]


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_orientation_of_each_format(format: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x0103] = 3
    options = {"lossless": True} if format == "WEBP" else {"quality": 95} if format == "JPEG" else {}
    stored = picture(0, 16, 16)
    plain = decode(encoded(stored, format, **options), 16)
    assert np.array_equal(
        decode(encoded(stored, format, exif=exif, **options), 16), np.rot90(plain, -1, (1, 2))
    )


def test_large_metadata_of_png() -> None:
    image, large = picture(0), "x" * 3_000_000
    texts = PngInfo()
    texts.add_text("comment", large, zip=True)
    texts.add_itxt("XML:com.adobe.xmp", large, zip=True)
    for number in range(30):
        texts.add_text(f"history {number}", large)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes() + bytes(2_000_000)
    for content in (encoded(image, pnginfo=texts), encoded(image, icc_profile=profile)):
        assert np.array_equal(decode(content, 8), pixels_of(image))


def test_a_png_is_turned_by_its_texts() -> None:
    image = picture(0)
    texts = PngInfo()
    texts.add_itxt("XML:com.adobe.xmp", '<rdf:Description tiff:Orientation="6"/>')
    assert np.array_equal(decode(encoded(image, pnginfo=texts), 8), np.rot90(pixels_of(image), -1, (1, 2)))


def test_large_metadata_of_jpeg() -> None:
    image = picture(0, 16, 16)
    plain = encoded(image, "JPEG", quality=95)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes() + bytes(2_000_000)
    xmp = b"<x>" + b" " * 60_000
    large = encoded(image, "JPEG", quality=95, icc_profile=profile, xmp=xmp, comment=b"c" * 65_000)
    assert np.array_equal(decode(large, 16), decode(plain, 16))
