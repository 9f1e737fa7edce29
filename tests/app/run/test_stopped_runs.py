"""What is left of a run that CollapseDetector stops, and what a user's BestStep changes."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from pytorch_lightning import Callback
from pytorch_lightning.callbacks import EarlyStopping, Timer
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from dropout_lab.app.main import main
from dropout_lab.app.run.messages import print_ending
from dropout_lab.app.run.train import why_ended, why_no_best
from dropout_lab.callbacks import BestStep
from tests.programs import run_ranks

FIT = (
    "fit --data DigitsDataModule --model.network FullyConnected --model.network.hidden [16] --name run "
    "--trainer.max_epochs 4 --trainer.accelerator cpu --trainer.callbacks+ CollapseDetector"
).split()
RUN = Path("runs/run/version_0")
BREAKS = """
import math
import torch
from pytorch_lightning import Callback

class Dies(Callback):
    def __init__(self, after: int) -> None:
        self.after = after

    def on_train_batch_end(self, trainer, pl_module, *_):
        if trainer.global_step > self.after:
            linear = pl_module.network.head.linear
            torch.nn.init.zeros_(linear.weight)
            torch.nn.init.zeros_(linear.bias)

class FeedsNaN(Callback):
    def __init__(self, after: int, rank: int = 0) -> None:
        self.after, self.rank = after, rank

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if trainer.global_step == self.after and trainer.global_rank == self.rank:
            batch[0][0] = math.nan
