"""Several ways to do something, timed in turn: what disturbs the machine disturbs all of them alike."""

import random
from collections.abc import Callable, Mapping
from time import perf_counter

import pandas as pd
import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from dropout_lab.callbacks.timing import seconds

# First turns, which load code and fill caches, are not counted.
WARM_UP = 3
# However little time there is, a median wants a few turns; however much, more tell nothing.
LEAST_TURNS, MOST_TURNS = 5, 300


def stopwatch(way: Callable[[], object], device: torch.device) -> Callable[[], float]:
    """Return what does something and returns its seconds; the device is synchronized before the clock is read."""

    def timed() -> float:
        start = seconds(device)
        way()
        return seconds(device) - start

    return timed


def interleave(
    ways: Mapping[str, Callable[[], float]],
    budget: float,
    title: str,
    console: Console,
    warm_up: int = WARM_UP,
) -> pd.DataFrame:
    """Let all ways take turns, in another order each time, until the time is used up.

    Args:
        ways: what to do, by name; each returns its seconds, of which getting ready may be no part.
        budget: seconds for all turns, warming up apart; at least :data:`LEAST_TURNS` are taken.

    Returns:
        Seconds, a row for each turn, a column for each way.
    """
    order = list(ways)
    shuffled = random.Random(0)
    turns: list[dict[str, float]] = []
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        row = bar.add_task(title, total=budget)
        for _ in range(warm_up):
            for name in order:
                ways[name]()
        begin, spent = perf_counter(), 0.0
        while len(turns) < LEAST_TURNS or (spent < budget and len(turns) < MOST_TURNS):
            shuffled.shuffle(order)
            turns.append({name: ways[name]() for name in order})
            spent = perf_counter() - begin
            bar.update(row, completed=min(spent, budget))
    return pd.DataFrame(turns, columns=list(ways))


def ratio(times: pd.DataFrame, name: str, baseline: str) -> float:
    """Return the median over turns of a way's time over the baseline's in the same turn."""
    return float((times[name] / times[baseline]).median())
