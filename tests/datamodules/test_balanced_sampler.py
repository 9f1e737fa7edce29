"""Balanced draws: both classes as often, from (seed, epoch), one sequence over processes."""

import pytest
import torch
from torch import distributed

from dropout_lab.datamodules.sampling import BalancedSampler

LABELS = torch.tensor([0] * 950 + [1] * 50)


def test_classes_are_as_frequent() -> None:
    drawn = list(BalancedSampler(LABELS, seed=0))
    assert len(drawn) == len(LABELS)
    # 4 standard deviations of a fair coin.
    assert LABELS[drawn].float().mean() == pytest.approx(0.5, abs=4 * 0.5 / len(LABELS) ** 0.5)
    assert set(drawn) & set(range(950))


def test_follows_seed_and_epoch() -> None:
    first, same, other = BalancedSampler(LABELS, 0), BalancedSampler(LABELS, 0), BalancedSampler(LABELS, 1)
    assert list(first) == list(same) != list(other)
    same.set_epoch(0)
    assert list(first) != list(same)
    same.set_epoch(1)
    # An iteration that nobody announces is the next epoch.
    first.set_epoch(0)
    list(first)
    assert list(first) == list(same)


def test_processes_share_one_sequence(monkeypatch: pytest.MonkeyPatch) -> None:
    alone = list(BalancedSampler(LABELS, 0))
    monkeypatch.setattr(distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(distributed, "get_world_size", lambda: 2)
    parts = []
    for rank in (0, 1):
        monkeypatch.setattr(distributed, "get_rank", lambda rank=rank: rank)
        parts.append(list(BalancedSampler(LABELS, 0)))
    assert [index for pair in zip(*parts, strict=True) for index in pair] == alone
