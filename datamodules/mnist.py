"""MNIST from its IDX files."""

import gzip
import math
import zlib
from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor
from torchvision import datasets

from dropout_lab.datamodules.augment import RandomShift
from dropout_lab.datamodules.base import ImageDataModule
from dropout_lab.datamodules.batches import Images, Splits
from dropout_lab.datamodules.download import read_verified, torchvision_download
from dropout_lab.datamodules.errors import DatasetCorruptError, DatasetNotFoundError
from dropout_lab.datamodules.splits import hold_out_last

FOLDER = Path("MNIST", "raw")
OFFICIAL_MD5 = dict(datasets.MNIST.resources)
"""MD5 of the published ``.gz`` files, by name. The unpacked files have none."""

UNSIGNED_BYTE = 0x08


def parse_idx(content: bytes, dimensions: int, file: Path) -> Tensor:
    """Parse an IDX file of unsigned bytes with 3 dimensions for images, 1 for labels; raise DatasetCorruptError.

    Format: two zero bytes, a type byte, the number of dimensions, each dimension as a big-endian 32-bit number, then
    the data (Y. LeCun, C. Cortes, C. Burges, *The MNIST database*).
    """
    expected = bytes([0, 0, UNSIGNED_BYTE, dimensions])
    if content[:4] != expected:
        found = f"begins with {content[:4]!r}, not {expected!r}"
        raise DatasetCorruptError(file, f"not an IDX file of {dimensions} dimension(s): {found}")
    header = 4 + 4 * dimensions
    shape = [int.from_bytes(content[start : start + 4], "big") for start in range(4, header, 4)]
    length = header + math.prod(shape)
    if len(content) != length:
        raise DatasetCorruptError(file, f"{len(content)} bytes where the header says {length}")
    return torch.frombuffer(bytearray(content), dtype=torch.uint8)[header:].view(shape)


@final
class MNISTDataModule(ImageDataModule):
    """Handwritten digits, 28×28, one channel, 10 classes: 60,000 to train on and 10,000 to test.

    Validation images are the last ones of the training file, whatever the seed: 5,000 leave 55,000;
    ``val_size=0.05`` is Gavier's fixed 5 %. ``augment`` shifts training images by up to 2 pixels.

    Files: ``root/MNIST/raw/``, as torchvision lays them out, unpacked or as the published ``.gz``. Packed
    files must have the official checksum; unpacked ones have none, so other data in IDX files
    (Fashion-MNIST) can be put there.

    Source: Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, *Gradient-based learning applied to document
    recognition*, 1998.

    Args:
        root: folder that holds ``MNIST/``.
        val_size: validation images, a number or a share of the 60,000.
        common: the arguments of :class:`dropout_lab.datamodules.ImageDataModule`.
    """

    num_classes = 10
    class_names = tuple("0123456789")
    stored_shape = (1, 28, 28)
    augmentations = (RandomShift(2),)

    def __init__(self, root: str = "data", *, val_size: int | float = 5000, **common: Any) -> None:
        super().__init__(root, val_size=val_size, **common)

    def fetch(self) -> None:
        # torchvision checks the sums.
        with torchvision_download("MNIST", self.root):
            datasets.MNIST(str(self.root), download=True)

    def read(self) -> Splits:
        train, val = hold_out_last(self._images("train"), self.val_size)
        return Splits(train, val, self._images("t10k"))

    def _images(self, part: str) -> Images:
        pixels_file, pixels = self._content(f"{part}-images-idx3-ubyte", dimensions=3)
        labels_file, labels = self._content(f"{part}-labels-idx1-ubyte", dimensions=1)
        if pixels.shape[1:] != self.stored_shape[1:]:
            raise DatasetCorruptError(
                pixels_file, f"images of {tuple(pixels.shape[1:])} pixels, not (28, 28)"
            )
        if not len(pixels):
            raise DatasetCorruptError(pixels_file, "holds no images")
        if len(pixels) != len(labels):
            raise DatasetCorruptError(labels_file, f"{len(labels)} labels for {len(pixels)} images")
        if labels.max() >= self.num_classes:
            raise DatasetCorruptError(labels_file, f"a label of {labels.max()}, where 0 to 9 are allowed")
        return Images(pixels.unsqueeze(1), labels.long())

    def _content(self, name: str, dimensions: int) -> tuple[Path, Tensor]:
        folder = self.root / FOLDER
        unpacked, packed = folder / name, folder / f"{name}.gz"
        if unpacked.is_file():
            return unpacked, parse_idx(unpacked.read_bytes(), dimensions, unpacked)
        if not packed.is_file():
            raise DatasetNotFoundError("MNIST", FOLDER / name, self.root)
        try:
            content = gzip.decompress(read_verified(packed, OFFICIAL_MD5[packed.name]))
        except (OSError, EOFError, zlib.error) as error:
            raise DatasetCorruptError(packed, f"not a readable gzip file ({error})") from error
        return packed, parse_idx(content, dimensions, packed)
