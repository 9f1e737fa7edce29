"""What one would write with torch and torchvision alone, to do what a data module and a fit of this project do.

And what a fit can at most be: its steps with nothing around them, and with nothing but Lightning's loop around them.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, final

import torch
import torch.nn.functional as F
from PIL import Image
from pytorch_lightning import LightningModule, Trainer
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.data import DataLoader, Dataset, RandomSampler, Subset
from torchvision import datasets
from torchvision.transforms import v2

from dropout_lab.app.console import silence_lightning
from dropout_lab.callbacks.timing import seconds
from dropout_lab.datamodules import (
    CIFAR10DataModule,
    ImageDataModule,
    ISICDataModule,
    MNISTDataModule,
    TinyImageNetDataModule,
)
from dropout_lab.datamodules.base import Loader
from dropout_lab.datamodules.image_files import DecodedDataModule
from dropout_lab.models import ImageClassifier
from dropout_lab.models.networks import Network

BATCH = 100
Transform = Callable[[Any], Any]


@final
class ImageFiles(Dataset[tuple[Any, int]]):
    """Files and their labels, each opened when it is asked for, and a transform of its PIL image."""

    def __init__(self, files: Sequence[Path], labels: Sequence[int], transform: Transform) -> None:
        self.files, self.labels, self.transform = files, labels, transform

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        with Image.open(self.files[index]) as image:
            return self.transform(image.convert("RGB")), self.labels[index]


def mnist(data: ImageDataModule, transform: Transform) -> Dataset[Any]:
    """Return the images that the data module trains on, which are the first ones."""
    whole = datasets.MNIST(data.root, train=True, transform=transform)
    return Subset(whole, range(len(data.splits.train.labels)))


def cifar10(data: ImageDataModule, transform: Transform) -> Dataset[Any]:
    """Likewise."""
    whole = datasets.CIFAR10(data.root, train=True, transform=transform)
    return Subset(whole, range(len(data.splits.train.labels)))


def files(data: ImageDataModule, transform: Transform) -> Dataset[Any]:
    """Return the images that the data module trains on, resized as it does, from their files."""
    assert isinstance(data, DecodedDataModule)
    size = data.conversion.size
    resized = v2.Compose([v2.Resize(size), v2.CenterCrop(size), transform])
    return ImageFiles(data.sample_files[0], data.splits.train.labels.tolist(), resized)


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
    dataset: Callable[[ImageDataModule, Transform], Dataset[Any]]
    augment: tuple[nn.Module, ...]
    augmented: str
    val_size: float

    def read(self, root: Path, augment: bool = False, device: str | None = None) -> ImageDataModule:
        """Return the module, its data read."""
        data = self.module(
            str(root), batch_size=BATCH, val_size=self.val_size, augment=augment, device=device
        )
        data.prepare_data()
        return data

    def plain(self, data: ImageDataModule, augment: bool = False) -> Dataset[Any]:
        """Return the data set that gives, image by image, what the data module gives."""
        return self.dataset(data, transforms(data, self.augment if augment else ()))


FLIP = v2.RandomHorizontalFlip()
SOURCES = (
    Source("MNIST", MNISTDataModule, mnist, (v2.RandomCrop(28, padding=2),), "crop", 0.05),
    Source("CIFAR-10", CIFAR10DataModule, cifar10, (v2.RandomCrop(32, padding=4), FLIP), "crop and flip", 0.02),
    Source("Tiny ImageNet", TinyImageNetDataModule, files, (v2.RandomCrop(64, padding=4), FLIP), "crop and flip", 0.1),
    Source("ISIC 2020", ISICDataModule, files, (FLIP, v2.RandomVerticalFlip()), "two flips", 0.1),
)  # fmt: skip


def transforms(data: ImageDataModule, augment: Sequence[nn.Module] = ()) -> Transform:
    """Return the transforms of one image that give what the data module gives, read and normalized by ``standard``.

    Augmentation is of the PIL image, which for small images is faster than of a tensor.
    """
    mean, deviation = (
        (each.flatten() / 255).tolist() for each in (data.normalization.shift, data.normalization.scale)
    )
    steps = [*augment, v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(mean, deviation)]
    return v2.Compose(steps)  # type: ignore[no-any-return]


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
    batches: Iterator[Any], network: nn.Module, optimizer: Optimizer, device: torch.device
) -> tuple[float, Tensor]:
    """Train on some batches.

    Returns:
        Seconds from the first batch's arrival, so that starting workers is no part, to the end of the last step; the
        losses of the steps, ``(steps,)``.
    """
    losses = []
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


@final
class InMemory:
    """Training images as normalized tensors, and their batches in a new order at each iteration.

    Args:
        data: read and set up.
        device: where to keep them.
        batch_size: images a batch.
        steps: batches of an iteration.
    """

    def __init__(self, data: ImageDataModule, device: torch.device, batch_size: int, steps: int) -> None:
        train_split = data.splits.train
        self.pixels = torch.cat([data.normalization(chunk) for chunk in train_split.chunks()]).to(device)
        self.labels = train_split.labels.to(device)
        self.batch_size = batch_size
        self.steps = steps

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        order = torch.randperm(len(self.labels)).to(self.labels.device)
        for index in islice(torch.split(order, self.batch_size), self.steps):
            yield self.pixels.index_select(0, index), self.labels.index_select(0, index)


def fit_optimizer(network: Network) -> Optimizer:
    """Return the optimizer that a fit of this network has by default."""
    optimizer = ImageClassifier(network).configure_optimizers()
    assert isinstance(optimizer, Optimizer), "there is no scheduler by default"
    return optimizer


@final
class _Steps(LightningModule):
    """The same steps as a LightningModule, which reads the clock."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network
        self.took = 0.0

    def configure_optimizers(self) -> Optimizer:
        return fit_optimizer(self.network)

    def on_train_epoch_start(self) -> None:
        self._start = seconds(self.device)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        images, target = batch
        return F.cross_entropy(self.network(images), target)

    def on_train_epoch_end(self) -> None:
        self.took = seconds(self.device) - self._start


def lightning_loop(network: Network, batches: InMemory) -> Callable[[], float]:
    """Return what trains on these batches by Lightning's loop with all that it can do switched off.

    Each call is a fit of two epochs and returns the seconds of the second.
    """
    silence_lightning()
    module = _Steps(network)

    def epoch() -> float:
        trainer = Trainer(barebones=True, accelerator=batches.labels.device.type, devices=1, max_epochs=2)
        # Lightning takes whatever can be iterated over; its types know DataLoaders alone.
        trainer.fit(module, batches, weights_only=True)
        return module.took

    return epoch
