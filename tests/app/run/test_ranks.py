"""Two processes on CPUs (gloo) do what one does: one fit of two is asked everything."""

import json
import shutil
import signal
import sys
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from dropout_lab.app.main import main
from dropout_lab.app.run.folder import RunFolder
from tests import programs
from tests.app.run.runs import EPOCHS, RUN, STEPS, outcome, write_fit
from tests.app.run.test_interrupted import with_interrupter
from tests.callbacks.fits import events

TWO = ["--trainer.accelerator", "cpu", "--trainer.devices", "2", "--trainer.strategy", "ddp"]
ONE = ["--trainer.devices", "1", "--trainer.strategy", "auto"]
TWO_RANK_STEPS = 4
"""In an epoch: ten images a rank and step."""

SPY = """
import json
from pathlib import Path
from lightning_fabric.strategies.launchers.subprocess_script import _basic_subprocess_cmd
from pytorch_lightning import Callback

class Spy(Callback):
    def __init__(self):
        self.steps = []
    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        first, second = pl_module.network.head.stage.dropout.layers
        kept = first.kept.int().tolist()
        self.steps.append({"rho": second.rho, "kept": kept, "images": len(batch[1])})
    def on_fit_end(self, trainer, pl_module):
        seen = {"steps": self.steps, "command": _basic_subprocess_cmd()}
        Path(f"rank{trainer.global_rank}.json").write_text(json.dumps(seen))
"""


