"""What a fit can at most be: its steps with nothing around them, and with nothing but Lightning's loop around them."""

from collections.abc import Callable, Iterator
from itertools import islice
from typing import final

import torch
import torch.nn.functional as F
from pytorch_lightning import LightningModule, Trainer
from torch import Tensor
from torch.optim import Optimizer
from torch.utils.data import DataLoader

from dropout_lab.app.console import silence_lightning
from dropout_lab.callbacks.timing import seconds
from dropout_lab.datamodules import ImageDataModule
from dropout_lab.models import ImageClassifier
from dropout_lab.models.networks import Network


def fit_optimizer(network: Network) -> Optimizer:
    """Return the optimizer that a fit of this network has by default."""
    optimizer = ImageClassifier(network).configure_optimizers()
    assert isinstance(optimizer, Optimizer), "there is no scheduler by default"
    return optimizer


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
        """Normalize all images."""
        train = data.splits.train
        self.pixels = torch.cat([data.normalization(chunk) for chunk in train.chunks()]).to(device)
        self.labels = train.labels.to(device)
        self.batch_size = batch_size
        self.steps = steps

    def __len__(self) -> int:
        """Return the number of batches."""
        return self.steps

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Gather batch after batch."""
        order = torch.randperm(len(self.labels)).to(self.labels.device)
        for index in islice(torch.split(order, self.batch_size), self.steps):
            yield self.pixels.index_select(0, index), self.labels.index_select(0, index)


def bare_loop(network: Network, batches: InMemory) -> Callable[[], tuple[float, Tensor]]:
    """Return what trains on these batches, and does nothing else.

    What it returns are its seconds and the losses, as :func:`dropout_lab.app.benchmark.script.train` does.
    """
    device = batches.labels.device
    network.to(device)
    optimizer = fit_optimizer(network)

    def epoch() -> tuple[float, Tensor]:
        losses = []
        start = seconds(device)
        for images, target in batches:
            optimizer.zero_grad()
            loss = F.cross_entropy(network(images, target), target)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            losses.append(loss.detach())
        return seconds(device) - start, torch.stack(losses)

    return epoch


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
        return F.cross_entropy(self.network(images, target), target)

    def on_train_epoch_end(self) -> None:
        self.took = seconds(self.device) - self._start


def lightning_loop(network: Network, batches: InMemory) -> Callable[[], float]:
    """Return what trains on these batches by Lightning's loop with all that it can do switched off.

    Each call is a fit of two epochs, as of this project's; it returns the seconds of the second.
    """
    silence_lightning()
    module = _Steps(network)

    def epoch() -> float:
        trainer = Trainer(barebones=True, accelerator=batches.labels.device.type, devices=1, max_epochs=2)
        trainer.fit(module, _as_loader(batches), weights_only=True)
        return module.took

    return epoch


def _as_loader(batches: InMemory) -> "DataLoader[tuple[Tensor, Tensor]]":
    # Lightning takes whatever can be iterated over; its types know DataLoaders alone.
    return batches  # type: ignore[return-value]
