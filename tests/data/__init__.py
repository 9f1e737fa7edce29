"""Tiny data sets in the real on-disk formats."""

import gzip
import hashlib
import pickle
from pathlib import Path

import numpy as np

MNIST_FILES = {"train": ("train", 60), "test": ("t10k", 30)}


def idx(array: np.ndarray) -> bytes:
    """Return an IDX file of unsigned bytes."""
    shape = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return bytes([0, 0, 0x08, array.ndim]) + shape + array.astype(np.uint8).tobytes()


def write_mnist(root: Path, packed: bool = False) -> None:
    """Write 60 training and 30 test images whose pixels say their label and number."""
    folder = root / "MNIST" / "raw"
    folder.mkdir(parents=True)
    generator = np.random.default_rng(0)
    for part, count in MNIST_FILES.values():
        labels = np.arange(count) % 10
        images = generator.integers(0, 20, size=(count, 28, 28))
        images[:, 0, 0] = np.arange(count)
        images[np.arange(count), 10 + labels, 5:20] = 250
        for name, array in ((f"{part}-images-idx3-ubyte", images), (f"{part}-labels-idx1-ubyte", labels)):
            content = idx(array)
            if packed:
                (folder / f"{name}.gz").write_bytes(gzip.compress(content))
            else:
                (folder / name).write_bytes(content)


def write_cifar10(root: Path, images_a_batch: int = 20) -> dict[str, str]:
    """Write six python batches; return the MD5 of each, by name."""
    folder = root / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    generator = np.random.default_rng(0)
    checksums = {}
    for name in (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"):
        data = generator.integers(0, 256, size=(images_a_batch, 3072), dtype=np.uint8)
        content = pickle.dumps({"data": data, "labels": [number % 10 for number in range(images_a_batch)]})
        (folder / name).write_bytes(content)
        checksums[name] = hashlib.md5(content, usedforsecurity=False).hexdigest()
    return checksums
