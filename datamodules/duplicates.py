"""Images that are there twice: in training and in what is measured, or under two labels."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

# Pairs of files that a message names.
SHOWN = 3


class Part(NamedTuple):
    """The images of one split that were read."""

    files: Sequence[Path]
    labels: Tensor
    """``(N,)``."""
    rows: Tensor
    """``(N,)``; equal for files whose content is, byte for byte."""


def duplicates(parts: Mapping[str, Part]) -> list[str]:
    """Return what is wrong with equal files, a sentence each: of training and of a later split, and of two labels.

    The first of ``parts`` is what is trained on. Equal files of one split and one label are left alone.
    """
    (_, train), *measured = parts.items()
    found = []
    for name, part in measured:
        again = torch.isin(part.rows, train.rows).nonzero().flatten().tolist()
        if again:
            first = {int(row): file for row, file in zip(train.rows, train.files, strict=True)}
            pairs = [f"{part.files[place]} is {first[int(part.rows[place])]}" for place in again[:SHOWN]]
            found.append(
                f"{len(again):,} of {len(part.files):,} {name} images are training images too "
                f"({_listed(pairs, again)})"
            )
    files = [file for part in parts.values() for file in part.files]
    rows = torch.cat([part.rows for part in parts.values()])
    labels = torch.cat([part.labels for part in parts.values()])
    order = torch.argsort(rows, stable=True)
    same, other = rows[order].diff() == 0, labels[order].diff() != 0
    twice = (same & other).nonzero().flatten().tolist()
    if twice:
        pairs = [f"{files[order[place]]} is {files[order[place + 1]]}" for place in twice[:SHOWN]]
        found.append(f"{len(twice):,} image(s) are there under two labels ({_listed(pairs, twice)})")
    return found


def _listed(pairs: Sequence[str], all_of_them: Sequence[int]) -> str:
    more = len(all_of_them) - len(pairs)
    return "; ".join(pairs) + (f"; and {more:,} more" if more else "")
