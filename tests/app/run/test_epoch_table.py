"""The curves of small fits, by a clock that the test holds."""

import csv
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from pytorch_lightning import Callback, LightningModule, Trainer

from dropout_lab.app.run.history import EpochTable
from tests.callbacks.fits import fit


def rows(file: Path = Path("epochs.csv")) -> list[dict[str, str]]:
    with file.open() as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks: Iterator[int] = count(100)
    monkeypatch.setattr("dropout_lab.app.run.history.seconds", lambda device: float(next(ticks)))


def test_a_row_an_epoch_with_its_own_metrics() -> None:
    table = EpochTable(Path("epochs.csv"))
    trainer = fit(table, max_epochs=2, limit_train_batches=3)
    first, second = rows()
    assert list(first)[:7] == [
        "epoch", "step", "seconds", "train/loss", "train/accuracy", "val/loss", "val/accuracy",
    ]  # fmt: skip
    assert [(row["epoch"], row["step"]) for row in (first, second)] == [("0", "3"), ("1", "6")]
    metrics = {
        name: float(value) for name, value in trainer.callback_metrics.items() if name != "train/loss_step"
    }
    assert {name: float(second[name]) for name in metrics} == metrics
    assert first["train/loss"] != second["train/loss"]
    # Start; then the start of a validation, its row, its end; again; the end.
    assert [float(row["seconds"]) for row in (first, second)] == [2.0, 5.0]
    assert table.train_seconds == 1 + 1 + 1


def test_validations_within_an_epoch_have_rows_of_their_own() -> None:
    fit(EpochTable(Path("epochs.csv")), limit_train_batches=4, val_check_interval=2)
    assert [(row["epoch"], row["step"], bool(row["train/loss"]), bool(row["val/loss"])) for row in rows()] == [
        ("0", "2", False, True), ("0", "4", True, True),
    ]  # fmt: skip


def test_without_validation() -> None:
    fit(EpochTable(Path("epochs.csv")), max_epochs=2, limit_train_batches=2, limit_val_batches=0)
    assert [(row["epoch"], row["step"], bool(row["train/loss"])) for row in rows()] == [
        ("0", "2", True),
        ("1", "4", True),
    ]


class Breaks(Callback):
    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if trainer.global_step == 3:
            raise RuntimeError("no luck")


def test_what_there_is_is_written_when_a_fit_breaks() -> None:
    table = EpochTable(Path("epochs.csv"))
    with pytest.raises(RuntimeError, match="no luck"):
        fit(table, Breaks(), limit_train_batches=4, val_check_interval=2)
    assert [row["step"] for row in rows()] == ["2"]
    assert table.train_seconds == 2
