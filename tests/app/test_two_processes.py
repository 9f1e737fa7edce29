"""Two processes on CPUs (gloo) do what one does."""

import subprocess
import sys
from pathlib import Path

from app.main import main

REPOSITORY = Path(__file__).parents[2]
TWO = ["--trainer.accelerator", "cpu", "--trainer.devices", "2", "--trainer.strategy", "ddp"]


def test_predictions_are_those_of_one_process() -> None:
    fit = "fit --data DigitsDataModule --model.network GavierMNIST --trainer.max_epochs 1 --name run"
    main([*fit.split(), "--trainer.limit_train_batches", "3", "--trainer.accelerator", "cpu"])
    main(["predict", "--run", "runs/run", "--trainer.accelerator", "cpu"])
    file = Path("runs/run/version_0/predictions.csv")
    one = file.read_text()
    file.unlink()
    # A process of its own, since ranks are started by running the program again.
    predict = [sys.executable, str(REPOSITORY / "cli.py"), "predict", "--run", "runs/run", *TWO]
    done = subprocess.run(predict, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert file.read_text() == one
