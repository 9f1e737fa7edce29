"""Golden figures of the CS 6353 notebook, to the digit."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dropout_lab.datamodules import CIFAR10DataModule
from dropout_lab.models.dropout import Dropout, NoDropout
from dropout_lab.models.dropout.standard import masked
from dropout_lab.models.networks import FullyConnected


class NotebookDropout(Dropout):
    """The notebook's layer: NumPy's mask, before which the one stream of random numbers is seeded anew."""

    def __init__(self, p: float, stream: np.random.RandomState) -> None:
        super().__init__()
        self.p = p
        self.stream = stream

    def forward(self, x: Tensor, target: Tensor | None = None, weight: Tensor | None = None) -> Tensor:
        if not self.training:
            return x
        self.stream.seed(123)
        kept = torch.from_numpy(self.stream.rand(*x.shape) < 1 - self.p)
        return masked(x, kept, torch.tensor(self.p, dtype=x.dtype), inverted=True)


def set_weights(network: FullyConnected, weights: list[np.ndarray]) -> None:
    linears = [module for module in network.modules() if isinstance(module, nn.Linear)]
    for linear, weight in zip(linears, weights, strict=True):
        linear.weight = nn.Parameter(torch.from_numpy(weight.T))
        nn.init.zeros_(linear.bias)


def test_initial_losses() -> None:
    stream = np.random.RandomState(231)
    samples, inputs, hidden, classes = 2, 15, [20, 30], 10
    x = torch.from_numpy(stream.randn(samples, inputs)).view(samples, inputs, 1, 1)
    y = torch.from_numpy(stream.randint(classes, size=samples))
    sizes = [inputs, *hidden, classes]
    losses = []
    # The three networks are made in turn from one stream, which the forward passes of the one before seed anew.
    for make in (NoDropout, lambda: NotebookDropout(0.25, stream), lambda: NotebookDropout(0.5, stream)):
        network = FullyConnected(hidden, (inputs, 1, 1), classes, dropout=make).double()
        set_weights(network, [5e-2 * stream.randn(*shape) for shape in pairwise(sizes)])
        losses.append(F.cross_entropy(network(x), y).item())
    assert losses == pytest.approx([2.300479089768492, 2.302371489704412, 2.30427592207859], rel=1e-12)


def test_first_loss_on_cifar10(real_data: Path) -> None:
    data = CIFAR10DataModule(
        str(real_data), val_size=1000, test_limit=1000, train_limit=500, normalize="mean-image"
    )
    data.setup()
    train = data.splits.train
    assert [len(split.labels) for split in data.splits] == [500, 1000, 1000]
    state = np.random.RandomState(231)
    weights = [1e-2 * state.randn(3072, 500), 1e-2 * state.randn(500, 10)]
    batch = torch.from_numpy(state.choice(500, 100))
    network = FullyConnected([500], dropout=NoDropout).double()
    set_weights(network, weights)
    images = data.normalization(train.pixels[batch]).double()
    loss = F.cross_entropy(network(images), train.labels[batch])
    assert loss.item() == pytest.approx(7.856643, abs=5e-5)
