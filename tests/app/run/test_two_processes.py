"""Two processes on CPUs (gloo): interrupted together, and going on as two, as one, or as two after one."""

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.app.run.runs import STEPS, outcome, write_fit
from tests.app.run.test_interrupted import with_interrupter

PROGRAM = Path(__file__).parents[3] / "cli.py"
RUN = Path("one/runs/run/version_0")
TWO = ["--trainer.devices", "2", "--trainer.strategy", "ddp"]
ONE = ["--trainer.devices", "1", "--trainer.strategy", "auto"]


def run(*words: str) -> subprocess.CompletedProcess[str]:
    # A process of its own, since ranks are started by running the program again.
    return subprocess.run(
        [sys.executable, str(PROGRAM), *words], capture_output=True, text=True, check=False, timeout=200
    )


def test_interrupted_and_resumed() -> None:
    # 63 images, 32 a rank, four batches each: the file of an interrupter is of one rank, which tells the other.
    words = [*write_fit(Path("one")), *TWO]
    done = run(*words)
    assert done.returncode == 0, done.stderr
    undisturbed = outcome(RUN)
    shutil.rmtree("one/runs")
    with_interrupter(words, [1, STEPS + 2], signal.SIGTERM)
    for step, code in ((2, 143), (7, 143), (12, 0)):
        done = run(*words, *(["--resume"] if step > 2 else []))
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        assert torch.load(RUN / "checkpoints/last.ckpt", weights_only=True)["global_step"] == step
    resumed = outcome(RUN)
    for part, value in undisturbed.items():
        assert resumed[part] == value, part


@pytest.mark.slow
def test_two_after_one_and_one_after_two() -> None:
    words = write_fit(Path("one"))
    with_interrupter(words, [1, 2 * STEPS + 1], signal.SIGTERM)
    assert run(*words, *TWO).returncode == 143
    # Another number of processes is another setting.
    refused = run(*words, *ONE, "--resume")
    assert refused.returncode == 2
    assert "trainer.devices is 2 there and 1 here" in refused.stderr
    assert run(*words, *ONE, "--resume", "--force").returncode == 143
    done = run(*words, *TWO, "--resume", "--force")
    assert done.returncode == 0, done.stderr
    assert len(outcome(RUN)["scalars"]["train/loss"]) == 3
