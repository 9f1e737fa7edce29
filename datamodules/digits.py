"""The 1,797 digits that scikit-learn ships: the default, without a download."""

from typing import Any, final

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from dropout_lab.datamodules.augment import RandomShift
from dropout_lab.datamodules.base import ImageDataModule
from dropout_lab.datamodules.batches import Images, Splits
from dropout_lab.datamodules.splits import check_size, count_of


@final
class DigitsDataModule(ImageDataModule):
    """Handwritten digits, 8×8, one channel, 10 classes; a seeded, stratified split.

    ``augment`` shifts training images by up to 1 pixel.

    Source: E. Alpaydin, C. Kaynak, *Optical Recognition of Handwritten Digits*, UCI 1998, its test part.

    Args:
        root: not used; the data come with scikit-learn.
        val_size: validation images, a number or a share of what the test split leaves.
        test_size: test images, a number or a share of all.
        common: the arguments of :class:`dropout_lab.datamodules.ImageDataModule`.
    """

    num_classes = 10
    class_names = tuple("0123456789")
    stored_shape = (1, 8, 8)
    augmentations = (RandomShift(1),)

    def __init__(
        self, root: str = "data", *, val_size: int | float = 0.15, test_size: int | float = 0.2, **common: Any
    ) -> None:
        super().__init__(root, val_size=val_size, **common)
        check_size("test_size", test_size)
        self.test_size = test_size

    def read(self) -> Splits:
        digits = load_digits()
        # 17 grey levels, 0 to 16, spread over 0 to 255.
        pixels = torch.from_numpy(digits.images).mul(255 / 16).round().to(torch.uint8).unsqueeze(1)
        images = Images(pixels, torch.from_numpy(digits.target).long())
        rest, test = self._stratified(images, "test_size", self.test_size)
        train, val = self._stratified(rest, "val_size", self.val_size)
        return Splits(train, val, test)

    def _stratified(self, images: Images, name: str, size: int | float) -> tuple[Images, Images]:
        count = count_of(name, size, len(images.labels))
        if count < self.num_classes:
            raise ValueError(
                f"{name} must be at least {self.num_classes}, one image of each digit, got {size}"
            )
        left = len(images.labels) - count
        if left < self.num_classes:
            least = f"{self.num_classes} images or more, one of each digit"
            raise ValueError(f"{name} must leave {least}: {size} of {len(images.labels)} leaves {left}")
        indices, labels = torch.arange(len(images.labels)).numpy(), images.labels.numpy()
        parts = train_test_split(indices, test_size=count, random_state=self.seed, stratify=labels)
        kept, held_out = (images.select(torch.from_numpy(part)) for part in parts)
        return kept, held_out
