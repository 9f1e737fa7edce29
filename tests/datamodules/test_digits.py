"""The embedded digits."""

import numpy as np
import torch
from sklearn.datasets import load_digits

from dropout_lab.datamodules import DigitsDataModule


def digits(**arguments: object) -> DigitsDataModule:
    data = DigitsDataModule(**arguments)  # type: ignore[arg-type]
    data.setup()
    return data


def test_the_three_splits_are_all_digits_once() -> None:
    splits = digits().splits
    assert [len(split.labels) for split in splits] == [1222, 216, 359]
    stored = np.round(load_digits().images * 255 / 16).astype(np.uint8).reshape(-1, 64)
    found = torch.cat([split.pixels for split in splits]).numpy().reshape(-1, 64)
    assert sorted(map(bytes, found)) == sorted(map(bytes, stored))


def test_stratified() -> None:
    for split in digits().splits:
        share = split.labels.bincount() / len(split.labels)
        assert (share - 0.1).abs().max() < 0.01


def test_split_follows_the_seed() -> None:
    first, same, other = digits(seed=1), digits(seed=1), digits(seed=2)
    assert torch.equal(first.splits.test.pixels, same.splits.test.pixels)
    assert not torch.equal(first.splits.test.pixels, other.splits.test.pixels)


def test_sizes_as_numbers() -> None:
    splits = digits(val_size=100, test_size=200).splits
    assert [len(split.labels) for split in splits] == [1497, 100, 200]
