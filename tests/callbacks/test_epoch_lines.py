"""A line an epoch, by a clock that the test holds."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytorch_lightning import Trainer
from rich.console import Console

from dropout_lab.callbacks import EpochLines
from dropout_lab.datamodules import DigitsDataModule
from dropout_lab.models import ImageClassifier
from dropout_lab.models.networks import FullyConnected
from tests.callbacks.fits import SaveAfter, fit


def test_a_line_an_epoch_with_its_own_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    clock: Iterator[float] = iter([90.0, 100.0, 102.5, 200.0, 207.0])
    monkeypatch.setattr("dropout_lab.callbacks.epoch_lines.monotonic", lambda: next(clock))
    out = io.StringIO()
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=2,
        limit_train_batches=3,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[EpochLines(Console(file=out))],
    )
    trainer.fit(ImageClassifier(FullyConnected([8], (1, 8, 8))), datamodule=DigitsDataModule())
    first, second = out.getvalue().splitlines()
    assert first.startswith("epoch 1/2  2.5 s  train/loss 2.")
    assert second.startswith("epoch 2/2  7.0 s  train/loss ")
    for line in (first, second):
        for name in ("train/loss", "train/accuracy", "val/loss", "val/accuracy"):
            assert name in line
    assert second.endswith(f"val/accuracy {float(trainer.callback_metrics['val/accuracy']):.4f}")


@pytest.mark.filterwarnings("ignore:You're resuming from a checkpoint that ended before the epoch ended")
def test_an_epoch_that_is_resumed_in_its_midst_is_timed_from_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    clock: Iterator[float] = iter([100.0, 103.0])
    fit(SaveAfter(1, tmp_path / "midst.ckpt"), limit_train_batches=3)
    monkeypatch.setattr("dropout_lab.callbacks.epoch_lines.monotonic", lambda: next(clock))
    out = io.StringIO()
    fit(EpochLines(Console(file=out)), ckpt_path=tmp_path / "midst.ckpt", limit_train_batches=3)
    assert out.getvalue().startswith("epoch 1/1  3.0 s  train/loss 2.")
