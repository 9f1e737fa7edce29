"""Decoding, against Pillow and torchvision."""

import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageFile
from torchvision.transforms import v2

from dropout_lab.datamodules import decode as decoding
from dropout_lab.datamodules.decode import Conversion, Fit, convert, decode, strict_pillow
from dropout_lab.datamodules.formats import FORMATS
from tests.data.folders import picture
from tests.datamodules.images import encoded, pixels_of


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


@pytest.mark.parametrize(
    "values",
    [
        np.full((8, 8), 1.5, np.float32),
        np.full((8, 8), -0.1, np.float32),
        np.full((8, 8), np.nan, np.float32),
        np.full((8, 8), 10**6, np.int32),
        np.full((8, 8), -1, np.int32),
    ],
    ids=str,
)
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


def test_images_of_phones_are_not_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    # Pillow's own bound is below.
    assert decoding.MOST_PIXELS > 16_320 * 12_240
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)
    with strict_pillow():
        assert np.array_equal(decode(encoded(picture(0)), 8), pixels_of(picture(0)))
    assert Image.MAX_IMAGE_PIXELS == 20


def test_large_images_are_decoded_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "LARGE", 40)
    content = encoded(picture(0))
    with ThreadPoolExecutor(1) as pool:
        with decoding._one_large:
            waiting = pool.submit(decode, content, 8)
            with pytest.raises(TimeoutError):
                waiting.result(timeout=0.05)
            assert np.array_equal(decode(encoded(picture(0, 6, 6)), 6), pixels_of(picture(0, 6, 6)))
        assert np.array_equal(waiting.result(), pixels_of(picture(0)))


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
@pytest.mark.parametrize(
    ("bits", "dtype"), [(10, np.uint16), (12, np.uint16), (14, np.uint16), (12, np.int32)]
)
def test_fewer_bits_in_16_are_scaled_by_their_largest_value(format: str, bits: int, dtype: type) -> None:
    if format == "PNG" and dtype is np.int32:
        pytest.skip("has no 32 bits")
    values: np.ndarray = np.linspace(0, 2**bits - 1, 64).astype(dtype).reshape(8, 8)
    content = encoded(Image.fromarray(values), format)
    found = convert(content, Conversion(8))
    assert np.array_equal(found.pixels[0], values >> (bits - 8))
    assert found.pixels.max() == 255
    assert found.bits == bits
    assert np.array_equal(decode(content, 8, bit_depth=16)[0], values >> 8)
    with pytest.raises(ValueError, match=f"a value of {2**bits - 1}, where 9 bits end at 511; see bit_depth"):
        decode(content, 8, bit_depth=9)


def test_a_pgm_says_its_largest_value() -> None:
    values = np.array([[0, 1000], [2000, 3000]], dtype=">u2")
    found = convert(b"P5 2 2 4000 " + values.tobytes(), Conversion(2))
    assert found.bits is None
    assert found.pixels[0].tolist() == [[0, 64], [128, 191]]


def test_a_tiff_says_that_it_has_12_bits() -> None:
    # Two values of 12 bits in three bytes.
    values = [0, 256, 512, 1023]
    packed = b"".join(
        (low << 12 | high).to_bytes(3, "big") for low, high in zip(values[::2], values[1::2], strict=True)
    )
    tags = {256: 2, 257: 2, 258: 12, 259: 1, 262: 1, 273: 8, 277: 1, 278: 2, 279: len(packed)}
    ifd = struct.pack("<H", len(tags)) + b"".join(
        struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items()
    )
    tags_at = 8 + len(packed)
    content = b"II*\0" + struct.pack("<I", tags_at) + packed + ifd + b"\0\0\0\0"
    found = convert(content, Conversion(2))
    assert found.bits is None
    assert found.pixels[0].tolist() == [[0, 16], [32, 63]]


def png_of_16_bits(values: np.ndarray, colour_type: int, *others: tuple[bytes, bytes]) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    header = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], 16, colour_type, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    chunks = [(b"IHDR", header), *others, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*each) for each in chunks)


def tiff_of_16_bits(
    values: np.ndarray, order: str, photometric: int = 2, extra_samples: int | None = None
) -> bytes:
    height, width, channels = values.shape
    pixels = values.astype(f"{order}u2").tobytes()
    bits_at = 8 + len(pixels)
    bits = struct.pack(f"{order}{channels}H", *[16] * channels)
    tags = {256: width, 257: height, 258: bits_at if channels > 2 else 16, 259: 1, 262: photometric, 273: 8}
    tags |= {277: channels, 278: height, 279: len(pixels)}
    if extra_samples is not None:
        tags[338] = extra_samples
    ifd = struct.pack(f"{order}H", len(tags))
    for tag, value in tags.items():
        kind, count = (3, channels) if tag == 258 and channels > 2 else (4, 1)
        ifd += struct.pack(f"{order}HHII", tag, kind, count, value)
    head = b"II*\0" if order == "<" else b"MM\0*"
    return head + struct.pack(f"{order}I", bits_at + len(bits)) + pixels + bits + ifd + b"\0\0\0\0"


