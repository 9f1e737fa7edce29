"""Rows, or columns, of a report whose runs came out the same to the last digit: what sets them apart never acted."""

from collections.abc import Mapping, Sequence

import pandas as pd

from dropout_lab.app.study.run_files import RunResult
from dropout_lab.app.study.spec import Labels

Runs = Sequence[Mapping[int, Sequence[str]]]
"""Runs of a row in each table and column, by seed."""


def outcome(result: RunResult, history: pd.DataFrame | None) -> object:
    """Return all that a run has come to, but for times: two that are equal were the same to the last digit.

    ``history`` are the rows of its ``epochs.csv``; None without that file.
    """
    figures = {name: value for name, value in vars(result).items() if name not in RunResult.CIRCUMSTANCES}
    curves = None
    if history is not None:
        curves = history.drop(
            columns=[name for name in history if str(name).split("/")[0] in ("seconds", "time")]
        )
    # NaN, which is unequal to itself, is written like NaN.
    return repr(sorted(figures.items())), None if curves is None else curves.to_csv(index=False)


def merge_identical(
    runs: Sequence[Runs], outcomes: Mapping[str, object], ranks: Sequence[int | None]
) -> list[list[int]]:
    """Group rows, or columns, by number, whose runs have the same outcome; each group begins with what it keeps.

    Runs that several rows share, as those of a method without a p at each p, are one run and no finding: such rows
    stay. Of each group the row of the highest rank is kept, else the first. A rank is None for a row that the source
    tells from others by numbers of its own: two of these stay apart.
    """
    ends = [
        [{seed: [outcomes[run] for run in each[seed]] for seed in each} for each in places] for places in runs
    ]
    names = [{run for each in places for of_seed in each.values() for run in of_seed} for places in runs]
    groups: list[list[int]] = []
    for row, rank in enumerate(ranks):
        for group in groups if names[row] else ():
            others = all(names[row].isdisjoint(names[other]) for other in group)
            told_apart = rank is None and any(ranks[other] is None for other in group)
            if ends[group[0]] == ends[row] and others and not told_apart:
                group.append(row)
                break
        else:
            groups.append([row])
    return [sorted(group, key=lambda row: (ranks[row] is not None, -(ranks[row] or 0))) for group in groups]


def joined(group: Sequence[Labels]) -> Labels:
    """Return the labels of a group as one: ``a = b`` where they differ, numbers with their axis before them."""
    found: Labels = {}
    for axis, first in group[0].items():
        labels = list(dict.fromkeys(labels[axis] for labels in group))
        words = " = ".join(map(str, labels))
        if len(labels) == 1:
            found[axis] = first
        else:
            found[axis] = words if isinstance(first, str) else f"{axis} {words}"
    return found
