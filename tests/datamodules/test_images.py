"""Whole batches: equal to single samples, by any sampler, in workers."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, DistributedSampler

from dropout_lab.datamodules.batches import BatchDataset, Images, resize, whole_batch


@pytest.fixture
def images() -> Images:
    return Images(torch.randint(0, 256, (23, 3, 8, 8), dtype=torch.uint8), torch.arange(23))


def halve(pixels: torch.Tensor) -> torch.Tensor:
    return pixels / 2


@pytest.mark.parametrize("workers", [0, 1])
def test_batches_equal_single_samples(images: Images, workers: int) -> None:
    dataset = BatchDataset(images, halve)
    loader: DataLoader[tuple[torch.Tensor, torch.Tensor]] = DataLoader(
        dataset, batch_size=5, shuffle=True, num_workers=workers, collate_fn=whole_batch
    )
    seen = []
    for batch, labels in loader:
        assert batch.shape[0] == len(labels) <= 5
        for image, label in zip(batch, labels, strict=True):
            single, its_label = dataset[int(label)]
            assert torch.equal(image, single)
            assert label == its_label
            seen.append(int(label))
    assert sorted(seen) == list(range(23))


def test_sharding_over_processes(images: Images) -> None:
    dataset = BatchDataset(images, halve)
    seen = []
    for rank in range(2):
        sampler: DistributedSampler[int] = DistributedSampler(
            dataset, num_replicas=2, rank=rank, shuffle=False
        )
        loader: DataLoader[tuple[torch.Tensor, torch.Tensor]] = DataLoader(
            dataset, batch_size=4, sampler=sampler, collate_fn=whole_batch
        )
        seen.append(torch.cat([labels for _, labels in loader]))
    assert torch.equal(seen[0], torch.arange(0, 23, 2))
    assert torch.equal(seen[1][:-1], torch.arange(1, 23, 2))


def test_augments_before_the_transform(images: Images) -> None:
    dataset = BatchDataset(images, halve, augment=lambda pixels: torch.zeros_like(pixels))
    assert not dataset[3][0].any()


@pytest.mark.parametrize("size", [4, 16])
def test_resize_is_pils(images: Images, size: int) -> None:
    resized = resize(images, size)
    assert resized.pixels.shape == (23, 3, size, size)
    assert resized.pixels.dtype == torch.uint8
    stored = images.pixels[0].permute(1, 2, 0).numpy()
    theirs = Image.fromarray(stored).resize((size, size), Image.Resampling.BILINEAR)
    expected = torch.from_numpy(np.array(theirs))
    difference = resized.pixels[0].permute(1, 2, 0).int() - expected.int()
    assert difference.abs().max() <= 1
