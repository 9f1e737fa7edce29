"""Splits that keep groups whole and every class at its share."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]


def joined_groups(groups: Sequence[str], pairs: Iterable[tuple[int, int]]) -> Indices:
    """Number the groups from 0, two as one where a pair of samples says that they belong together.

    Args:
        groups: name of the group of each sample.
        pairs: indices of samples that must not be parted.

    Returns:
        The number of each sample's group, ``(N,)``.
    """
    numbers = np.unique(np.asarray(groups), return_inverse=True)[1].tolist()
    parent = list(range(max(numbers, default=-1) + 1))

    def root(group: int) -> int:
        while parent[group] != group:
            parent[group] = parent[parent[group]]
            group = parent[group]
        return group

    for first, second in pairs:
        parent[root(numbers[first])] = root(numbers[second])
    roots = np.array([root(number) for number in numbers], dtype=np.int64)
    joined: Indices = np.unique(roots, return_inverse=True)[1].astype(np.int64)
    return joined


def split_groups(groups: Indices, labels: Indices, shares: Sequence[float], seed: int) -> list[Indices]:
    """Split samples into parts of about the given shares, of all samples and of each class; no group is parted.

    Greedy, groups with the largest share of any class first: with s the shares, x the part of each class that a group
    holds and m_s what part s still lacks of each, a group goes where it lessens Σ_s ‖m_s‖² / s most, which is where
    (2 m_s·x − ‖x‖²) / s is largest. Dividing by s lets a small part have large groups too.

    Departs from scikit-learn's StratifiedGroupKFold, whose parts are all of one size.

    Args:
        groups: number of each sample's group, ``(N,)``.
        labels: class of each sample, ``(N,)``.
        shares: of each part, above 0; they add up to 1.
        seed: decides between groups that are alike.

    Returns:
        Ascending indices of the samples of each part.
    """
    numbers, group_of = np.unique(groups, return_inverse=True)
    counts = np.zeros((len(numbers), int(labels.max(initial=0)) + 1))
    np.add.at(counts, (group_of, labels), 1)
    sizes = counts / np.maximum(counts.sum(axis=0), 1)
    order = np.random.default_rng(seed).permutation(len(numbers))
    order = order[np.argsort(-sizes[order].sum(axis=1), kind="stable")]
    share = np.asarray(shares)
    lacking = np.repeat(share[:, None], counts.shape[1], axis=1)
    part_of = np.empty(len(numbers), dtype=np.int64)
    for group in order:
        size = sizes[group]
        part = int(np.argmax((2 * lacking @ size - size @ size) / share))
        lacking[part] -= size
        part_of[group] = part
    return [np.flatnonzero(part_of[group_of] == part) for part in range(len(share))]


def stratified_sample(labels: Indices, count: int, seed: int) -> Indices:
    """Draw ``count`` samples without replacement, each class at its share to the nearest whole number.

    Returns:
        Their indices, ascending.
    """
    exact = np.bincount(labels) * (count / len(labels))
    counts = np.floor(exact).astype(np.int64)
    # What rounding down has left over goes to the classes that it took most from.
    counts[np.argsort(counts - exact, kind="stable")[: count - counts.sum()]] += 1
    generator = np.random.default_rng(seed)
    drawn = [
        generator.permutation(np.flatnonzero(labels == label))[:wanted] for label, wanted in enumerate(counts)
    ]
    return np.sort(np.concatenate(drawn))
