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
from tests.app.run.runs import EPOCHS, RUN, STEPS, outcome, write_fit
from tests.app.run.test_stopped_runs import BREAKS

INTERRUPTER = """
import os
from pathlib import Path
from pytorch_lightning import Callback

class Interrupter(Callback):
    '''Sends a signal after some batches, counted over epochs, each once: a file says which were.

    Ctrl-C is sent so many times, which a terminal, a shell and a launcher may do.
    '''
    def __init__(self, moments: list[int], numbers: list[int], presses: int = 1):
        self.numbers, self.presses = dict(zip(moments, numbers, strict=True)), presses
    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        moment = trainer.current_epoch * 7 + batch_idx
        marker = Path(f"interrupted.{moment}")
        number = self.numbers.get(moment)
        if number is not None and not marker.exists():
            marker.touch()
            for _ in range(self.presses if number == 2 else 1):
                os.kill(os.getpid(), number)
"""


def with_interrupter(words: list[str], moments: dict[int, signal.Signals], presses: int = 1) -> None:
    """Add a callback to a command's config that sends signals."""
    Path("interrupter.py").write_text(INTERRUPTER)
    config = yaml.safe_load(Path(words[2]).read_text())
    arguments = {"moments": [*moments], "numbers": [*map(int, moments.values())], "presses": presses}
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


def check_same(moments: list[int], undisturbed: Path | None = None, **fit: Any) -> list[int]:
    """Compare a fit that is interrupted with one that is not; return the exit codes."""
    words = write_fit(Path("one"), **fit)
    if undisturbed is None:
        main(words)
        expected = outcome(RUN)
        shutil.rmtree("one/runs")
    else:
        expected = outcome(undisturbed.parent / RUN)
    with_interrupter(words, dict.fromkeys(moments, signal.SIGTERM))
    codes = until_finished(words, [*words, "--resume"], len(moments) + 1)
    assert [path.name for path in RUN.parent.iterdir()] == ["version_0"]
    assert_same(expected)
    return codes


def assert_same(expected: dict[str, Any], run: Path = RUN) -> None:
    """Compare what a run has left with what another has."""
    resumed = outcome(run)
    for part, value in expected.items():
        assert resumed[part] == value, part