@pytest.mark.parametrize("bits", [12, 16])
def test_colours_of_16_bits(bits: int) -> None:
    values = np.random.default_rng(0).integers(0, 2**bits, (8, 8, 3))
    values[0, 0] = 2**bits - 1
    expected = (values >> (bits - 8)).transpose(2, 0, 1)
    for content in (png_of_16_bits(values, 2), tiff_of_16_bits(values, "<"), tiff_of_16_bits(values, ">")):
        found = convert(content, Conversion(8))
        assert np.array_equal(found.pixels, expected)
        assert found.bits == bits
        assert np.array_equal(decode(content, 8, bit_depth=16), (values >> 8).transpose(2, 0, 1))


def test_compressed_colours_of_12_bits_in_16() -> None:
    values = np.random.default_rng(0).integers(0, 2**12, (8, 8, 3))
    plain = tiff_of_16_bits(values, "<")
    rows = zlib.compress(values.astype("<u2").tobytes())
    # The same with Adobe's deflate in the place of no compression, and the strip at the end.
    content = bytearray(plain)
    ifd = struct.unpack("<I", plain[4:8])[0]
    for entry in range(ifd + 2, ifd + 2 + 9 * 12, 12):
        tag = struct.unpack("<H", plain[entry : entry + 2])[0]
        if tag in (259, 273, 279):
            value = {259: 8, 273: len(plain), 279: len(rows)}[tag]
            content[entry + 8 : entry + 12] = struct.pack("<I", value)
    assert np.array_equal(decode(bytes(content) + rows, 8), (values >> 4).transpose(2, 0, 1))


@pytest.mark.parametrize("bits", [12, 16])
def test_grey_of_16_bits_with_transparency(bits: int) -> None:
    values = np.random.default_rng(0).integers(0, 2**bits, (8, 8, 2))
    values[0, 0] = 2**bits - 1
    opaque = values.copy()
    opaque[..., 1] = 65_535
    found = convert(png_of_16_bits(opaque, 4), Conversion(8, channels=1))
    assert np.array_equal(found.pixels[0], opaque[..., 0] >> (bits - 8))
    assert found.bits == bits
    # Opacity may have as many bits as grey.
    found = convert(png_of_16_bits(values, 4), Conversion(8, channels=1))
    grey, opacity = np.moveaxis(values >> (bits - 8), 2, 0)
    assert np.abs(found.pixels[0] - (grey * opacity / 255 + 255 - opacity)).max() <= 1


@pytest.mark.parametrize("bits", [12, 16])
@pytest.mark.parametrize("order", ["<", ">"])
def test_inks_of_16_bits(order: str, bits: int) -> None:
    inks = np.random.default_rng(0).integers(0, 2**bits, (8, 8, 4))
    inks[0, 0] = 2**bits - 1
    found = convert(tiff_of_16_bits(inks, order, photometric=5), Conversion(8))
    eight = Image.frombytes("CMYK", (8, 8), (inks >> (bits - 8)).astype(np.uint8).tobytes())
    assert np.array_equal(found.pixels, pixels_of(eight))
    assert found.bits == bits


@pytest.mark.parametrize("bits", [12, 16])
@pytest.mark.parametrize("order", ["<", ">"])
def test_colours_of_16_bits_multiplied_by_their_opacity(order: str, bits: int) -> None:
    opacity = np.random.default_rng(0).integers(0, 2**bits, (8, 8, 1))
    opacity[0, 0] = 2**bits - 1
    colours = (opacity * np.array([1, 0.5, 0.25])).astype(int)
    multiplied = np.concatenate([colours, opacity], axis=2)
    found = convert(tiff_of_16_bits(multiplied, order, extra_samples=1), Conversion(8))
    upper, clear = colours >> (bits - 8), 255 - (opacity >> (bits - 8))
    assert np.array_equal(found.pixels, (upper + clear).transpose(2, 0, 1))
    assert found.bits == bits


