"""In a job of Slurm's: a fit begins where it is told to, and the signal before its end saves and stops."""

import signal
from pathlib import Path

import pytest
import torch

from dropout_lab.app.main import main

FIT = (
    "fit --data DigitsDataModule --model.network FullyConnected --model.network.hidden [16] --name run "
    "--trainer.accelerator cpu --trainer.logger false --trainer.callbacks+=signals_itself.SignalsItself"
).split()
AFTER = 5
SIGNALS_ITSELF = f"""
import os
import signal
from pytorch_lightning import Callback

class SignalsItself(Callback):
    def on_train_batch_end(self, trainer, *others):
        if trainer.global_step == {AFTER}:
            os.kill(os.getpid(), signal.SIGUSR1)
"""


@pytest.fixture
def _job(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of a job with one task, and what Lightning has left of another run."""
    monkeypatch.setenv("SLURM_JOB_NAME", "train")
    for name in ("JOB_ID", "NTASKS", "NTASKS_PER_NODE"):
        monkeypatch.setenv(f"SLURM_{name}", "1")
    for name in ("PROCID", "LOCALID", "NODEID"):
        monkeypatch.setenv(f"SLURM_{name}", "0")
    Path("hpc_ckpt_1.ckpt").write_text("what Lightning would take up")


@pytest.mark.usefixtures("_job")
def test_a_new_run_begins_at_0_and_is_saved_by_the_jobs_signal(capsys: pytest.CaptureFixture[str]) -> None:
    Path("signals_itself.py").write_text(SIGNALS_ITSELF)
    with pytest.raises(SystemExit) as stop:
        main(FIT)
    assert stop.value.code == 128 + signal.SIGUSR1
    assert "go on with   dropout-lab fit --resume" in capsys.readouterr().out
    run = Path("runs/run/version_0")
    assert torch.load(run / "checkpoints/last.ckpt", weights_only=True)["global_step"] == AFTER
    assert [path.name for path in Path().glob("*.ckpt")] == ["hpc_ckpt_1.ckpt"]
    main(["test", "--run", str(run), "--ckpt_path", "last"])
    assert "test last" in capsys.readouterr().out