"""


@pytest.fixture(autouse=True)
def _breaks() -> None:
    Path("breaks_runs.py").write_text(BREAKS)


def breaks(name: str, **arguments: int) -> list[str]:
    words = [f"--trainer.callbacks+=breaks_runs.{name}"]
    return words + [f"--trainer.callbacks.{argument}={value}" for argument, value in arguments.items()]


def test_a_collapsed_run_keeps_its_good_checkpoints_and_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    main([*FIT, *breaks("Dies", after=30)])
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("stopped at")]
    assert line.startswith(
        "stopped at step 39: the network has collapsed: on 216 validation images its loss is 2.3026"
    )
    assert line.endswith(f"good until then: best.ckpt, last.ckpt in {RUN}/checkpoints")
    result = json.loads((RUN / "result.json").read_text())["fit"]
    assert result["stopped"] in line
    assert (result["epochs"], result["steps"]) == (2, 39)
    assert result["best_step"] in (13, 26)
    assert result["metrics"]["accuracy"] > 0.2
    for name, step in (("best", result["best_step"]), ("last", 26)):
        content = torch.load(RUN / "checkpoints" / f"{name}.ckpt", weights_only=True)
        assert content["global_step"] == step
        assert content["state_dict"]["network.head.linear.weight"].std() > 0.01
    pages = EventAccumulator(str(RUN)).Reload()
    assert pages.Scalars("val/loss")[-1].step == 38
    assert pages.Scalars("val/loss")[-1].value == pytest.approx(math.log(10))
    assert pages.Scalars("hp/val_accuracy")[-1].value == pytest.approx(result["metrics"]["accuracy"])
    assert yaml.safe_load((RUN / "hparams.yaml").read_text())["network"] == "FullyConnected"
    main(["test", "--run", "runs/run", "--trainer.accelerator", "cpu"])
    tested = json.loads((RUN / "result.json").read_text())["test"]["metrics"]
    # The callback is in the run's config, and has no part in a test.
    assert set(tested) == {"loss", "accuracy", "top5", "nll", "ece"}
    assert tested["accuracy"] > 0.2


def test_a_run_that_is_stopped_before_any_checkpoint_keeps_its_logs(
    capsys: pytest.CaptureFixture[str],
) -> None:
    main([*FIT, *breaks("FeedsNaN", after=2)])
    output = capsys.readouterr().out
    assert (
        "stopped at step 13: the loss of training step 3 is not finite; no checkpoint was written" in output
    )
    assert "test it" not in output
    assert not list(RUN.rglob("*.ckpt"))
    assert list(RUN.glob("events.out*"))
    assert (RUN / "hparams.yaml").is_file()
    assert json.loads((RUN / "result.json").read_text())["fit"]["metrics"] == {}


def test_a_rehearsal_is_stopped_in_one_line_too(capsys: pytest.CaptureFixture[str]) -> None:
    main([*FIT, *breaks("FeedsNaN", after=0), "--trainer.fast_dev_run", "3"])
    assert "stopped at step 3: the loss of training step 1 is not finite" in capsys.readouterr().out
    assert not Path("runs").exists()


WATCHED = ["--trainer.callbacks+=EarlyStopping", "--trainer.callbacks.monitor=gap/logits"]


def test_curves_of_callbacks_can_be_watched_and_are_none_of_validates_figures() -> None:
    main([*FIT, "--trainer.callbacks+", "InferenceGap", *WATCHED, "--trainer.max_epochs", "1"])
    main(["validate", "--run", "runs/run", "--trainer.accelerator", "cpu"])
    result = json.loads((RUN / "result.json").read_text())
    assert result["fit"]["stopped"] is None
    assert result["validate"]["metrics"] == pytest.approx(result["fit"]["metrics"])


def test_two_ranks_of_which_one_sees_the_nan_stop_together() -> None:
    two = ["--trainer.devices", "2", "--trainer.strategy", "ddp", "--trainer.callbacks+", "InferenceGap"]
    # At the last step of the third epoch, so that no later loss of rank 0 shows it.
    ranks = run_ranks(*FIT, *two, *breaks("FeedsNaN", after=20, rank=1))
    assert [rank.returncode for rank in ranks] == [0, 0], ranks
    said = "".join(rank.stdout for rank in ranks)
    assert said.count("stopped at step 21: the loss of training step 21 is not finite") == 1
    assert json.loads((RUN / "result.json").read_text())["fit"]["epochs"] == 2
    state = torch.load(RUN / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    assert all(tensor.isfinite().all() for tensor in state.values())


def test_the_users_best_step_is_the_runs() -> None:
    best = ["--trainer.callbacks+=BestStep", "--trainer.callbacks.monitor=val/top5"]
    main([*FIT, *best, "--trainer.callbacks.thresholds=[0.2,2.0]"])
    result = json.loads((RUN / "result.json").read_text())["fit"]
    assert result["first_steps"] == {"0.2": 13, "2.0": None}
    pages = EventAccumulator(str(RUN)).Reload()
    top5 = pages.Scalars("val/top5")
    assert result["metrics"]["top5"] == pytest.approx(max(event.value for event in top5))
    assert pages.Scalars("hp/val_accuracy")[-1].value == pytest.approx(result["metrics"]["accuracy"])
    content = torch.load(RUN / "checkpoints" / "best.ckpt", weights_only=True)
    assert content["global_step"] == result["best_step"]


def test_a_best_step_without_a_metric_takes_the_runs() -> None:
    main([*FIT, "--monitor", "val/top5", "--trainer.callbacks+=BestStep"])
    result = json.loads((RUN / "result.json").read_text())["fit"]
    top5 = EventAccumulator(str(RUN)).Reload().Scalars("val/top5")
    assert result["metrics"]["top5"] == pytest.approx(max(event.value for event in top5))
    assert result["best_step"] == max(top5, key=lambda event: event.value).step + 1


def test_there_is_one_best_step(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([*FIT, "--trainer.callbacks+=BestStep", "--trainer.callbacks+=BestStep"])
    assert "there is one best.ckpt and so one BestStep, got 2" in capsys.readouterr().err
    assert not Path("runs").exists()


def test_a_curve_that_there_is_not_cannot_be_watched(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([*FIT, *WATCHED])
    error = capsys.readouterr().err
    assert "EarlyStopping watches 'gap/logits', which is not logged; there are train/loss" in error
    assert "collapse/logit_std" in error
    assert not Path("runs").exists()


def test_a_best_step_that_watches_nothing_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([*FIT, "--trainer.callbacks+=BestStep", "--trainer.callbacks.monitor=val/acc"])
    assert "BestStep watches 'val/acc', which is not logged" in capsys.readouterr().err


class Ended:
    """What is read of a trainer whose fit has ended: at step 20, epoch 2."""

    global_step, current_epoch = 20, 2

    def __init__(self, *callbacks: Callback, max_epochs: int = -1, max_steps: int = -1) -> None:
        self.callbacks, self.max_epochs, self.max_steps = callbacks, max_epochs, max_steps
        self.callback_metrics = {"val/auroc": torch.tensor(math.nan)}


def early() -> EarlyStopping:
    stopped = EarlyStopping("val/loss")
    stopped.stopping_reason_message = "val/loss = 2 is too much. Signaling Trainer to stop."
    return stopped


@pytest.mark.parametrize(
    ("trainer", "reason"),
    [
        (Ended(max_epochs=2), "max_epochs=2 reached"),
        (Ended(max_epochs=2, max_steps=20), "max_steps=20 reached"),
        (Ended(early(), max_epochs=3), "EarlyStopping: val/loss = 2 is too much."),
        (Ended(EarlyStopping("val/loss"), Timer({"seconds": 0})), "max_time reached, after 0 s of training"),
        (Ended(max_epochs=3), "a callback has asked the trainer to stop"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_why_a_fit_has_ended(trainer: Any, reason: str) -> None:
    assert why_ended(trainer) == reason


def test_a_metric_that_is_never_finite_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    trainer: Any = Ended()
    best = BestStep("val/auroc")
    reason = why_no_best(trainer, best)
    assert reason == "val/auroc was not finite at any validation"
    # An accuracy of chance is.
    trainer.callback_metrics["val/accuracy"] = torch.tensor(0.1)
    assert why_no_best(trainer, BestStep()) == "the weights were not finite at any validation"
    print_ending({"stopped": None, "ended": "max_epochs=2 reached", "no_best": reason})
    assert (
        "warning: val/auroc was not finite at any validation, so there is no best.ckpt"
        in capsys.readouterr().out
    )
    # Not where there was no validation, nor where one was the best.
    assert why_no_best(trainer, BestStep("val/top5")) is None
    best.step = 10
    assert why_no_best(trainer, best) is None
