"""Which process of a run this is, whatever is left in the environment, and what its processes cannot do."""

import signal
import subprocess
import sys

import pytest
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from pytorch_lightning import Trainer
from pytorch_lightning.strategies.launchers import _SubprocessScriptLauncher

from dropout_lab.app.main import main
from dropout_lab.app.run.processes import BY_HAND, LAUNCHERS, MEETING, end_others, launched_rank

FIT = (
    "fit --data DigitsDataModule --data.train_limit 100 --model.network FullyConnected --model.network.hidden [16] "
    "--name run --trainer.accelerator cpu --trainer.max_epochs 1 --trainer.logger false"
).split()
TWO = ["--trainer.devices", "2", "--trainer.strategy", "ddp"]
SLURM = {"SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "2", "SLURM_PROCID": "1", "SLURM_JOB_NAME": "train"}


@pytest.fixture(autouse=True)
def _nothing_left(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE", MEETING, *BY_HAND, *LAUNCHERS, *LAUNCHERS.values(), *SLURM):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("environment", "rank"),
    [
        ({}, 0),
        ({"RANK": "1", "WORLD_SIZE": "2"}, 0),
        ({"LOCAL_RANK": "1"}, 0),
        ({"RANK": "1", "LOCAL_RANK": "1", "TORCHELASTIC_RUN_ID": "none"}, 1),
        ({"RANK": "5", "LOCAL_RANK": "0", "NODE_RANK": "0", "MASTER_PORT": "29500"}, 0),
        ({"LOCAL_RANK": "1", "NODE_RANK": "0", "MASTER_PORT": "29500"}, 1),
        ({"LOCAL_RANK": "0", "NODE_RANK": "1", "MASTER_PORT": "29500"}, 1),
        (SLURM, 1),
        ({**SLURM, "SLURM_JOB_NAME": "bash"}, 0),
    ],
)
def test_the_launchers_own_variables_count(
    environment: dict[str, str], rank: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert launched_rank() == rank


def test_a_single_process_reports_all_whatever_rank_says(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setattr("lightning_utilities.core.rank_zero.rank_zero_only.rank", 1)
    main(FIT)
    output = capsys.readouterr().out
    assert "100 train" in output
    assert "result of    runs/run/version_0" in output


@pytest.mark.parametrize(
    "left", [{"LOCAL_RANK": "0"}, {"LOCAL_RANK": "0", "MASTER_PORT": "29500", "WORLD_SIZE": "1"}]
)
def test_processes_that_nobody_starts_are_not_waited_for(
    left: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in left.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit, match="2"):
        main([*FIT, *TWO])
    assert "LOCAL_RANK=0 says that the 2 processes" in capsys.readouterr().err


def test_batch_normalization_over_processes_on_cpus(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([*FIT, *TWO, "--model.network.normalization", "batch", "--trainer.sync_batchnorm", "true"])
    assert "trainer.sync_batchnorm is for processes on GPUs" in capsys.readouterr().err


def test_others_are_ended_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    # It does not hear of SIGTERM, as PyTorch's code does not that waits for a process.
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(900)"
    launcher = _SubprocessScriptLauncher(LightningEnvironment(), num_processes=2, num_nodes=1)
    other = subprocess.Popen([sys.executable, "-S", "-c", deaf])
    launcher.procs.append(other)
    trainer = Trainer(accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False)
    monkeypatch.setattr(trainer.strategy, "_launcher", launcher)
    end_others(trainer)
    assert other.returncode == -signal.SIGKILL
    assert launcher.procs == []
