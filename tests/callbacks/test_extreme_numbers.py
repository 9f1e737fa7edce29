"""What callbacks compute from numbers that are huge, tiny or all the same, but finite."""

import math

import pytest
import torch

from dropout_lab.callbacks.collapse_detector import LogitSpread
from dropout_lab.callbacks.dead_units import AliveUnits, dead_shares
from dropout_lab.callbacks.inference_gap import gap_sums, relative
from dropout_lab.callbacks.pass_rate_tracker import count_passes, figures
from dropout_lab.callbacks.schedules import (
    Alternating,
    Constant,
    Cosine,
    ForwardAnnealing,
    Linear,
    Logistic,
    Moment,
    Periodic,
    Randomized,
    ReverseAnnealing,
    Schedule,
)

MOST = torch.finfo(torch.float32).max


def test_the_gap_of_huge_outputs() -> None:
    evaluation = torch.tensor([[MOST / 2, -MOST / 2]])
    sums = gap_sums(evaluation, [evaluation / 2, evaluation / 2])
    assert relative(sums.gap.item(), sums.norm.item()) == pytest.approx(0.5)
    assert relative(sums.noise.item(), sums.norm.item()) == pytest.approx(0)


def test_the_gap_of_outputs_that_are_all_0() -> None:
    nothing = torch.zeros(3, 4)
    sums = gap_sums(nothing, [nothing, nothing])
    assert relative(sums.gap.item(), sums.norm.item()) == 0
    assert relative(1e-300, 0) == math.inf


@pytest.mark.parametrize("size", [MOST, 1e30, 1e-30, 0.0])
def test_the_spread_of_huge_and_tiny_logits(size: float) -> None:
    logits = torch.tensor([[1.0, -1.0], [-1.0, 1.0]]) * size
    whole = LogitSpread.of(logits, torch.tensor([0, 0]))
    parts = [LogitSpread.of(row[None], torch.tensor([0])) for row in logits]
    for spread in (whole, parts[0] + parts[1]):
        assert spread.largest_deviation == pytest.approx(size)
        assert math.isfinite(spread.mean_loss)
        assert spread.constant == (size == 0)


def test_units_at_the_ends_of_their_type_are_alive() -> None:
    outputs = torch.tensor([[MOST, -MOST, 1e-45, -1e-45, 0.0, -0.0]])
    seen = AliveUnits(torch.zeros(6, dtype=torch.bool))
    seen.look(outputs)
    seen.look(outputs)
    assert seen.alive().tolist() == [True] * 4 + [False] * 2
    assert dead_shares(seen.alive())["dead"] == pytest.approx(1 / 3)


@pytest.mark.parametrize("share", [False, True])
def test_pass_rates_of_all_and_none(share: bool) -> None:
    passed, samples = count_passes(torch.full((700, 3), share), 700)
    assert figures(passed.double() / samples)["mean"] == float(share)


SCHEDULES: list[Schedule] = [
    Constant(0),
    Randomized(),
    ForwardAnnealing(-1e308),
    ForwardAnnealing(1e308),
    ReverseAnnealing(-1e308),
    ReverseAnnealing(1e308),
    Periodic(5, period=10**9),
    Alternating(5, every=10**9),
    Linear(0, 10),
    Cosine(10, 0),
    Logistic(0, 10, midpoint=0, rate=1e308),
    Logistic(10, 0, midpoint=1, rate=1e-308),
]


@pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)
@pytest.mark.parametrize("progress", [0.0, 5e-324, 0.5, 1.0])
@pytest.mark.parametrize("epoch", [0, 10**12])
def test_schedules_stay_in_range(schedule: Schedule, progress: float, epoch: int) -> None:
    for batch in (0, 2**62):
        moment = Moment(epoch=epoch, batch=batch, progress=progress, seed=2**63, units=10)
        assert 0 <= schedule.at(moment) <= 10
