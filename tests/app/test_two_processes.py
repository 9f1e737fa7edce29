"""Two processes on CPUs (gloo) do what one does."""

import subprocess
import sys
from pathlib import Path

import pytest

from app.main import main
from app.runs import RunFolder

REPOSITORY = Path(__file__).parents[2]
TWO = ["--trainer.accelerator", "cpu", "--trainer.devices", "2", "--trainer.strategy", "ddp"]


def run_with_two(*words: str) -> None:
    # A process of its own, since ranks are started by running the program again.
    program = [sys.executable, str(REPOSITORY / "cli.py"), *words, *TWO]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr


def test_evaluation_is_that_of_one_process() -> None:
    # 359 test images do not divide by two: each must count once.
    fit = "fit --data DigitsDataModule --model.network GavierMNIST --trainer.max_epochs 1 --name run"
    main([*fit.split(), "--trainer.limit_train_batches", "3", "--trainer.accelerator", "cpu"])
    run = RunFolder(Path("runs/run/version_0"))
    for command in ("predict", "test"):
        main([command, "--run", "runs/run", "--trainer.accelerator", "cpu"])
    predictions, metrics = run.predictions.read_text(), run.result()["test"]["metrics"]
    run.predictions.unlink()
    run.result_file.unlink()
    for command in ("predict", "test"):
        run_with_two(command, "--run", "runs/run")
    assert run.predictions.read_text() == predictions
    assert run.result()["test"]["metrics"] == pytest.approx(metrics, rel=1e-5)


def test_fit_makes_one_run_folder() -> None:
    run_with_two(
        *"fit --data DigitsDataModule --model.network GavierMNIST --trainer.max_epochs 1 --name run".split()
    )
    (version,) = Path("runs/run").iterdir()
    run = RunFolder(version)
    assert run.result()["fit"]["steps"] == 7
    assert {path.name for path in run.checkpoints.iterdir()} == {"best.ckpt", "last.ckpt"}
    main(["test", "--run", "runs/run", "--trainer.accelerator", "cpu", "--trainer.devices", "1",
          "--trainer.strategy", "auto"])  # fmt: skip
