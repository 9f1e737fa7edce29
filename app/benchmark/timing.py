"""Several ways to do something, timed in turn: what disturbs the machine disturbs all of them alike."""

import random
from collections.abc import Callable, Mapping
from time import perf_counter
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from dropout_lab.callbacks.timing import seconds

Name = TypeVar("Name")

# First turns, which load code and fill caches, are not counted.
WARM_UP = 3
# However little time there is, a median wants a few turns; however much, more tell nothing.
LEAST_TURNS, MOST_TURNS = 5, 300


class Turns(Generic[Name]):
    """Times of several ways, one of each in every turn.

    Args:
        times: seconds of each way, by turn.
    """

    def __init__(self, times: Mapping[Name, list[float]]) -> None:
        """Keep the times."""
        self.times: dict[Name, npt.NDArray[np.float64]] = {
            name: np.asarray(each) for name, each in times.items()
        }

    def median(self, name: Name) -> float:
        """Return the median of a way, in seconds."""
        return float(np.median(self.times[name]))

    def quantile(self, name: Name, share: float) -> float:
        """Return a quantile of a way, in seconds."""
        return float(np.quantile(self.times[name], share))

    def ratio(self, name: Name, baseline: Name) -> float:
        """Return the median over turns of a way's time over the baseline's in the same turn."""
        return float(np.median(self.times[name] / self.times[baseline]))


def interleaved(
    ways: Mapping[Name, Callable[[], object]],
    device: torch.device,
    budget: float,
    title: str,
    console: Console,
    warm_up: int = WARM_UP,
) -> Turns[Name]:
    """Time all ways in turn, in another order each time, until the time is used up.

    Args:
        ways: what to do, by name.
        device: is synchronized before the clock is read.
        budget: seconds for all turns, warming up apart; at least :data:`LEAST_TURNS` are taken.
        title: of the progress bar, which a terminal shows.
        console: the terminal.
        warm_up: turns that are not counted.
    """

    def clocked(way: Callable[[], object]) -> Callable[[], float]:
        def timed() -> float:
            start = seconds(device)
            way()
            return seconds(device) - start

        return timed

    return in_turn({name: clocked(way) for name, way in ways.items()}, budget, title, console, warm_up)


def in_turn(
    ways: Mapping[Name, Callable[[], float]],
    budget: float,
    title: str,
    console: Console,
    warm_up: int = WARM_UP,
) -> Turns[Name]:
    """Let all ways take turns as :func:`interleaved` does, and take the times that they themselves return.

    Args:
        ways: what to do, by name; each returns its seconds, of which getting ready may be no part.
        budget: seconds for all turns, warming up apart; at least :data:`LEAST_TURNS` are taken.
        title: of the progress bar, which a terminal shows.
        console: the terminal.
        warm_up: turns that are not counted.
    """
    order = list(ways)
    shuffled = random.Random(0)
    times: dict[Name, list[float]] = {name: [] for name in ways}
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        row = bar.add_task(title, total=budget)
        for _ in range(warm_up):
            for name in order:
                ways[name]()
        begin = perf_counter()
        for turn in range(MOST_TURNS):
            shuffled.shuffle(order)
            for name in order:
                times[name].append(ways[name]())
            spent = perf_counter() - begin
            bar.update(row, completed=min(spent, budget))
            if spent >= budget and turn + 1 >= LEAST_TURNS:
                break
    return Turns(times)