def test_transparent_colours_of_16_bits() -> None:
    values = np.full((2, 2, 3), 40_000)
    values[0, 0] = 300, 65_535, 301
    key = (b"tRNS", struct.pack(">3H", 300, 65_535, 301))
    assert decode(png_of_16_bits(values, 2, key), 2)[:, 0].tolist() == [[255, 156]] * 3
    grey = (b"tRNS", struct.pack(">H", 300))
    assert decode(png_of_16_bits(values[..., 0], 0, grey), 2, channels=1).tolist() == [
        [[255, 156], [156, 156]]
    ]
    with_alpha = np.concatenate([values // 16, [[[0], [65_535]], [[65_535], [65_535]]]], axis=2)
    assert decode(png_of_16_bits(with_alpha, 6), 2)[0].tolist() == [[255, 156], [156, 156]]


def test_0_is_white_where_a_tiff_says_so() -> None:
    values = np.array([[0, 65_535], [256, 4_096]]).reshape(2, 2, 1)
    assert decode(tiff_of_16_bits(values, "<", photometric=0), 2)[0].tolist() == [[255, 0], [254, 239]]


def test_16_bits_in_planes_of_their_own_are_refused() -> None:
    values = np.full((2, 2, 3), 500)
    content = tiff_of_16_bits(values, "<")
    interlaced, separate = (struct.pack("<HHII", 284, 4, 1, planes) for planes in (1, 2))
    # In the place of the tag that says what is so without it: not compressed.
    plain = struct.pack("<HHII", 259, 4, 1, 1)
    assert np.array_equal(decode(content.replace(plain, interlaced), 2), decode(content, 2))
    with pytest.raises(ValueError, match="planes of their own, which Pillow takes for 8 bits"):
        decode(content.replace(plain, separate), 2)


def test_shares_from_0_to_1() -> None:
    values = np.array([[0, 0.25], [0.5, 1]], dtype=np.float32)
    assert decode(encoded(Image.fromarray(values), "TIFF"), 2, channels=1).tolist() == [[[0, 64], [128, 255]]]


@pytest.mark.parametrize("mode", ["LA", "PA"])
def test_transparent_grey_and_palettes(mode: str) -> None:
    image = Image.new("LA", (2, 2), (40, 255))
    image.putpixel((0, 0), (0, 0))
    content = encoded(image.convert("RGBA").quantize().convert(mode) if mode == "PA" else image, "TIFF")
    assert decode(content, 2)[0].tolist() == [[255, 40], [40, 40]]


def test_ycbcr_and_lab() -> None:
    colour = Image.new("RGB", (8, 8), (200, 40, 90))
    found = decode(encoded(colour.convert("YCbCr"), "TIFF"), 8)
    assert np.abs(found.astype(int) - np.array([200, 40, 90])[:, None, None]).max() <= 2
    to_lab = ImageCms.buildTransform(
        ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB"
    )
    found = decode(encoded(to_lab.apply(colour), "TIFF"), 8)
    assert np.abs(found.astype(int) - np.array([200, 40, 90])[:, None, None]).max() <= 3


def test_one_channel_on_request() -> None:
    grey = picture(0).convert("L")
    assert np.array_equal(decode(encoded(grey), 8, channels=1), np.asarray(grey)[None])
    assert np.array_equal(decode(encoded(grey), 8), np.repeat(np.asarray(grey)[None], 3, axis=0))
    assert np.array_equal(decode(encoded(picture(0)), 8, channels=1), np.asarray(grey)[None])
    assert decode(encoded(grey), 5, channels=1).shape == (1, 5, 5)


def test_what_is_not_square() -> None:
    image = Image.new("L", (9, 3), 90)
    image.paste(255, (3, 0, 6, 3))
    wide, high = encoded(image), encoded(image.transpose(Image.Transpose.TRANSPOSE))
    found = {}
    fits: tuple[Fit, ...] = ("crop", "pad", "stretch")
    for fit in fits:
        found[fit] = decode(wide, 3, channels=1, fit=fit)[0]
        assert np.array_equal(decode(high, 3, channels=1, fit=fit)[0].T, found[fit])
    assert found["crop"].tolist() == [[255] * 3] * 3
    # Antialiasing mixes a third with its neighbours.
    row = found["stretch"][0].tolist()
    assert found["stretch"].tolist() == [row] * 3
    assert row[1] > 200 > 130 > row[0] == row[2] > 90
    assert found["pad"].tolist() == [[0] * 3, row, [0] * 3]


def test_what_is_thin_is_padded_to_a_line() -> None:
    found = decode(encoded(Image.new("L", (1000, 1), 90)), 4, channels=1, fit="pad")
    assert found[0].tolist() == [[0] * 4, [90] * 4, [0] * 4, [0] * 4]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"channels": 2}, "channels must be 1 or 3, got 2"),
        ({"fit": "squeeze"}, "fit must be one of crop, pad, stretch, got 'squeeze'"),
        ({"bit_depth": 17}, "bit_depth must be null or from 8 to 16, got 17"),
        ({"bit_depth": 7}, "bit_depth must be null or from 8 to 16, got 7"),
    ],
)
def test_bad_conversions(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Conversion(8, **arguments)  # type: ignore[arg-type]


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
    monkeypatch.setattr(decoding, "MOST_PIXELS", 40)
    with strict_pillow(), pytest.raises(Image.DecompressionBombWarning, match="64 pixels.*exceeds limit"):
        decode(encoded(picture(0)), 8)
