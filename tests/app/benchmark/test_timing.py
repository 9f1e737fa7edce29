"""Turns: who is when, how many, and what is made of them."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import torch
from rich.console import Console

from dropout_lab.app.benchmark import timing as module
from dropout_lab.app.benchmark.timing import LEAST_TURNS, MOST_TURNS, interleave, ratio, stopwatch

QUIET = Console(quiet=True)
CPU = torch.device("cpu")


class Clock:
    """Moves on when a way is taken, and in no other way."""

    def __init__(self) -> None:
        self.now = 0.0
        self.taken: list[str] = []

    def way(self, name: str, seconds: float) -> None:
        self.now += seconds
        self.taken.append(name)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "seconds", lambda device: clock.now)
    monkeypatch.setattr(module, "perf_counter", lambda: clock.now)
    return clock


def test_each_way_once_a_turn_in_changing_order(clock: Clock) -> None:
    ways = {
        "a": stopwatch(lambda: clock.way("a", 1.0), CPU),
        "b": stopwatch(lambda: clock.way("b", 3.0), CPU),
    }
    times = interleave(ways, 40, "", QUIET, warm_up=2)
    assert clock.taken[:4] == ["a", "b", "a", "b"]
    counted = clock.taken[4:]
    assert len(counted) == 20
    pairs = [tuple(counted[place : place + 2]) for place in range(0, 20, 2)]
    assert set(pairs) == {("a", "b"), ("b", "a")}
    np.testing.assert_allclose(times["a"], [1.0] * 10)
    np.testing.assert_allclose(times["b"], [3.0] * 10)


def test_there_are_a_few_turns_however_long_they_take_and_an_end_however_short(clock: Clock) -> None:
    slow, quick = (stopwatch(lambda taken=taken: clock.way("a", taken), CPU) for taken in (100.0, 1e-9))  # type: ignore[misc]
    assert len(interleave({"a": slow}, 1, "", QUIET)) == LEAST_TURNS
    assert len(interleave({"a": quick}, 1, "", QUIET)) == MOST_TURNS


def test_ways_take_turns_by_their_own_clocks() -> None:
    calls = []

    def way(name: str, taken: float) -> Callable[[], float]:
        def timed() -> float:
            calls.append(name)
            return taken

        return timed

    times = interleave({"a": way("a", 1.0), "b": way("b", 2.0)}, 1e-9, "title", QUIET, warm_up=1)
    assert ratio(times, "b", "a") == 2
    assert all(set(calls[turn : turn + 2]) == {"a", "b"} for turn in range(0, len(calls), 2))
    assert len(calls) == 2 * (1 + LEAST_TURNS)


def test_a_ratio_is_of_the_same_turn() -> None:
    # A machine that is ten times slower in the second turn, and a hundred times in the third.
    times = pd.DataFrame({"a": [8.0, 40.0, 900.0], "b": [1.0, 10.0, 100.0]})
    assert times["a"].median() / times["b"].median() == 4.0
    assert ratio(times, "a", "b") == 8.0
