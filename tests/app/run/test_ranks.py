"""Two processes on CPUs (gloo) do what one does."""

import json
from pathlib import Path

import pytest
import torch

from dropout_lab.app.main import main
from dropout_lab.app.run.folder import RunFolder
from tests import programs

TWO = ["--trainer.accelerator", "cpu", "--trainer.devices", "2", "--trainer.strategy", "ddp"]


def run_with_two(*words: str) -> None:
    for done in programs.run_ranks(*words, *TWO):
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
    # Here Lightning starts the other rank itself, by running the program again.
    fit = "fit --data DigitsDataModule --model.network GavierMNIST --trainer.max_epochs 1 --name run"
    done = programs.run(*fit.split(), *TWO)
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
    (version,) = Path("runs/run").iterdir()
    run = RunFolder(version)
    assert run.result()["fit"]["steps"] == 7
    assert {path.name for path in run.checkpoints.iterdir()} == {"best.ckpt", "last.ckpt"}
    main(["test", "--run", "runs/run", "--trainer.accelerator", "cpu", "--trainer.devices", "1",
          "--trainer.strategy", "auto"])  # fmt: skip


def test_pass_rates_are_those_of_all_samples() -> None:
    fit = "fit --data DigitsDataModule --model.network FullyConnected --model.network.hidden [32] --name run "
    maldrop = "--model.network.dropout MalDrop --model.network.dropout.rho 4 --trainer.max_epochs 2"
    run_with_two(*f"{fit}{maldrop}".split())
    run_with_two(*f"{fit}{maldrop}".replace("epochs 2", "epochs 3").split(), "--ckpt_path",
                 "runs/run/version_0/checkpoints/last.ckpt")  # fmt: skip
    for version, epochs in ((0, 2), (1, 3)):
        file = f"runs/run/version_{version}/checkpoints/last.ckpt"
        state = torch.load(file, weights_only=True)["state_dict"]
        # 1,222 training images, 611 a rank; four of 32 units drop of each.
        assert state["network.head.stage.dropout.pass_samples"].item() == 1222 * epochs
        assert state["network.head.stage.dropout.pass_rate"].mean().item() == pytest.approx(28 / 32)


SPY = """
import json
from pathlib import Path
from pytorch_lightning import Callback

class Spy(Callback):
    def __init__(self):
        self.seen = []
    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        first, second = pl_module.network.head.stage.dropout.layers
        self.seen.append({"rho": second.rho, "kept": first.kept.int().tolist()})
    def on_fit_end(self, trainer, pl_module):
        Path(f"rank{trainer.global_rank}.json").write_text(json.dumps(self.seen))
"""

SCHEDULED = """
model:
  network:
    init_args:
      dropout:
        class_path: Chain
        init_args:
          layers:
            - class_path: StandardDropout
            - {class_path: MalDrop, init_args: {rho: 0}}
trainer:
  callbacks+:
    - {class_path: RhoScheduler, init_args: {schedule: Randomized, layers: "*.layers.1"}}
    - class_path: spy.Spy
"""


def test_ranks_share_rho_and_draw_masks_of_their_own() -> None:
    Path("spy.py").write_text(SPY)
    Path("scheduled.yaml").write_text(SCHEDULED)
    fit = "fit --data DigitsDataModule --model.network FullyConnected --model.network.hidden [32] --name run "
    run_with_two(*f"{fit} --config scheduled.yaml --trainer.max_epochs 2".split())
    one, other = (json.loads(Path(f"rank{rank}.json").read_text()) for rank in (0, 1))
    assert [step["rho"] for step in one] == [step["rho"] for step in other]
    assert len({step["rho"] for step in one}) > 5
    # Standard dropout's masks do not look at the images, so equal seeds would give equal masks.
    kept = [[torch.tensor(step["kept"]) for step in rank] for rank in (one, other)]
    same = [(a == b).double().mean().item() for a, b in zip(*kept, strict=True) if a.shape == b.shape]
    assert len(same) == 14
    assert all(0.4 < share < 0.6 for share in same)
