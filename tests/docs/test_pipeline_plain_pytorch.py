"""What fits and data modules are compared with does the same as they do."""

from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torchvision.transforms import v2

from dropout_lab.datamodules.augment import RandomShift
from dropout_lab.datamodules.normalize import Normalization
from pipeline_fits import FITS, Fit
from pipeline_plain_pytorch import (
    SOURCES,
    InMemory,
    Source,
    fit_optimizer,
    lightning_loop,
    loader_of,
    train,
    transforms,
)
from tests.data.isic import write_isic
from tests.data.tiny_imagenet import write_tiny_imagenet

CPU = torch.device("cpu")
BY_NAME = {source.name: source for source in SOURCES}


@pytest.mark.parametrize("fit", FITS, ids=lambda fit: str(fit.network.__name__))
def test_the_script_computes_what_the_fit_does(fit: Fit, root: Path) -> None:
    source = BY_NAME[fit.source]
    data = source.read(root)
    dataset: Any = source.plain(data)
    split = data.splits.train
    assert len(dataset) == len(split.labels)
    images, labels = (torch.stack([torch.as_tensor(each[part]) for each in dataset]) for part in (0, 1))
    assert torch.equal(labels, split.labels)
    assert torch.allclose(images, data.normalization(split.pixels), atol=1e-5)

    network, layers = fit.network(**fit.arguments), fit.layers()
    weights = zip(network.parameters(), layers.parameters(), strict=True)
    with torch.no_grad():
        for ours, theirs in weights:
            theirs.copy_(ours)
    rates = [layer.p for layer in layers if isinstance(layer, nn.Dropout)]
    assert rates == [
        rate for layer in network.dropout_layers().values() if (rate := getattr(layer, "p", None))
    ]
    losses = [F.cross_entropy(each.eval()(images), labels).item() for each in (network, layers)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)

    by_hand, fits_own = torch.optim.Adam(layers.parameters(), lr=1e-3), fit_optimizer(network)
    assert type(by_hand) is type(fits_own)
    for name in ("lr", "betas", "eps", "weight_decay", "amsgrad"):
        assert by_hand.defaults[name] == fits_own.defaults[name], name

    steps = len(data.train_dataloader())
    loader = loader_of(dataset, 100, 0)
    for most in (steps, 1):
        for batches, trained, optimizer in (
            (islice(loader, most), layers, by_hand),
            (iter(InMemory(data, CPU, 100, most)), network, fits_own),
        ):
            _, found = train(batches, trained, optimizer, CPU)
            assert len(found) == most
            assert found.isfinite().all()


def test_both_learn(root: Path) -> None:
    fit = FITS[0]
    source = BY_NAME[fit.source]
    data = source.read(root)
    network, layers = fit.network(**fit.arguments), fit.layers()
    by_hand = torch.optim.Adam(layers.parameters(), lr=1e-3)
    loader, tensors = loader_of(source.plain(data), 100, 0), InMemory(data, CPU, 100, 3)
    for batches, trained, optimizer in (
        (loader, layers, by_hand),
        (tensors, network, fit_optimizer(network)),
    ):
        losses = [train(islice(batches, 3), trained, optimizer, CPU)[1].mean().item() for _ in range(10)]
        assert losses[-1] < losses[0] - 0.5


def test_lightnings_loop_does_the_same_steps(root: Path) -> None:
    fit = FITS[0]
    batches = InMemory(BY_NAME[fit.source].read(root), CPU, 100, 3)
    one, other = fit.network(**fit.arguments), fit.network(**fit.arguments)
    other.load_state_dict(one.state_dict())
    torch.manual_seed(0)
    optimizer = fit_optimizer(one)
    for _ in range(2):
        train(iter(batches), one, optimizer, CPU)
    torch.manual_seed(0)
    assert lightning_loop(other, batches)() > 0
    for bare, lightnings in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(bare, lightnings)


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: str(source.name))
def test_augmentation_is_the_modules(source: Source) -> None:
    crops = [step.padding[0] for step in source.augment if isinstance(step, v2.RandomCrop)]
    assert crops == [step.padding for step in source.module.augmentations if isinstance(step, RandomShift)]
    flips = [step for step in source.augment if not isinstance(step, v2.RandomCrop)]
    ours = [step for step in source.module.augmentations if not isinstance(step, RandomShift)]
    assert len(flips) == sum(1 + step.vertical for step in ours)  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["Tiny ImageNet", "ISIC 2020"])
def test_files_give_what_the_module_gives(name: str, tmp_path: Path) -> None:
    write_isic(tmp_path)
    write_tiny_imagenet(tmp_path)
    source = BY_NAME[name]
    data = source.read(tmp_path)
    dataset: Any = source.plain(data)
    images, labels = zip(*(dataset[index] for index in range(len(dataset))), strict=True)
    train = data.splits.train
    assert list(labels) == train.labels.tolist()
    ours = data.normalization(train.take(torch.arange(len(train.labels))))
    # Of images that are no squares, edges are rounded otherwise.
    assert (torch.stack(images) - ours).abs().mean() < 0.2


def test_normalization_of_the_script(root: Path) -> None:
    data = BY_NAME["MNIST"].read(root)
    data._normalization = Normalization(torch.tensor([[[51.0]]]), torch.tensor([[[102.0]]]))
    image = torch.full((28, 28), 255, dtype=torch.uint8)
    assert transforms(data)(v2.functional.to_pil_image(image)).unique() == pytest.approx(2.0)


def test_epochs_without_a_pause() -> None:
    dataset: Any = torch.utils.data.TensorDataset(torch.arange(10))
    loader: Any = loader_of(dataset, 4, 0, epochs=3)
    (seen,) = zip(*loader, strict=True)
    assert [len(batch) for batch in seen] == [4, 4, 4, 4, 4, 4, 4, 2]
    epochs = torch.cat(seen).view(3, 10)
    assert torch.equal(epochs.sort(dim=1).values, torch.arange(10).expand(3, 10))
    assert not torch.equal(epochs[0], epochs[1])
