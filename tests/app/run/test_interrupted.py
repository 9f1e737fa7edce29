"""A fit that a signal stops goes on with --resume as if nothing had been."""

import math
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from dropout_lab.app.main import main
from dropout_lab.app.run import autosave, signals, train
from dropout_lab.app.run.folder import RunFolder
from tests.app.run.runs import EPOCHS, STEPS, outcome, write_fit

INTERRUPTER = """
import os
from pathlib import Path
from pytorch_lightning import Callback

class Interrupter(Callback):
    '''Sends a signal after some batches, counted over epochs, each once: a file says which were.'''
    def __init__(self, moments: list[int], number: int, times: int = 1):
        self.moments, self.number, self.times = moments, number, times
    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        moment = trainer.current_epoch * 7 + batch_idx
        marker = Path(f"interrupted.{moment}")
        if moment in self.moments and not marker.exists():
            marker.touch()
            for _ in range(self.times):
                os.kill(os.getpid(), self.number)
"""
RUN = Path("one/runs/run/version_0")


def with_interrupter(words: list[str], moments: list[int], number: int, times: int = 1) -> None:
    """Add a callback to a command's config that sends signals."""
    Path("interrupter.py").write_text(INTERRUPTER)
    config = yaml.safe_load(Path(words[2]).read_text())
    arguments = {"moments": moments, "number": int(number), "times": times}
    config["trainer"]["callbacks"].append({"class_path": "interrupter.Interrupter", "init_args": arguments})
    Path(words[2]).write_text(yaml.safe_dump(config))


