"""Event files are cut to what a checkpoint knows of."""

from pathlib import Path

import torch
from torch.utils.tensorboard import SummaryWriter

from dropout_lab.app.run.tensorboard import cut_events, written_events
from dropout_lab.callbacks import write_test_metrics
from tests.app.run.runs import curves
from tests.callbacks.fits import fit


def test_cut() -> None:
    folder = Path("logs")
    trainer = fit(logs=folder, log_every_n_steps=1)
    sizes = written_events(trainer, folder)
    before = curves(folder)
    assert len(sizes) == 1
    for logger in trainer.loggers:
        logger.log_metrics({"train/loss_step": 1.0}, step=99)
    # By a process that was killed before it could save.
    with SummaryWriter(str(folder)) as other:
        other.add_scalar("train/loss_step", 2.0, 99)
    write_test_metrics(folder, {"test/accuracy": torch.tensor(0.5).item()}, 13)
    for logger in trainer.loggers:
        logger.save()
    trainer.logger.experiment.flush()  # type: ignore[union-attr]
    assert len(curves(folder)["train/loss_step"]) == len(before["train/loss_step"]) + 2
    cut_events(folder, sizes)
    after = curves(folder)
    assert {
        tag: points for tag, points in after.items() if tag not in ("test/accuracy", "hp/test_accuracy")
    } == before
    assert len(after["test/accuracy"]) == 1
    cut_events(folder, {})
    assert list(curves(folder)) == ["test/accuracy", "hp/test_accuracy"]
