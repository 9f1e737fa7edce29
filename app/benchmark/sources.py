"""The data sets that are measured, with what torchvision would do about them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from torch import nn
from torch.utils.data import Dataset
from torchvision.transforms import v2

from dropout_lab.app.benchmark import script
from dropout_lab.app.errors import UserError
from dropout_lab.datamodules import (
    CIFAR10DataModule,
    DataError,
    DatasetNotFoundError,
    ImageDataModule,
    ISICDataModule,
    MNISTDataModule,
    TinyImageNetDataModule,
)
from dropout_lab.datamodules.errors import TermsNotAcceptedError

BATCH = 100


@dataclass(frozen=True)
class Source:
    """A data set.

    Attributes:
        name: as people call it.
        module: its data module.
        dataset: the same images by torchvision, given the module and a transform.
        augment: what torchvision's transforms are to the module's ``augment=True``.
        augmented: that in words.
        val_size: share of the images that is not trained on.
    """

    name: str
    module: type[ImageDataModule]
    dataset: Callable[[ImageDataModule, script.Transform], Dataset[Any]]
    augment: tuple[nn.Module, ...]
    augmented: str
    val_size: float

    def read(self, root: Path, augment: bool = False, device: str | None = None) -> ImageDataModule:
        """Return the module, its data read."""
        data = self.module(str(root), BATCH, self.val_size, augment=augment, device=device)
        data.prepare_data()
        return data


SOURCES = (
    Source("MNIST", MNISTDataModule, script.mnist, (v2.RandomCrop(28, padding=2),), "crop", 0.05),
    Source(
        "CIFAR-10",
        CIFAR10DataModule,
        script.cifar10,
        (v2.RandomCrop(32, padding=4), v2.RandomHorizontalFlip()),
        "crop and flip",
        0.02,
    ),
    Source(
        "Tiny ImageNet",
        TinyImageNetDataModule,
        script.files,
        (v2.RandomCrop(64, padding=4), v2.RandomHorizontalFlip()),
        "crop and flip",
        0.1,
    ),
    Source(
        "ISIC 2020",
        ISICDataModule,
        script.files,
        (v2.RandomHorizontalFlip(), v2.RandomVerticalFlip()),
        "two flips",
        0.1,
    ),
)


def find(root: Path, console: Console) -> dict[str, Source]:
    """Return the data sets that are in a folder, by name; say which are not.

    Raises:
        UserError: none is there, or one cannot be used.
    """
    found, missing = {}, []
    for source in SOURCES:
        try:
            data = source.read(root)
            source.dataset(data, script.transforms(data))
        except (DatasetNotFoundError, TermsNotAcceptedError):
            missing.append(source.name)
        except (DataError, ValueError, OSError) as error:
            raise UserError(str(error)) from error
        except RuntimeError as error:
            # torchvision wants MNIST unpacked and CIFAR-10 with its labels' names, and has no error of its own for it.
            missing.append(f"{source.name} (torchvision: {str(error).splitlines()[0]})")
        else:
            found[source.name] = source
    if not found:
        raise UserError(
            f"none of {', '.join(missing)} is in the folder {root} ({root.resolve()}). Give the folder that holds them "
            "with --root FOLDER, or fetch MNIST or CIFAR-10 with `dropout-lab fit --config configs/mnist.yaml "
            "--data.download true`"
        )
    if missing:
        console.print(f"not in {root}, and left out: {', '.join(missing)}", soft_wrap=True, markup=False)
    return found
