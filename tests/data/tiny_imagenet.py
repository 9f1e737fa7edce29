"""A tiny Tiny ImageNet in the real on-disk format."""

from pathlib import Path

import numpy as np
from PIL import Image

WNIDS = ("n03000000", "n01000000", "n02000000")
"""As in the official file, not sorted."""


def write_tiny_imagenet(root: Path, train_images: int = 10, val_images: int = 5) -> Path:
    """Write three classes of 64×64 JPEGs whose colour says their class; return ``root/tiny-imagenet-200``.

    Each class has so many images in ``train`` and in ``val``. The last training image of each class and the first image
    of ``val`` are grey. ``words.txt`` has classes that are not there, lacks the last one, and ends without a newline.
    """
    folder = root / "tiny-imagenet-200"
    (folder / "val" / "images").mkdir(parents=True)
    (folder / "wnids.txt").write_text("".join(f"{wnid}\n" for wnid in WNIDS))
    words = ("n00001740\tentity", "n01000000\tblack stork, Ciconia nigra", "n03000000\tteapot")
    (folder / "words.txt").write_text("\n".join(words))
    generator = np.random.default_rng(0)
    for label, wnid in enumerate(WNIDS):
        images = folder / "train" / wnid / "images"
        images.mkdir(parents=True)
        boxes = []
        for number in range(train_images):
            name = f"{wnid}_{number}.JPEG"
            _write_image(images / name, label, generator, grey=number == train_images - 1)
            boxes.append(f"{name}\t0\t10\t63\t58\n")
        (folder / "train" / wnid / f"{wnid}_boxes.txt").write_text("".join(boxes))
    annotations = []
    for number in range(val_images * len(WNIDS)):
        # Classes take turns backwards, so that neither names nor lines are in the order of labels.
        label = -number % len(WNIDS)
        _write_image(folder / "val" / "images" / f"val_{number}.JPEG", label, generator, grey=number == 0)
        annotations.append(f"val_{number}.JPEG\t{WNIDS[label]}\t0\t32\t44\t62\n")
    (folder / "val" / "val_annotations.txt").write_text("".join(annotations))
    (folder / "test" / "images").mkdir(parents=True)
    _write_image(folder / "test" / "images" / "test_0.JPEG", 0, generator, grey=False)
    return folder


def _write_image(file: Path, label: int, generator: np.random.Generator, grey: bool) -> None:
    pixels = generator.integers(0, 100, size=(64, 64, 3), dtype=np.uint8)
    pixels[:, :, label] += 150
    image = Image.fromarray(pixels)
    (image.convert("L") if grey else image).save(file, quality=90)