def run_with_two(*words: str) -> None:
    for done in programs.run_ranks(*words):
        assert done.returncode == 0, done.stderr
        assert "Warning" not in done.stderr


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which two ranks have trained, with all callbacks and one that looks at what they have drawn."""
    folder = tmp_path_factory.mktemp("trained")
    with chdir(folder), pytest.MonkeyPatch.context() as patch:
        patch.setenv("DROPOUT_LAB_CACHE", str(folder / "cache"))
        words = write_fit(Path("one"))
        Path("spy.py").write_text(SPY)
        config = yaml.safe_load(Path(words[2]).read_text())
        # Of the last batch one rank has two images, the other one.
        config["data"]["init_args"]["drop_last"] = False
        config["trainer"]["callbacks"] += [{"class_path": "PredictionPanels"}, {"class_path": "spy.Spy"}]
        Path(words[2]).write_text(yaml.safe_dump(config))
        run_with_two(*words, *TWO)
    return folder


@pytest.fixture
def here(trained: Path) -> list[str]:
    """Its folder, to be changed; and its command."""
    shutil.copytree(trained, ".", dirs_exist_ok=True)
    return ["fit", "--config", "one/config.yaml", *TWO]


@pytest.fixture
def ranks(trained: Path) -> list[dict[str, Any]]:
    return [json.loads((trained / f"rank{rank}.json").read_text()) for rank in (0, 1)]


@pytest.mark.slow
def test_fit_makes_one_run_folder(trained: Path) -> None:
    (version,) = (trained / RUN.parent).iterdir()
    run = RunFolder(version)
    assert run.result()["fit"]["steps"] == EPOCHS * TWO_RANK_STEPS
    assert {path.name for path in run.checkpoints.iterdir()} == {"best.ckpt", "last.ckpt"}


@pytest.mark.slow
def test_callbacks_log_and_draw(trained: Path) -> None:
    tags = events(trained / RUN).Tags()
    assert {"predictions/wrong", "confusion/validation"} <= set(tags["images"])
    for start in ("pass_rate/", "dead/", "gap/", "time/", "rho/", "train_eval/"):
        assert any(tag.startswith(start) for tag in tags["scalars"]), start


@pytest.mark.slow
def test_what_lightning_starts_the_other_rank_with(ranks: list[dict[str, Any]]) -> None:
    command = [sys.executable, str(programs.CLI), "fit", "--config", "one/config.yaml", *TWO]
    assert [rank["command"] for rank in ranks] == [command, command]


# A new interpreter.
@pytest.mark.slow
def test_lightning_starts_the_other_rank() -> None:
    fit = "fit --data DigitsDataModule --model.network GavierMNIST --trainer.max_epochs 1 --name run"
    done = programs.run(*fit.split(), *TWO)
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
    (version,) = Path("runs/run").iterdir()
    run = RunFolder(version)
    assert run.result()["fit"]["steps"] == 7
    assert {path.name for path in run.checkpoints.iterdir()} == {"best.ckpt", "last.ckpt"}
    main(["test", "--run", "runs/run", *ONE])


@pytest.mark.slow
def test_ranks_share_rho_and_draw_masks_of_their_own(ranks: list[dict[str, Any]]) -> None:
    one, other = (rank["steps"] for rank in ranks)
    assert [step["rho"] for step in one] == [step["rho"] for step in other]
    assert len({step["rho"] for step in one}) > 5
    # Standard dropout's masks do not look at the images, so equal seeds would give equal masks.
    kept = [[torch.tensor(step["kept"]) for step in rank] for rank in (one, other)]
    same = [(a == b).double().mean().item() for a, b in zip(*kept, strict=True) if a.shape == b.shape]
    # Of the last batch one has more.
    assert len(same) == EPOCHS * (TWO_RANK_STEPS - 1)
    # p = 0.3, of 64 masks at least.
    assert all(0.3 < share < 0.85 for share in same)
    assert sum(same) / len(same) == pytest.approx(0.3**2 + 0.7**2, abs=0.05)


@pytest.mark.slow
def test_pass_rates_are_those_of_all_samples(trained: Path, ranks: list[dict[str, Any]]) -> None:
    state = torch.load(trained / RUN / "checkpoints/last.ckpt", weights_only=True)["state_dict"]
    steps = [step for rank in ranks for step in rank["steps"]]
    images = sum(step["images"] for step in steps)
    dropped = sum(step["rho"] * step["images"] for step in steps)
    layer = "network.head.stage.dropout.layers.1"
    # Each once an epoch, though two processes cannot share them evenly.
    assert images == EPOCHS * 63
    assert state[f"{layer}.pass_samples"].item() == images
    # Of 16 units.
    assert state[f"{layer}.pass_rate"].mean().item() == pytest.approx(1 - dropped / (16 * images))


@pytest.mark.slow
@pytest.mark.usefixtures("here")
def test_evaluation_is_that_of_one_process() -> None:
    run = RunFolder(RUN)
    for command in ("predict", "test"):
        main([command, "--run", str(RUN), *ONE])
    predictions, metrics = run.predictions.read_text(), run.result()["test"]["metrics"]
    assert len(predictions.splitlines()) % 2 == 0, "the images must not divide by two: each must count once"
    run.predictions.unlink()
    run.add_result("test", {})
    for command in ("predict", "test"):
        run_with_two(command, "--run", str(RUN))
    assert run.predictions.read_text() == predictions
    assert run.result()["test"]["metrics"] == pytest.approx(metrics, rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("moments", "steps"),
    # Of four batches a rank the last is smaller, and no fit stops right before it.
    [([STEPS + 2], [8, 12]), ([1, STEPS + 2], [2, 8, 12])],
)
def test_interrupted_and_resumed(moments: list[int], steps: list[int], here: list[str]) -> None:
    undisturbed = outcome(RUN)
    shutil.rmtree("one/runs")
    # The interrupter's file is of one rank, which tells the other.
    with_interrupter(here, dict.fromkeys(moments, signal.SIGTERM))
    for step in steps:
        ranks = programs.run_ranks(*here, *(["--resume"] if step > steps[0] else []))
        # The first rank says how it ended.
        assert [rank.returncode for rank in ranks] == [0 if step == steps[-1] else 143, 0], ranks
        assert not any("Traceback" in rank.stderr for rank in ranks), ranks
        assert torch.load(RUN / "checkpoints/last.ckpt", weights_only=True)["global_step"] == step
    resumed = outcome(RUN)
    for part, value in undisturbed.items():
        assert resumed[part] == value, part


@pytest.mark.slow
def test_two_after_one_and_one_after_two() -> None:
    # Here Lightning starts the other rank itself.
    words = write_fit(Path("one"))
    with_interrupter(words, dict.fromkeys([1, 2 * STEPS + 1], signal.SIGTERM))
    assert programs.run(*words, *TWO).returncode == 143
    # Another number of processes is another setting.
    refused = programs.run(*words, *ONE, "--resume")
    assert refused.returncode == 2
    assert "trainer.devices is 2 there and 1 here" in refused.stderr
    assert programs.run(*words, *ONE, "--resume", "--force").returncode == 143
    done = programs.run(*words, *TWO, "--resume", "--force")
    assert done.returncode == 0, done.stderr
    assert len(outcome(RUN)["scalars"]["train/loss"]) == 3
