"""Runs as long as fit into the minutes."""

from typing import NamedTuple

import pytest

from dropout_lab.app.compare.budget import (
    FILLED,
    LEAST_EPOCHS,
    MOST_EPOCHS,
    batch_size,
    duration,
    given_epochs,
    make_budget,
)
from dropout_lab.app.errors import UserError


class Fixed(NamedTuple):
    around: float
    epoch: float

    def of(self, epochs: float) -> float:
        return self.around + epochs * self.epoch


CANDIDATES = [Fixed(1.0, 0.1), Fixed(1.0, 0.3)]


def test_epochs_fill_the_time() -> None:
    budget = make_budget(CANDIDATES, seeds=10, jobs=1, seconds=100, epochs=None)
    # Half of five seeds of two candidates, three runs each: 3 · (2 + 0.4 e) s.
    assert budget.epochs == 61
    assert budget.seconds == pytest.approx(3 * (2 + 0.4 * 61))
    assert budget.seconds <= FILLED * 100 < 3 * (2 + 0.4 * 62)
    assert (budget.first, budget.planned, budget.fits) == (2, 6, True)
    assert budget.first_seconds == pytest.approx(2 + 0.4 * 61)


def test_two_jobs_have_twice_the_time_and_no_more_workers_than_candidates() -> None:
    assert make_budget(CANDIDATES, 10, 2, 50, None) == make_budget(CANDIDATES, 10, 9, 50, None)
    assert make_budget(CANDIDATES, 10, 2, 50, None).epochs == make_budget(CANDIDATES, 10, 1, 100, None).epochs


def test_bounds() -> None:
    short, long = (make_budget(CANDIDATES, 10, 1, seconds, None) for seconds in (5, 1e6))
    assert (short.epochs, short.fits) == (LEAST_EPOCHS, False)
    assert (long.epochs, long.fits) == (MOST_EPOCHS, True)


def test_epochs_that_are_given_stay() -> None:
    budget = make_budget(CANDIDATES, 3, 1, 5, 200)
    assert (budget.epochs, budget.fits, budget.planned) == (200, False, 4)


def test_how_long_a_run_is_by_its_settings() -> None:
    assert given_epochs({}, 10) is None
    assert given_epochs({"max_epochs": 7}, 10) == 7
    assert given_epochs({"max_epochs": 7, "max_steps": 25, "max_time": "00:00:01:00"}, 10) == 2.5
    assert given_epochs({"max_epochs": -1}, 10) == MOST_EPOCHS
    with pytest.raises(UserError, match="max_time alone .*max_epochs"):
        given_epochs({"max_time": "00:00:01:00"}, 10)


@pytest.mark.parametrize(
    ("images", "size"), [(3, 8), (100, 8), (128, 8), (160, 16), (639, 32), (640, 64), (999, 64), (1000, 100)]
)
def test_a_batch_of_few_images_is_small(images: int, size: int) -> None:
    assert batch_size(images) == size


def test_times_in_words() -> None:
    assert [duration(seconds) for seconds in (0.2, 89, 150, 7200)] == [
        "1 s",
        "89 s",
        "2 minutes",
        "2.0 hours",
    ]
