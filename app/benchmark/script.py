"""What one would write with torch and torchvision alone, to do the same as a data module and a fit of this project."""

from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, final

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.data import DataLoader, Dataset, RandomSampler, Subset
from torchvision import datasets
from torchvision.transforms import v2

from dropout_lab.callbacks.timing import seconds
from dropout_lab.datamodules import ImageDataModule
from dropout_lab.datamodules.base import Loader
from dropout_lab.datamodules.image_files import DecodedDataModule

Transform = Callable[[Any], Any]


@final
class ImageFiles(Dataset[tuple[Any, int]]):
    """Files and their labels, each opened when it is asked for.

    Args:
        files: of any format.
        labels: as many.
        transform: of a PIL image.
    """

    def __init__(self, files: Sequence[Path], labels: Sequence[int], transform: Transform) -> None:
        """Keep the names."""
        self.files, self.labels, self.transform = files, labels, transform

    def __len__(self) -> int:
        """Return the number of files."""
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        """Open a file."""
        with Image.open(self.files[index]) as image:
            return self.transform(image.convert("RGB")), self.labels[index]


def transforms(data: ImageDataModule, augment: Sequence[nn.Module] = ()) -> Transform:
    """Return the transforms of one image that give what the data module gives.

    Args:
        data: read, and normalized by ``"standard"``.
        augment: of a PIL image; for small images this is faster than of a tensor.
    """
    mean, deviation = (
        (each.flatten() / 255).tolist() for each in (data.normalization.shift, data.normalization.scale)
    )
    steps = [*augment, v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(mean, deviation)]
    return v2.Compose(steps)  # type: ignore[no-any-return]


def mnist(data: ImageDataModule, transform: Transform) -> Dataset[Any]:
    """Return the images that the data module trains on."""
    return _first(datasets.MNIST(data.root, train=True, transform=transform), data)


def cifar10(data: ImageDataModule, transform: Transform) -> Dataset[Any]:
    """Return the images that the data module trains on."""
    return _first(datasets.CIFAR10(data.root, train=True, transform=transform), data)


def files(data: ImageDataModule, transform: Transform) -> Dataset[Any]:
    """Return the images that the data module trains on, resized as it does, from their files."""
    assert isinstance(data, DecodedDataModule)
    resized = v2.Compose([v2.Resize(data.size), v2.CenterCrop(data.size), transform])
    return ImageFiles(data.sample_files[0], data.splits.train.labels.tolist(), resized)


def _first(whole: Dataset[Any], data: ImageDataModule) -> Dataset[Any]:
    return Subset(whole, range(len(data.splits.train.labels)))


def loader_of(dataset: Dataset[Any], batch_size: int, workers: int, epochs: int = 1) -> Loader:
    """Return the loader; all else is DataLoader's default.

    Args:
        dataset: of single images.
        batch_size: images a batch.
        workers: processes.
        epochs: one after another as if they were one, so that workers do not start anew.
    """
    if epochs == 1:
        return DataLoader(dataset, batch_size, shuffle=True, num_workers=workers)
    images = len(dataset)  # type: ignore[arg-type]
    sampler = RandomSampler(range(images), num_samples=epochs * images)
    return DataLoader(dataset, batch_size, sampler=sampler, num_workers=workers)


def fully_connected() -> nn.Sequential:
    """Return the layers of ``FullyConnected(hidden=[100, 100])`` for CIFAR-10."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(3072, 100),
        nn.ReLU(),
        nn.Linear(100, 100),
        nn.ReLU(),
        nn.Linear(100, 10),
    )


def gavier_mnist() -> nn.Sequential:
    """Return the layers of ``GavierMNIST()``."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(6272, 1000),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.Linear(1000, 1000),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.Linear(1000, 10),
    )


def train(
    loader: Loader, network: nn.Module, optimizer: Optimizer, device: torch.device, steps: int
) -> tuple[float, Tensor]:
    """Train for so many steps, an epoch at most.

    Returns:
        Seconds from the first batch's arrival, so that starting workers is no part, to the end of the last step; the
        losses of the steps, ``(steps,)``.
    """
    losses = []
    batches = islice(loader, steps)
    batch = next(batches, None)
    start = seconds(device)
    while batch is not None:
        images, labels = batch[0].to(device), batch[1].to(device)
        optimizer.zero_grad()
        loss = F.cross_entropy(network(images), labels)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(loss.detach())
        batch = next(batches, None)
    return seconds(device) - start, torch.stack(losses)