def test_goes_on_to_the_bit(
    undisturbed: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    # The same press twice is one.
    monkeypatch.setattr(signals, "SAME_PRESS_S", math.inf)
    words = write_fit(Path("one"))
    # The midst of an epoch, its last batch, and the first of another.
    moments = {2: signal.SIGTERM, STEPS - 1: signal.SIGTERM, STEPS: signal.SIGINT}
    with_interrupter(words, moments, presses=2)
    with pytest.raises(SystemExit, match="143"):
        main(words)
    said = capfd.readouterr()
    assert "interrupted by SIGTERM at step 3; saved in one/runs/run/version_0/checkpoints" in said.out
    assert f"dropout-lab fit --resume {RUN}" in said.out
    assert "Traceback" not in said.err
    with pytest.raises(SystemExit, match="143"):
        main([*words, "--resume"])
    with pytest.raises(SystemExit, match="130"):
        main([*words, "--resume"])
    assert "Ctrl-C once more stops at once" in capfd.readouterr().err
    assert torch.load(RUN / "checkpoints/last.ckpt", weights_only=True)["global_step"] == STEPS + 1
    # By its folder, wherever that is.
    Path("moved").mkdir()
    shutil.move("one/runs", "moved/elsewhere")
    main(["fit", "--resume", "moved/elsewhere/run"])
    assert not Path("one/runs").exists()
    (run,) = Path("moved/elsewhere/run").iterdir()
    assert_same(outcome(undisturbed.parent / RUN), run)
    assert len(outcome(run)["scalars"]["train/loss"]) == EPOCHS


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_however_often_and_however_many_prepare_its_batches(workers: int, undisturbed: Path) -> None:
    moments = [2, STEPS - 1, STEPS, STEPS + 4, STEPS + 5]
    assert check_same(moments, undisturbed=undisturbed, workers=workers) == [143] * len(moments)


@pytest.mark.slow
def test_goes_on_to_the_bit_with_images_drawn_with_replacement() -> None:
    moments = [2, STEPS - 1, STEPS + 4]
    assert check_same(moments, replacement=True) == [143] * len(moments)


PLATEAU = {
    "class_path": "pytorch_lightning.cli.ReduceLROnPlateau",
    "init_args": {"monitor": "val/loss", "patience": 0, "factor": 0.5, "threshold": 1.0},
}


def own_sampler() -> str:
    """Return data of one's own whose sampler draws."""
    Path("drawing.py").write_text(
        "from torch.utils.data import RandomSampler, Sampler\n"
        "from dropout_lab.datamodules import ImageFolderDataModule\n"
        "class Drawn(ImageFolderDataModule):\n"
        "    def train_sampler(self) -> Sampler[int]:\n"
        "        return RandomSampler(range(len(self.splits.train.labels)), replacement=True)\n"
    )
    return "drawing.Drawn"


@pytest.mark.slow
def test_however_it_is_trained() -> None:
    # Three optimizer steps an epoch, validations where no step ends, a rate that follows them, an end within an epoch,
    # a sampler of one's own.
    # From the first batch it waits for a step, from the tenth, after which there is a validation, for the next but one.
    together: dict[str, Any] = {
        "accumulate_grad_batches": 3,
        "check_val_every_n_epoch": None,
        "val_check_interval": 5,
        "reader": own_sampler(),
    }
    assert check_same([0, 9], scheduler=PLATEAU, **together, max_epochs=None, max_steps=8) == [143, 143]
    assert outcome(RUN)["result"]["fit"]["steps"] == 8


# One by one, to tell which does not go on.
@pytest.mark.slow
@pytest.mark.parametrize(
    "trainer",
    [
        {"accumulate_grad_batches": 3},
        {"val_check_interval": 3},
        {"val_check_interval": 1},
        {"check_val_every_n_epoch": 2},
        {"check_val_every_n_epoch": None, "val_check_interval": 5},
        {"max_epochs": None, "max_steps": 17},
        {"limit_train_batches": 4},
        {"limit_val_batches": 0},
        pytest.param(
            {"overfit_batches": 3}, marks=pytest.mark.filterwarnings("ignore:You requested to overfit")
        ),
        {"reload_dataloaders_every_n_epochs": 1},
        {"gradient_clip_val": 0.5, "precision": "bf16-mixed"},
    ],
    ids=str,
)
def test_each_way_to_train(trainer: dict[str, Any]) -> None:
    check_same([0, 6, 9], **trainer)


@pytest.mark.slow
def test_a_schedule_that_watches_a_metric() -> None:
    check_same([2, 8, 17], scheduler=PLATEAU)


@pytest.mark.slow
def test_a_schedule_that_counts_the_steps_of_the_fit() -> None:
    warmup = {"class_path": "WarmupCosine", "init_args": {"warmup": 0.3}}
    words = write_fit(Path("one"), scheduler=warmup)
    config = yaml.safe_load(Path(words[2]).read_text())
    config["model"]["scheduler_interval"] = "step"
    Path(words[2]).write_text(yaml.safe_dump(config))
    main(words)
    expected = outcome(RUN)
    (state,) = torch.load(RUN / "checkpoints/last.ckpt", weights_only=True)["lr_schedulers"]
    assert (state["total"], state["last_epoch"]) == (EPOCHS * STEPS, EPOCHS * STEPS)
    assert state["_last_lr"] == [0.0]
    shutil.rmtree("one/runs")
    with_interrupter(words, dict.fromkeys([2, STEPS + 3], signal.SIGTERM))
    assert until_finished(words, [*words, "--resume"], 3) == [143, 143]
    assert_same(expected)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_a_sampler_of_ones_own(workers: int) -> None:
    assert check_same([2, 8], workers=workers, reader=own_sampler()) == [143, 143]


def with_nan(words: list[str], step: int) -> list[str]:
    """Let a fit see NaN after a step; return the command."""
    Path("breaks_runs.py").write_text(BREAKS)
    config = yaml.safe_load(Path(words[2]).read_text())
    config["trainer"]["callbacks"].append(
        {"class_path": "breaks_runs.FeedsNaN", "init_args": {"after": step}}
    )
    Path(words[2]).write_text(yaml.safe_dump(config))
    return words


LOST = STEPS + 2
"""The batch in which a fit is lost, and which it is told to stop after: a validation comes two batches later."""


def check_lost(moments: list[int]) -> None:
    """Compare fits that are lost, each interrupted at a moment, with one that is not interrupted."""
    words = with_nan(write_fit(Path("one"), val_check_interval=5), LOST)
    main(words)
    expected = outcome(RUN)
    reason = expected["result"]["fit"]["stopped"]
    assert reason == f"stopped at step {STEPS + 5}: the loss of training step {LOST + 1} is not finite"
    for moment in moments:
        shutil.rmtree("one/runs")
        words = with_nan(write_fit(Path("one"), val_check_interval=5), LOST)
        with_interrupter(words, {moment: signal.SIGTERM})
        assert until_finished(words, [*words, "--resume"], 2) == ([143] if moment < STEPS + 4 else []), moment
        # What it has saved before it was lost is a later one than that of the epoch before.
        good = {part: value for part, value in expected.items() if part != "last" or moment >= LOST}
        assert_same(good)


@pytest.mark.slow  # each callback is stopped alone in test_each_callback
def test_a_network_that_is_lost_is_stopped_where_it_would_be_without_a_signal() -> None:
    check_lost([LOST])


@pytest.mark.slow
def test_in_whichever_batch_the_signal_comes() -> None:
    check_lost([*range(LOST - 2, STEPS + 5)])
    for moment in range(2 * STEPS):
        shutil.rmtree("one")
        check_same([moment], val_check_interval=5, max_epochs=2)


@pytest.mark.slow
def test_two_presses(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(signals, "SAME_PRESS_S", -1.0)
    words = write_fit(Path("one"))
    with_interrupter(words, {STEPS + 2: signal.SIGINT}, presses=2)
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
    # From one epoch into the next.
    few = ["--trainer.max_epochs", "2", "--trainer.limit_train_batches", "3"]
    main([*words, *few, "--trainer.callbacks+", "spy.Spy"])
    assert outcome(RUN)["result"]["fit"]["steps"] == 6


@pytest.mark.slow
def test_one_that_continues_another(undisturbed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(undisturbed, "one")
    words = ["fit", "--config", "one/config.yaml"]
    last = str(RUN / "checkpoints/last.ckpt")
    longer = [*words, "--trainer.max_epochs", str(EPOCHS + 1), "--ckpt_path", last]
    main(longer)
    expected = outcome(RUN.with_name("version_1"))
    shutil.rmtree(RUN.with_name("version_1"))
    with_interrupter(words, {EPOCHS * STEPS + 2: signal.SIGTERM})
    with pytest.raises(SystemExit, match="143"):
        main(longer)
    capsys.readouterr()
    main([*longer, "--resume"])
    assert_same(expected, RUN.with_name("version_1"))


@pytest.mark.parametrize(
    ("owner", "moment"),
    [(RunFolder, "write_config"), pytest.param(train, "print_header", marks=pytest.mark.slow)],
)
def test_while_its_folder_is_made(owner: object, moment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owner, moment, lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(SystemExit, match="143"):
        main(write_fit(Path("one")))
    assert not Path("one/runs").exists()


@pytest.mark.parametrize("command", [pytest.param("test", marks=pytest.mark.slow), "predict"])
def test_what_is_measured_is_left_at_once(
    command: str, undisturbed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(undisturbed, "one")
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
