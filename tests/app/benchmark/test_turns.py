"""Clocks and ratios of ``benchmark --pipeline``."""

from dataclasses import replace
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from rich.console import Console

from dropout_lab.app.benchmark import batches, fit_clock, fits, timing
from dropout_lab.app.benchmark.fit_clock import EpochSeconds, FitClock, read_epochs
from dropout_lab.app.benchmark.sources import SOURCES
from dropout_lab.app.benchmark.speeds import LIMIT, PROJECT, SCRIPT, Way, fastest, speeds
from dropout_lab.app.benchmark.timing import Turns, in_turn

CPU = torch.device("cpu")
BY_NAME = {source.name: source for source in SOURCES}


def test_ratios_are_of_one_turn() -> None:
    # A machine that is ten times slower in the second turn, and a hundred times in the third.
    noise = [1.0, 10.0, 100.0]
    turns = Turns(
        {
            Way(PROJECT): [1.0 * slow for slow in noise],
            Way(SCRIPT): [8.0, 40.0, 900.0],
            Way(SCRIPT, 2): [2.0 * slow for slow in noise],
            Way(LIMIT): [0.5 * slow for slow in noise],
        }
    )
    assert fastest(turns, SCRIPT) == Way(SCRIPT, 2)
    found = speeds("fit", "what", turns, 1000, dict.fromkeys(turns.times, 7), of_epochs=True)
    project = found[0]
    assert (project.faster, project.faster_than_best, project.of_limit) == (8.0, 2.0, 2.0)
    assert (project.epoch_s, project.images_per_s, project.turns) == (10.0, 100.0, 3)
    without = Turns({way: times.tolist() for way, times in turns.times.items() if way.name != LIMIT})
    assert (
        speeds("batches", "what", without, 1, dict.fromkeys(turns.times, 7), of_epochs=False)[0].of_limit
        is None
    )


def test_ways_take_turns_by_their_own_clocks() -> None:
    calls = []

    def way(name: str, taken: float) -> Any:
        def timed() -> float:
            calls.append(name)
            return taken

        return timed

    turns = in_turn({"a": way("a", 1.0), "b": way("b", 2.0)}, 1e-9, "title", Console(), warm_up=1)
    assert turns.ratio("b", "a") == 2
    assert all(set(calls[turn : turn + 2]) == {"a", "b"} for turn in range(0, len(calls), 2))
    assert len(calls) == 2 * (1 + timing.LEAST_TURNS)


def test_batches_a_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = count(step=10)
    monkeypatch.setattr(batches, "seconds", lambda device: float(next(ticks)))
    loader: Any = [(torch.zeros(100, 1), torch.zeros(100))] * 20
    # Ten seconds for what is read, whatever it is.
    assert batches.reader(loader, 0, 4, CPU)() == 10 / 400
    monkeypatch.setattr(batches, "TURN_S", 30.0)
    assert batches.batches_a_turn(loader, 0, CPU) == 12
    monkeypatch.setattr(batches, "TURN_S", 1e-9)
    assert batches.batches_a_turn(loader, 3, CPU) == 6
    assert batches.worker_counts(1) == [1]
    assert batches.worker_counts(6) == [1, 2, 4, 6]


def test_the_clock_of_a_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(fit_clock, "seconds", lambda device: now)
    clock = FitClock(tmp_path / "clock.json")
    module: Any = SimpleNamespace(device=CPU)
    trainer: Any = SimpleNamespace(num_training_batches=2, sanity_checking=True)
    clock.on_validation_start(trainer, module)
    now = 1000.0
    clock.on_validation_end(trainer, module)
    trainer.sanity_checking = False
    for _ in range(2):
        clock.on_train_epoch_start(trainer, module)
        for batch in range(2):
            now += 3
            clock.on_train_batch_end(trainer, module, None, None, batch)
        now += 1
        clock.on_validation_start(trainer, module)
        now += 500
        clock.on_validation_end(trainer, module)
        now += 0.5
    clock.on_train_end(trainer, module)
    assert read_epochs(clock.file) == [EpochSeconds(6, 1.5), EpochSeconds(6, 1.5)]


def test_what_comes_once_an_epoch_is_not_multiplied(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit = replace(fits.FITS[0], steps=1)
    config = fits.write_config(fit, BY_NAME[fit.source], root, CPU, 1, None, tmp_path / "fit")
    monkeypatch.setattr(fits, "read_epochs", lambda file: [EpochSeconds(9, 9), EpochSeconds(2, 0.25)])
    assert fits.fit_epoch(config, 3.0) == 6.25
    (run,) = (tmp_path / "fit" / "runs").glob("*/version_0")
    assert {"best.ckpt", "last.ckpt"} == {file.name for file in (run / "checkpoints").iterdir()}
    assert list(run.glob("events.*")), "TensorBoard is part of what is timed"
    assert len(read_epochs(config.with_name("clock.json"))) == 2
