"""Sizes of splits, and how samples are drawn: stratified, or by whole groups."""

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Generator, Tensor

from dropout_lab.datamodules.batches import Images
from dropout_lab.datamodules.sampling import Indices


def check_bounds(name: str, value: int | None, least: int, most: int | None = None) -> None:
    """Raise ValueError if an argument is given and out of bounds."""
    if value is not None and value < least:
        raise ValueError(f"{name} must be {least} or more, got {value}")
    if value is not None and most is not None and value > most:
        raise ValueError(f"{name} must be {most} or less, got {value}")


def check_size(name: str, size: int | float) -> None:
    """Raise ValueError unless a size is a number of images or a share of them."""
    if not size > 0 or (isinstance(size, float) and size >= 1):
        raise ValueError(f"{name} must be a number of images (1 or more) or a share in (0, 1), got {size}")


def count_of(name: str, size: int | float, available: int) -> int:
    """Turn a size into a number of images; raise ValueError if it leaves none on one of the two sides."""
    count = round(size * available) if isinstance(size, float) else size
    if not 0 < count < available:
        raise ValueError(f"{name} must leave images on both sides: {size} of {available} images is {count}")
    return count


def hold_out_last(images: Images, val_size: int | float) -> tuple[Images, Images]:
    """Split off the last images for validation: the same ones whatever the seed, as the sources do."""
    count = count_of("val_size", val_size, len(images.labels))
    return images.select(slice(-count)), images.select(slice(-count, None))


def draw_stratified(labels: Tensor, count: int, keep: int, generator: Generator) -> tuple[Tensor, Tensor]:
    """Draw ``count`` samples, of each class in proportion to its size but at least one, and leave ``keep`` of each.

    ``labels`` are ``(N,)`` int64, of each class ``keep`` + 1 or more; ``count`` is from the number of classes C up to
    N − keep·C. Returns ascending indices of what is left and of what is drawn.
    """
    sizes = labels.bincount()
    share = sizes * (count / len(labels))
    take = share.long().clamp(min=1).minimum(sizes - keep)
    # Whole numbers that add up: the class that is furthest below its share gets one more, or above it one less.
    while (missing := count - int(take.sum())) != 0:
        step = 1 if missing > 0 else -1
        free = take < sizes - keep if step > 0 else take > 1
        take[((share - take) * step).masked_fill(~free, -torch.inf).argmax()] += step
    drawn = torch.zeros(len(labels), dtype=torch.bool)
    for label, number in enumerate(take.tolist()):
        members = (labels == label).nonzero().squeeze(1)
        drawn[members[torch.randperm(len(members), generator=generator)[:number]]] = True
    return (~drawn).nonzero().squeeze(1), drawn.nonzero().squeeze(1)


def stratified_sample(labels: Indices, count: int, seed: int) -> Indices:
    """Draw ``count`` samples without replacement, each class at its share to the nearest whole number; ascending."""
    exact = np.bincount(labels) * (count / len(labels))
    counts = np.floor(exact).astype(np.int64)
    # What rounding down has left over goes to the classes that it took most from.
    counts[np.argsort(counts - exact, kind="stable")[: count - counts.sum()]] += 1
    permuted = np.random.default_rng(seed).permutation
    drawn = [permuted(np.flatnonzero(labels == label))[:wanted] for label, wanted in enumerate(counts)]
    return np.sort(np.concatenate(drawn))


def join_groups(groups: Sequence[str], pairs: Iterable[tuple[int, int]]) -> Indices:
    """Return the number of each sample's group, ``(N,)``, where pairs of samples join their two groups into one."""
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

    ``groups`` and ``labels``, both ``(N,)``, are of each sample; ``shares``, above 0, add up to 1; ``seed`` decides
    between groups that are alike. Returns ascending indices of the samples of each part.
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
