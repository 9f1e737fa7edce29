"""Clocks and ratios of ``docs/pipeline.py``."""

import sys
from itertools import count
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
import torch
from rich.console import Console

import fit_clock
import pipeline
from fit_clock import MARK, FitClock
from pipeline import Way, batches_a_turn, compare, reader, worker_counts
from pipeline_output import LIMIT, PROJECT, SCRIPT

CPU = torch.device("cpu")


def test_ratios_are_of_one_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    # A machine that is ten times slower in the second turn, and a hundred times in the third.
    noise = pd.Series([1.0, 10.0, 100.0])
    times = pd.DataFrame(
        {
            PROJECT: noise,
            SCRIPT: [8.0, 40.0, 900.0],
            f"{SCRIPT}, 2 workers": 2.0 * noise,
            LIMIT: 0.5 * noise,
        }
    )
    monkeypatch.setattr(pipeline, "interleave", lambda ways, *_: times[list(ways)])
    ways = [
        Way(name, lambda: 0.0, 7, workers)
        for name, workers in ((PROJECT, 0), (SCRIPT, 0), (SCRIPT, 2), (LIMIT, 0))
    ]
    project = compare("fit", "what", ways, 1000, 1.0, Console(), 0)[0]
    assert (project.times_default, project.times_best_workers, project.of_limit) == (8.0, 2.0, 2.0)
    assert (project.epoch_s, project.images_per_s, project.turns, project.each_turn) == (10.0, 100.0, 3, 7)
    without = compare("batches", "what", ways[:3], 1, 1.0, Console(), 0)[0]
    assert (without.epoch_s, without.of_limit) == (None, None)


def test_batches_a_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = count(step=10)
    monkeypatch.setattr(pipeline, "seconds", lambda device: float(next(ticks)))
    loader: Any = [(torch.zeros(100, 1), torch.zeros(100))] * 20
    # Ten seconds for what is read, whatever it is.
    assert reader(loader, 0, 4, CPU)() == 10 / 400
    monkeypatch.setattr(pipeline, "TURN_S", 30.0)
    assert batches_a_turn(loader, 0, CPU) == 12
    monkeypatch.setattr(pipeline, "TURN_S", 1e-9)
    assert batches_a_turn(loader, 3, CPU) == 6
    assert worker_counts(1) == [1]
    assert worker_counts(6) == [1, 2, 4, 6]


def test_the_clock_of_a_fit(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    time = 0.0
    monkeypatch.setattr(fit_clock, "now", lambda device: time)

    def ask() -> str:
        nonlocal time
        time += 10_000
        return "\n"

    monkeypatch.setattr(sys, "stdin", SimpleNamespace(readline=ask))
    clock = FitClock()
    module: Any = SimpleNamespace(device=CPU)
    trainer: Any = SimpleNamespace(num_training_batches=2, sanity_checking=True)
    clock.on_validation_start(trainer, module)
    time = 1000.0
    clock.on_validation_end(trainer, module)
    trainer.sanity_checking = False
    for _ in range(3):
        clock.on_train_epoch_start(trainer, module)
        for batch in range(2):
            time += 3
            clock.on_train_batch_end(trainer, module, None, None, batch)
        time += 1
        clock.on_validation_start(trainer, module)
        time += 500
        clock.on_validation_end(trainer, module)
        time += 0.5
    # The third epoch's end is not told before somebody asks for a fourth.
    assert capsys.readouterr().out == 2 * f"{MARK} 6.0 1.5\n"
