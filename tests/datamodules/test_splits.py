"""Splits: every class at its share, whole groups."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dropout_lab.datamodules.splits import draw_stratified, join_groups, split_groups, stratified_sample


def test_pairs_join_groups_through_others() -> None:
    joined = join_groups(["a", "b", "c", "d", "a"], [(0, 1), (1, 2)])
    assert joined[0] == joined[1] == joined[2] == joined[4]
    assert joined[3] != joined[0]
    assert set(joined.tolist()) == {0, 1}


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 2)), min_size=1, max_size=60), st.integers(0, 5))
def test_each_sample_once_and_no_group_parted(samples: list[tuple[int, int]], seed: int) -> None:
    groups, labels = (np.array(column) for column in zip(*samples, strict=True))
    parts = split_groups(groups, labels, (0.6, 0.3, 0.1), seed)
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(samples)))
    owners = [set(groups[part].tolist()) for part in parts]
    assert not owners[0] & owners[1] | owners[0] & owners[2] | owners[1] & owners[2]


def test_shares_of_all_and_of_the_rare_class() -> None:
    generator = np.random.default_rng(1)
    sizes = generator.integers(1, 40, 500)
    groups = np.repeat(np.arange(500), sizes)
    labels = (generator.random(len(groups)) < 0.03).astype(np.int64)
    for part, share in zip(split_groups(groups, labels, (0.7, 0.1, 0.2), 0), (0.7, 0.1, 0.2), strict=True):
        assert len(part) / len(groups) == pytest.approx(share, abs=0.005)
        assert labels[part].mean() == pytest.approx(labels.mean(), abs=0.002)


def test_small_parts_get_large_groups_too() -> None:
    groups = np.repeat(np.arange(40), [20] * 20 + [1] * 20)
    parts = split_groups(groups, np.zeros(len(groups), dtype=np.int64), (0.5, 0.3, 0.2), 0)
    assert all((np.bincount(groups[part], minlength=40)[:20] > 0).any() for part in parts)


def test_follows_the_seed() -> None:
    groups, labels = np.arange(50), np.arange(50) % 2
    first, same, other = (split_groups(groups, labels, (0.5, 0.5), seed)[0].tolist() for seed in (1, 1, 2))
    assert first == same
    assert first != other


def test_sample_keeps_every_class_at_its_share() -> None:
    labels = np.array([0] * 90 + [1] * 10)
    drawn = stratified_sample(labels, 25, seed=0)
    assert len(set(drawn.tolist())) == 25
    assert np.bincount(labels[drawn]).tolist() in ([22, 3], [23, 2])
    assert stratified_sample(labels, 100, seed=0).tolist() == list(range(100))


@pytest.mark.parametrize("keep", [1, 2])
def test_draws_of_every_class(keep: int) -> None:
    labels = torch.tensor([0] * 50 + [1] * 9 + [2] * (keep + 1))
    for count in range(3, len(labels) - 3 * keep + 1):
        rest, drawn = draw_stratified(labels, count, keep, torch.Generator().manual_seed(count))
        assert len(drawn) == count
        assert sorted(rest.tolist() + drawn.tolist()) == list(range(len(labels)))
        assert labels[drawn].bincount(minlength=3).min() >= 1
        assert labels[rest].bincount(minlength=3).min() >= keep


def test_draws_are_uniform_within_a_class() -> None:
    labels = torch.tensor([0] * 4 + [1] * 4)
    generator = torch.Generator().manual_seed(0)
    hits = torch.zeros(8)
    for _ in range(2000):
        hits[draw_stratified(labels, 2, 1, generator)[1]] += 1
    assert (hits - 500).abs().max() < 5 * (2000 * 3 / 16) ** 0.5
