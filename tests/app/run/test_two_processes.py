"""Two processes on CPUs (gloo): interrupted together, and going on as two, as one, or as two after one."""

import shutil
import signal
from pathlib import Path

import pytest
import torch

from tests import programs
from tests.app.run.runs import STEPS, outcome, write_fit
from tests.app.run.test_interrupted import with_interrupter

RUN = Path("one/runs/run/version_0")
TWO = ["--trainer.devices", "2", "--trainer.strategy", "ddp"]
ONE = ["--trainer.devices", "1", "--trainer.strategy", "auto"]


def test_interrupted_and_resumed() -> None:
    # 63 images, 32 a rank, four batches each: the file of an interrupter is of one rank, which tells the other.
    words = [*write_fit(Path("one")), *TWO]
    ranks = programs.run_ranks(*words)
    assert [rank.returncode for rank in ranks] == [0, 0], ranks
    undisturbed = outcome(RUN)
    shutil.rmtree("one/runs")
    with_interrupter(words, [1, STEPS + 2], signal.SIGTERM)
    for step, code in ((2, 143), (7, 143), (12, 0)):
        ranks = programs.run_ranks(*words, *(["--resume"] if step > 2 else []))
        # The first rank says how it ended.
        assert [rank.returncode for rank in ranks] == [code, 0], ranks
        assert not any("Traceback" in rank.stderr for rank in ranks), ranks
        assert torch.load(RUN / "checkpoints/last.ckpt", weights_only=True)["global_step"] == step
    resumed = outcome(RUN)
    for part, value in undisturbed.items():
        assert resumed[part] == value, part


@pytest.mark.slow
def test_two_after_one_and_one_after_two() -> None:
    # Here Lightning starts the other rank itself.
    words = write_fit(Path("one"))
    with_interrupter(words, [1, 2 * STEPS + 1], signal.SIGTERM)
    assert programs.run(*words, *TWO).returncode == 143
    # Another number of processes is another setting.
    refused = programs.run(*words, *ONE, "--resume")
    assert refused.returncode == 2
    assert "trainer.devices is 2 there and 1 here" in refused.stderr
    assert programs.run(*words, *ONE, "--resume", "--force").returncode == 143
    done = programs.run(*words, *TWO, "--resume", "--force")
    assert done.returncode == 0, done.stderr
    assert len(outcome(RUN)["scalars"]["train/loss"]) == 3
