"""Decoding, against Pillow and torchvision."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile
from torchvision.transforms import v2

from dropout_lab.datamodules.decode import Pixels, decode, strict_pillow
from dropout_lab.datamodules.formats import FORMATS
from tests.data.folders import picture


def encoded(image: Image.Image, format: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format, **options)
    return stream.getvalue()


def pixels_of(image: Image.Image) -> Pixels:
    return np.asarray(image.convert("RGB")).transpose(2, 0, 1)


def test_real_images_are_pixel_for_pixel_pillows(real_data: Path) -> None:
    files = sorted((real_data / "tiny-imagenet-200" / "train").rglob("*_1.JPEG"))
    assert files
    for file in files:
        assert np.array_equal(decode(file.read_bytes(), 64), pixels_of(Image.open(file))), file


def test_real_square_images_are_resized_as_torchvision_does(real_data: Path) -> None:
    file = min((real_data / "isic2020" / "train").glob("*.jpg"))
    resized = v2.Resize(64)(Image.open(file))
    assert np.array_equal(decode(file.read_bytes(), 64), pixels_of(resized))


@pytest.mark.parametrize(("width", "height"), [(88, 40), (40, 88)])
def test_others_lose_their_ends_as_with_torchvision(width: int, height: int) -> None:
    columns, rows = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    image = Image.fromarray(np.stack([columns, rows, columns], axis=2).astype(np.uint8))
    expected = pixels_of(v2.Compose([v2.Resize(20), v2.CenterCrop(20)])(image)).astype(int)
    found = decode(encoded(image), 20).astype(int)
    # Edges differ: what is cropped does not count there.
    assert np.abs(found - expected)[:, 1:-1, 1:-1].max() <= 2
    assert np.abs(found - expected).max() <= 6


def test_long_thin_images_take_no_more_memory_than_they_have() -> None:
    # Resized as a whole this one would take 6 GB.
    thin = Image.new("RGB", (1, 500_000), (10, 20, 30))
    assert decode(encoded(thin), 64).reshape(3, -1).T.tolist() == [[10, 20, 30]] * 64 * 64


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK"])
def test_modes_become_rgb(mode: str) -> None:
    image = picture(0).convert(mode)
    format = "TIFF" if mode == "CMYK" else "PNG"
    assert np.array_equal(decode(encoded(image, format), 8), pixels_of(image))


def test_cmyk_jpeg() -> None:
    plain = Image.new("RGB", (16, 16), (200, 40, 90))
    found = decode(encoded(plain.convert("CMYK"), "JPEG", quality=95), 16)
    assert np.abs(found.astype(int) - np.array([200, 40, 90])[:, None, None]).max() < 10


@pytest.mark.parametrize("format", ["PNG", "TIFF", "PPM"])
def test_16_bits_are_scaled_not_clipped(format: str) -> None:
    values = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    found = decode(encoded(Image.fromarray(values), format), 8)
    for channel in found:
        assert np.array_equal(channel, (values // 256).astype(np.uint8))


@pytest.mark.parametrize("values", [np.ones((8, 8), np.float32), np.full((8, 8), 10**6, np.int32)])
def test_pixels_without_a_scale_of_8_bits_are_refused(values: np.ndarray) -> None:
    with pytest.raises(ValueError, match="no scale of 0 to 255"):
        decode(encoded(Image.fromarray(values), "TIFF"), 8)


def test_what_is_transparent_lies_on_white() -> None:
    image = Image.new("RGBA", (2, 1), (0, 0, 0, 0))
    image.putpixel((1, 0), (10, 20, 30, 255))
    wide = Image.new("RGBA", (2, 2))
    wide.paste(image, (0, 0))
    wide.paste(image, (0, 1))
    expected = [[[255, 10], [255, 10]], [[255, 20], [255, 20]], [[255, 30], [255, 30]]]
    assert decode(encoded(wide), 2).tolist() == expected
    palette = Image.new("P", (2, 2), 0)
    palette.putpalette([0, 0, 0, 10, 20, 30])
    palette.putpixel((1, 0), 1)
    palette.putpixel((1, 1), 1)
    assert decode(encoded(palette, transparency=0), 2).tolist() == expected


def test_photographs_are_turned_upright() -> None:
    upright = picture(0)
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rows are columns
    stored = encoded(upright.transpose(Image.Transpose.ROTATE_90), exif=exif)
    assert np.array_equal(decode(stored, 8), pixels_of(upright))


def test_first_of_several_frames() -> None:
    frames = [Image.new("RGB", (8, 8), (value,) * 3) for value in (50, 100)]
    content = encoded(frames[0], "TIFF", save_all=True, append_images=frames[1:])
    assert (decode(content, 8) == 50).all()


@pytest.mark.parametrize(
    ("content", "problem"),
    [(b"", "empty, 0 bytes"), (b"a text named .jpg", "no image in a known format .JPEG, PNG")],
)
def test_no_image(content: bytes, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        decode(content, 8)


@pytest.mark.parametrize("loose", [False, True])
@pytest.mark.parametrize(
    ("format", "options"),
    [
        ("JPEG", {}),
        ("JPEG", {"progressive": True}),
        ("PNG", {}),
        ("BMP", {}),
        ("GIF", {}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("WEBP", {}),
        ("PPM", {}),
        ("AVIF", {}),
        ("JPEG2000", {}),
        ("JPEG2000", {"no_jp2": True}),
    ],
    ids=str,
)
def test_a_truncated_file_is_refused_or_complete(
    format: str, options: dict[str, object], loose: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if format not in FORMATS:
        pytest.skip(f"this Pillow reads no {format}")
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", loose)
    content = encoded(picture(0, 40, 40), format, **options)
    whole = decode(content, 40)
    refused = 0
    with strict_pillow():
        for end in range(0, len(content), max(1, len(content) // 60)):
            try:
                found = decode(content[:end], 40)
            except Exception:
                refused += 1
            else:
                # A file may miss what comes after its pixels.
                assert np.array_equal(found, whole), f"{end} of {len(content)} bytes"
    assert refused > 50
    assert loose is ImageFile.LOAD_TRUNCATED_IMAGES


def test_monstrous_images_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40)
    with strict_pillow(), pytest.raises(Image.DecompressionBombWarning, match="64 pixels.*exceeds limit"):
        decode(encoded(picture(0)), 8)
