"""Timing by a clock that moves when it is told to."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.callbacks import ModelCheckpoint
from rich.console import Console

from dropout_lab.app.main import main
from dropout_lab.callbacks import Timing
from dropout_lab.callbacks.timing import Times, figures, line, seconds
from tests.callbacks.fits import fit, scalars

STEPS = [0.25, 0.5, 2.0, 0.25]
FETCH, EPOCH_START, VALIDATION_BATCH, CHECKPOINT = 0.125, 1.0, 3.0, 50.0


class Clock:
    """Stands still unless moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Work(Callback):
    """Lets time pass; to be listed after Timing, and so inside a step at its start and outside at its end."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.clock.now += EPOCH_START

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, i: int) -> None:
        self.clock.now += STEPS[i]

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.clock.now += FETCH

    def on_validation_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int, loader: int = 0
    ) -> None:
        self.clock.now += VALIDATION_BATCH

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: Any) -> None:
        self.clock.now += CHECKPOINT


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("dropout_lab.callbacks.timing.perf_counter", made)
    return made


def test_every_figure_is_what_the_clock_says(clock: Clock, tmp_path: Path) -> None:
    out = io.StringIO()
    timing = Timing(Console(file=out, width=200))
    fit(timing, Work(clock), logs=tmp_path, max_epochs=2, limit_train_batches=4, limit_val_batches=2,
        num_sanity_val_steps=1, val_check_interval=2)  # fmt: skip
    # The gaps before a validation and before the epoch's end wait for no batch.
    waiting = EPOCH_START + 2 * FETCH
    validation = 2 * 2 * VALIDATION_BATCH
    expected = {
        "step_ms": 375.0,
        "step_ms_p95": 1e3 * float(np.quantile(STEPS, 0.95)),
        "images_per_s": 400 / (sum(STEPS) + waiting),
        "waiting_share": waiting / (sum(STEPS) + waiting),
        "epoch_s": EPOCH_START + sum(STEPS) + 4 * FETCH + validation,
        "validation_s": validation,
    }
    for name, value in expected.items():
        assert [found for _, found in scalars(tmp_path, f"time/{name}")] == pytest.approx([value] * 2)
    fit_s = VALIDATION_BATCH + 2 * expected["epoch_s"]
    of_all_steps = {"step_ms_p95": 1e3 * float(np.quantile(2 * STEPS, 0.95))}
    assert timing.summary == pytest.approx({"fit_s": fit_s, **expected, **of_all_steps})
    ((step, logged),) = scalars(tmp_path, "time/fit_s")
    assert step == 8
    assert logged == pytest.approx(fit_s)
    assert out.getvalue() == (
        "time  36.0 s  375.0 ms a step (median; 95 % below 2,000.0)  94 images/s  29 % waiting for data\n"
    )


def test_a_pause_in_which_a_checkpoint_is_written_is_no_waiting(clock: Clock, tmp_path: Path) -> None:
    timing = Timing(Console(file=io.StringIO()))
    checkpoint = ModelCheckpoint(dirpath=tmp_path, every_n_train_steps=2, save_last=False)
    fit(
        timing, Work(clock), checkpoint, limit_train_batches=4, limit_val_batches=0, enable_checkpointing=True
    )
    waiting = EPOCH_START + 2 * FETCH
    assert timing.summary["waiting_share"] == pytest.approx(waiting / (sum(STEPS) + waiting))
    assert timing.summary["epoch_s"] == pytest.approx(EPOCH_START + sum(STEPS) + 4 * FETCH + 2 * CHECKPOINT)
    assert timing.summary["validation_s"] == 0


def test_ranks_are_taken_together() -> None:
    one, other = Times(), Times()
    one.steps.extend([1.0, 2.0, 3.0])
    other.steps.extend([4.0, 5.0, 6.0])
    one.waiting, other.waiting = 4.0, 5.0
    one.images, other.images = 30, 24
    one.epochs, other.epochs = [10.0], [20.0]
    both = figures([one, other])
    assert both["step_ms"] == 3500
    assert both["images_per_s"] == 54 / 15
    assert both["waiting_share"] == 9 / 30
    assert both["epoch_s"] == 15


def test_the_device_has_done_its_work_before_the_clock_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[object] = []
    read: Callable[[], float] = lambda: float(len(order))  # noqa: E731
    monkeypatch.setattr(torch.accelerator, "synchronize", order.append)
    monkeypatch.setattr("dropout_lab.callbacks.timing.perf_counter", read)
    gpu = torch.device("cuda", 0)
    assert seconds(gpu) == 1
    assert order == [gpu]
    assert seconds(torch.device("cpu")) == 1


def test_a_fit_without_a_step_prints_nothing() -> None:
    out = io.StringIO()
    timing = Timing(Console(file=out))
    fit(timing, max_epochs=0)
    assert out.getvalue() == ""
    assert timing.summary == {}


def test_line() -> None:
    summary = {"fit_s": 12.34, "step_ms": 21.44, "step_ms_p95": 23.06, "images_per_s": 4612.0}
    assert line({**summary, "waiting_share": 0.0123}) == (
        "time  12.3 s  21.4 ms a step (median; 95 % below 23.1)  4,612 images/s  1 % waiting for data"
    )


def test_result_of_a_run_has_the_times() -> None:
    words = (
        "fit --data DigitsDataModule --model.network FullyConnected --model.network.hidden [16] --name run"
    )
    main([*words.split(), "--trainer.max_epochs", "1", "--trainer.accelerator", "cpu",
          "--trainer.callbacks", "Timing"])  # fmt: skip
    result = json.loads(Path("runs/run/version_0/result.json").read_text())
    assert set(result["fit"]["time"]) == {
        "train_seconds", "seconds",
        "fit_s", "step_ms", "step_ms_p95", "images_per_s", "waiting_share", "epoch_s", "validation_s",
    }  # fmt: skip
