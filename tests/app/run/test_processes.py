"""Which process of a run this is, whatever is left in the environment, and what its processes cannot do."""

import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from time import sleep

import pytest
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from pytorch_lightning import Trainer
from pytorch_lightning.strategies.launchers import _SubprocessScriptLauncher

from dropout_lab.app.main import main
from dropout_lab.app.run.folder import RunFolder
from dropout_lab.app.run.processes import BY_HAND, LAUNCHERS, MEETING, end_others, launched_rank, start_with
from tests import programs

FIT = (
    "fit --data DigitsDataModule --data.train_limit 100 --model.network FullyConnected --model.network.hidden [16] "
    "--name run --trainer.accelerator cpu --trainer.max_epochs 1 --trainer.logger false"
).split()
TWO = ["--trainer.devices", "2", "--trainer.strategy", "ddp"]
SLURM = {"SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "2", "SLURM_PROCID": "1", "SLURM_JOB_NAME": "train"}

TASK = {**SLURM, "SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_NODEID": "0", "SLURM_STEP_ID": "0"}
TORCHRUN = {
    "RANK": "0",
    "LOCAL_RANK": "0",
    "GROUP_RANK": "0",
    "WORLD_SIZE": "2",
    "TORCHELASTIC_RUN_ID": "none",
}


@pytest.fixture(autouse=True)
def _nothing_left(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "RANK",
        "WORLD_SIZE",
        MEETING,
        *BY_HAND,
        *LAUNCHERS,
        *LAUNCHERS.values(),
        *TASK,
        "GROUP_RANK",
    ):
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


@pytest.mark.parametrize(
    ("environment", "words", "says"),
    [
        (
            TASK,
            [],
            r"SLURM has started 2 processes, and trainer.devices=1 times trainer.num_nodes=1 are 1: .*ntasks",
        ),
        (
            {**TASK, "SLURM_NTASKS": "1", "SLURM_NTASKS_PER_NODE": "1"},
            TWO,
            "started 1 .*trainer.devices=2 .* are 2: ",
        ),
        (TORCHRUN, [], "TorchElastic has started 2 processes, and trainer.devices=1 "),
    ],
)
def test_a_launcher_has_started_other_processes_than_the_settings_ask_for(
    environment: dict[str, str],
    words: list[str],
    says: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit, match="2"):
        main([*FIT, *words])
    assert re.search(says, capsys.readouterr().err)
    assert not Path("runs").exists()


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


# New interpreters, as Lightning starts them.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["Ctrl-C", "SIGTERM"]
)
def test_a_signal_to_all_processes_before_they_have_met(number: signal.Signals, code: int) -> None:
    with programs.start(*FIT, *TWO, own_session=True) as fit:
        while not any(Path("runs").glob("*/*/config.yaml")):
            assert fit.poll() is None
            sleep(0.01)
        os.killpg(fit.pid, number)
        out, error = fit.communicate()
        assert fit.wait() == code
    assert f"interrupted by {number.name} before there was anything to save" in out
    assert "Traceback" not in error
    assert "stopping" not in error
    assert not Path("runs").exists()


@pytest.mark.slow
def test_a_pipe_is_read_for_all_processes() -> None:
    reading, writing = os.pipe()
    os.write(writing, b"trainer: {max_steps: 2, limit_val_batches: 0, devices: 2, strategy: ddp}")
    os.close(writing)
    script = f"{shlex.join([sys.executable, str(programs.CLI), *FIT])} --config /dev/fd/{reading}"
    done = subprocess.run(script, shell=True, pass_fds=[reading], capture_output=True, text=True)
    os.close(reading)
    assert done.returncode == 0, done.stderr
    assert RunFolder(Path("runs/run/version_0")).result()["fit"]["steps"] == 1


def test_a_pipe_in_the_words_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    pipe = f"/dev/fd/{reading}"
    words = ["fit", "--config", pipe, f"-c={pipe}", "--name", "{}"]
    monkeypatch.setattr("sys.argv", ["cli.py", *words])
    start_with(words, ["fit", "--config", "{1}", "-c={1}", "--name", "x"])
    assert sys.argv == ["cli.py", "fit", "--config", "{1}", "-c={1}", "--name", "{}"]
    os.close(reading)
    os.close(writing)