def until_finished(first: list[str], then: list[str], most: int) -> list[int]:
    """Fit until the end, however often it is interrupted; return the exit codes."""
    codes: list[int] = []
    for _ in range(most):
        try:
            main(then if codes else first)
        except SystemExit as stop:
            codes.append(int(str(stop.code)))
        else:
            return codes
    raise AssertionError(f"interrupted too often: {codes}")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fit that nobody disturbs."""
    folder = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        main(write_fit(Path("one")))
        patch.delenv("PL_GLOBAL_SEED")
    return folder / "one"


def check_same(
    moments: list[int], number: int = signal.SIGTERM, finished: Path | None = None, **fit: Any
) -> list[int]:
    """Compare a fit that is interrupted with one that is not; return the exit codes."""
    words = write_fit(Path("one"), **fit)
    if finished is None:
        main(words)
        undisturbed = outcome(RUN)
        shutil.rmtree("one/runs")
    else:
        undisturbed = outcome(finished.parent / RUN)
    with_interrupter(words, moments, number)
    codes = until_finished(words, [*words, "--resume"], len(moments) + 1)
    assert [path.name for path in RUN.parent.iterdir()] == ["version_0"]
    resumed = outcome(RUN)
    for part, value in undisturbed.items():
        assert resumed[part] == value, part
    return codes


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_goes_on_to_the_bit(workers: int, finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # The midst of an epoch, its last batch, the first of another, two one after the other.
    moments = [2, STEPS - 1, STEPS, STEPS + 4, STEPS + 5]
    # However many processes prepare its batches.
    assert check_same(moments, finished=finished, workers=workers) == [143] * len(moments)
    said = capsys.readouterr()
    assert "interrupted by SIGTERM at step 3; saved in one/runs/run/version_0/checkpoints" in said.out
    assert f"dropout-lab fit --resume {RUN}" in said.out
    assert "Traceback" not in said.err
    assert len(outcome(RUN)["scalars"]["train/loss"]) == EPOCHS


@pytest.mark.parametrize(
    "trainer",
    [
        {"accumulate_grad_batches": 3},
        pytest.param({"val_check_interval": 3}, marks=pytest.mark.slow),
        pytest.param({"val_check_interval": 1}, marks=pytest.mark.slow),
        pytest.param({"check_val_every_n_epoch": 2}, marks=pytest.mark.slow),
        {"check_val_every_n_epoch": None, "val_check_interval": 5},
        {"max_epochs": None, "max_steps": 17},
        pytest.param({"limit_train_batches": 4}, marks=pytest.mark.slow),
        pytest.param({"limit_val_batches": 0}, marks=pytest.mark.slow),
        pytest.param(
            {"overfit_batches": 3},
            marks=[pytest.mark.slow, pytest.mark.filterwarnings("ignore:You requested to overfit")],
        ),
        pytest.param({"reload_dataloaders_every_n_epochs": 1}, marks=pytest.mark.slow),
        pytest.param({"gradient_clip_val": 0.5, "precision": "bf16-mixed"}, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_however_it_is_trained(trainer: dict[str, Any]) -> None:
    check_same([0, 6, 9], **trainer)


def test_a_schedule_that_watches_a_metric() -> None:
    arguments = {"monitor": "val/loss", "patience": 0, "factor": 0.5, "threshold": 1.0}
    config = {"class_path": "pytorch_lightning.cli.ReduceLROnPlateau", "init_args": arguments}
    check_same([2, 8, 17], scheduler=config)


@pytest.mark.parametrize("workers", [pytest.param(0, marks=pytest.mark.slow), 2])
def test_a_sampler_of_ones_own(workers: int) -> None:
    Path("drawing.py").write_text(
        "from torch.utils.data import RandomSampler, Sampler\n"
        "from dropout_lab.datamodules import ImageFolderDataModule\n"
        "class Drawn(ImageFolderDataModule):\n"
        "    def train_sampler(self) -> Sampler[int]:\n"
        "        return RandomSampler(range(len(self.splits.train.labels)), replacement=True)\n"
    )
    assert check_same([2, 8], workers=workers, reader="drawing.Drawn") == [143, 143]


def test_weights_that_are_averaged() -> None:
    with_interrupter(words := write_fit(Path("one")), [8], signal.SIGTERM)
    averaging = "pytorch_lightning.callbacks.StochasticWeightAveraging"
    words += [
        "--trainer.callbacks+",
        averaging,
        "--trainer.callbacks.swa_lrs",
        "0.01",
        "--trainer.callbacks.device",
        "null",
    ]
    # It puts a rate of its own beside those of the optimizer, which is no other for that.
    assert until_finished(words, [*words, "--resume"], 2) == [143]


def test_ctrl_c(finished: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert check_same([3], signal.SIGINT, finished) == [130]
    assert "Ctrl-C once more stops at once" in capfd.readouterr().err


def test_the_same_press_twice_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals, "SAME_PRESS_S", math.inf)
    words = write_fit(Path("one"))
    with_interrupter(words, [3], signal.SIGINT, times=2)
    with pytest.raises(SystemExit, match="130"):
        main(words)
    assert torch.load(RUN / "checkpoints/last.ckpt", weights_only=True)["global_step"] == 4


def test_two_presses(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(signals, "SAME_PRESS_S", -1.0)
    words = write_fit(Path("one"))
    with_interrupter(words, [STEPS + 2], signal.SIGINT, times=2)
    with pytest.raises(SystemExit, match="130"):
        main(words)
    assert (
        f"interrupted by SIGINT at step {STEPS + 3}; what is saved is of step {STEPS}"
        in capsys.readouterr().out
    )
    assert torch.load(RUN / "checkpoints/last.ckpt", weights_only=True)["global_step"] == STEPS


def test_before_there_is_anything_to_save(capsys: pytest.CaptureFixture[str]) -> None:
    Path("early.py").write_text(
        "import os, signal\nfrom pytorch_lightning import Callback\n"
        "class Early(Callback):\n"
        "    def on_fit_start(self, trainer, pl_module):\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
    )
    with pytest.raises(SystemExit, match="130"):
        main([*write_fit(Path("one")), "--trainer.callbacks+", "early.Early"])
    assert not Path("one/runs").exists()
    assert "nothing is left behind" in capsys.readouterr().out


def test_saved_within_epochs_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(autosave, "EVERY_S", 0.0)
    words = write_fit(Path("one"))
    Path("spy.py").write_text(
        "import torch\nfrom pathlib import Path\nfrom pytorch_lightning import Callback\n"
        "class Spy(Callback):\n"
        "    def on_train_batch_end(self, trainer, *others):\n"
        "        file = Path('one/runs/run/version_0/checkpoints/last.ckpt')\n"
        "        steps = torch.load(file, weights_only=True)['global_step'] if file.is_file() else 0\n"
        "        assert steps == trainer.global_step - 1, (steps, trainer.global_step)\n"
    )
    main([*words, "--trainer.callbacks+", "spy.Spy"])


def test_by_its_folder_wherever_that_is(finished: Path) -> None:
    words = write_fit(Path("one"))
    undisturbed = outcome(finished.parent / RUN)
    with_interrupter(words, [4], signal.SIGTERM)
    with pytest.raises(SystemExit, match="143"):
        main(words)
    Path("moved").mkdir()
    shutil.move("one/runs", "moved/elsewhere")
    main(["fit", "--resume", "moved/elsewhere/run"])
    assert not Path("one/runs").exists()
    assert outcome(Path("moved/elsewhere/run/version_0")) == undisturbed


def test_one_that_continues_another(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(finished, "one")
    words = ["fit", "--config", "one/config.yaml"]
    last = str(RUN / "checkpoints/last.ckpt")
    longer = [*words, "--trainer.max_epochs", "5", "--ckpt_path", last]
    main(longer)
    undisturbed = outcome(RUN.with_name("version_1"))
    shutil.rmtree(RUN.with_name("version_1"))
    with_interrupter(words, [3 * STEPS + 2], signal.SIGTERM)
    with pytest.raises(SystemExit, match="143"):
        main(longer)
    capsys.readouterr()
    main([*longer, "--resume"])
    assert outcome(RUN.with_name("version_1")) == undisturbed


@pytest.mark.parametrize(("owner", "moment"), [(RunFolder, "write_config"), (train, "print_header")])
def test_while_its_folder_is_made(owner: object, moment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owner, moment, lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(SystemExit, match="143"):
        main(write_fit(Path("one")))
    assert not Path("one/runs").exists()


@pytest.mark.parametrize("command", ["test", "predict"])
def test_what_is_measured_is_left_at_once(
    command: str, finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(finished, "one")
    before = {path: path.read_bytes() for path in RUN.rglob("*") if path.is_file()}
    Path("early.py").write_text(
        "import os, signal\nfrom pytorch_lightning import Callback\n"
        "class Early(Callback):\n"
        "    def setup(self, trainer, pl_module, stage):\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
    )
    capsys.readouterr()
    with pytest.raises(SystemExit, match="130"):
        main([command, "--run", str(RUN), "--trainer.callbacks+", "early.Early"])
    assert capsys.readouterr().err == "dropout-lab: interrupted by SIGINT\n"
    assert {path: path.read_bytes() for path in RUN.rglob("*") if path.is_file()} == before
