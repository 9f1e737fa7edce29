"""A network that is lost is stopped, with what was seen; one that is slow to start is not."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.callbacks import ModelCheckpoint
from torch import nn

from dropout_lab.callbacks import CollapseDetector, TrainingCollapsed
from dropout_lab.callbacks.collapse_detector import first_not_finite
from dropout_lab.models import ImageClassifier
from dropout_lab.models.dropout import DropAlan, NoDropout
from dropout_lab.models.networks import FullyConnected, Head, Network
from tests.callbacks.fits import fit, scalars, small_network
from tests.callbacks.survival import CASES, Options, WithoutDropout, network


def head_of(pl_module: LightningModule) -> Head:
    assert isinstance(pl_module, ImageClassifier)
    return pl_module.network.head


class AtStep(Callback):
    """Does something to the network, or to a batch, at one step."""

    def __init__(self, step: int) -> None:
        self.step = step


class LosesLogits(AtStep):
    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if trainer.global_step >= self.step:
            # Dead for good: what the optimizer does to it is undone.
            nn.init.zeros_(head_of(pl_module).linear.weight)
            nn.init.zeros_(head_of(pl_module).linear.bias)

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        self.on_train_batch_start(trainer, pl_module, None, 0)


class FeedsNaN(AtStep):
    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if trainer.global_step == self.step:
            batch[0][0, 0, 0, 0] = math.nan


class BreaksWeight(AtStep):
    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        if trainer.global_step == self.step:
            with torch.no_grad():
                head_of(pl_module).linear.weight[3, 2] = math.inf


def stopped(*callbacks: Callback, **options: Any) -> TrainingCollapsed:
    saves = any(isinstance(each, ModelCheckpoint) for each in callbacks)
    with pytest.raises(TrainingCollapsed) as caught:
        fit(*callbacks, **{"max_epochs": 4, "enable_checkpointing": saves, **options})
    return caught.value


def checkpoint(folder: Path) -> ModelCheckpoint:
    return ModelCheckpoint(folder, save_top_k=-1, filename="{step}", save_on_train_epoch_end=True)


def test_constant_logits_are_stopped_at_the_next_validation(tmp_path: Path) -> None:
    stop = stopped(CollapseDetector(), LosesLogits(step=30), logs=tmp_path)
    assert stop.step == 39
    assert stop.reason == (
        "the network has collapsed: on 216 validation images its loss is 2.3026, that of guessing among 10 classes, "
        "and no logit varies by more than 0 (standard deviation)"
    )
    assert str(stop) == f"stopped at step 39: {stop.reason}"
    # The validation that showed it is in the logs.
    step, loss = scalars(tmp_path, "val/loss")[-1]
    assert step == 38
    assert loss == pytest.approx(math.log(10))
    deviations = [value for _, value in scalars(tmp_path, "collapse/logit_std")]
    assert len(deviations) == 3
    assert min(deviations[:2]) > 0.01
    assert deviations[2] == 0


def test_once_it_has_learned_validations_within_an_epoch_count() -> None:
    assert stopped(CollapseDetector(), LosesLogits(step=14), val_check_interval=4).step == 13 + 4


def test_near_constant_logits_count_only_of_a_network_that_has_learned() -> None:
    class Shrinks(LosesLogits):
        def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
            super().on_train_batch_start(trainer, pl_module, None, 0)
            if trainer.global_step >= self.step:
                nn.init.constant_(head_of(pl_module).linear.weight[0], 1e-5)

    fit(CollapseDetector(), Shrinks(step=0), max_epochs=2)
    assert stopped(CollapseDetector(), Shrinks(step=20), max_epochs=2).step == 26
    fit(CollapseDetector(logit_tolerance=0), Shrinks(step=20), max_epochs=2)


def test_a_network_that_is_dead_from_the_start_is_stopped_after_the_first_epoch() -> None:
    assert (
        stopped(CollapseDetector(), LosesLogits(step=0), val_check_interval=4, limit_train_batches=12).step
        == 12
    )


def test_a_slow_starter_is_left_alone() -> None:
    deep = FullyConnected([20] * 4, (1, 8, 8), weight_scale=1e-2)
    trainer = fit(
        CollapseDetector(),
        classifier=ImageClassifier(deep, optimizer=lambda params: torch.optim.SGD(params, lr=1e-3)),
        max_epochs=3,
        val_check_interval=4,
    )
    # It does look collapsed, by the tolerances for one that has learned.
    assert trainer.callback_metrics["val/loss"] == pytest.approx(math.log(10), abs=0.01)
    assert trainer.callback_metrics["collapse/logit_std"] < 1e-3


def test_without_validation_the_last_training_batch_is_evaluated(tmp_path: Path) -> None:
    stop = stopped(CollapseDetector(), LosesLogits(step=30), checkpoint(tmp_path), limit_val_batches=0)
    assert stop.step == 39
    assert "on 100 training images its loss is 2.3026" in stop.reason
    assert {path.name for path in tmp_path.iterdir()} == {"step=13.ckpt", "step=26.ckpt"}


def test_epochs_without_a_validation_are_looked_at_too() -> None:
    stop = stopped(CollapseDetector(), LosesLogits(step=30), check_val_every_n_epoch=2)
    assert stop.step == 39
    assert "training images" in stop.reason


class ReluLogits(Network):
    """DropAlan's network in small: scaled, and a ReLU on the logits."""

    def __init__(self) -> None:
        stage = DropAlan("beta", scaled=True).join(nn.Linear(64, 32), nn.ReLU())
        head = Head(stage, nn.Linear(32, 10), nn.ReLU())
        super().__init__((1, 8, 8), 10, nn.Flatten(), head)


def test_the_original_drop_alan_collapses_and_is_stopped() -> None:
    model = ImageClassifier(ReluLogits(), optimizer=lambda params: torch.optim.Adam(params, lr=0.1))
    stop = stopped(CollapseDetector(), classifier=model, max_epochs=10)
    assert "the network has collapsed" in stop.reason
    assert "loss is 2.3026" in stop.reason


@pytest.mark.parametrize("validation", [0, 1.0])
def test_a_loss_that_is_not_finite_is_found_within_so_many_steps(validation: float, tmp_path: Path) -> None:
    detector = CollapseDetector(every_n_steps=5)
    stop = stopped(detector, FeedsNaN(step=15), checkpoint(tmp_path), limit_val_batches=validation)
    # Batches 0 and 1 of the second epoch are steps 14 and 15; its fifth is step 18.
    assert stop.reason == "the loss of training step 16 is not finite"
    assert stop.step == 18
    assert [path.name for path in tmp_path.iterdir()] == ["step=13.ckpt"]
    state = torch.load(tmp_path / "step=13.ckpt", weights_only=True)["state_dict"]
    assert all(tensor.isfinite().all() for tensor in state.values())


def test_a_loss_is_read_at_the_end_of_the_epoch_at_the_latest() -> None:
    assert stopped(CollapseDetector(every_n_steps=1000), FeedsNaN(step=2), limit_val_batches=0).step == 13
    assert stopped(CollapseDetector(every_n_steps=1000), FeedsNaN(step=2), val_check_interval=6).step == 6


@pytest.mark.parametrize(
    "options",
    [{}, {"limit_val_batches": 0}, {"check_val_every_n_epoch": 3}],
    ids=["validation", "no validation", "validation later"],
)
def test_weights_that_are_not_finite_are_named_and_not_written(options: Options, tmp_path: Path) -> None:
    # At the last step of an epoch: no later loss shows it.
    stop = stopped(CollapseDetector(), BreaksWeight(step=26), checkpoint(tmp_path), **options)
    assert (stop.step, stop.reason) == (26, "network.head.linear.weight is not finite")
    assert [path.name for path in tmp_path.iterdir()] == ["step=13.ckpt"]


def test_checkpoints_within_an_epoch_are_guarded_too(tmp_path: Path) -> None:
    saves = ModelCheckpoint(tmp_path, every_n_train_steps=5, save_top_k=-1, filename="{step}")
    assert stopped(CollapseDetector(), BreaksWeight(step=10), saves).step == 10
    assert [path.name for path in tmp_path.iterdir()] == ["step=5.ckpt"]


def test_the_first_tensor_that_is_not_finite() -> None:
    first, normalization, last = nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Linear(2, 2)
    module = nn.Sequential(first, normalization, last)
    # The sum of their squares is infinite; they are not.
    nn.init.constant_(first.weight, 1e30)
    assert first_not_finite(module) is None
    assert normalization.running_var is not None
    normalization.running_var.fill_(math.nan)
    assert first_not_finite(module) == "1.running_var"
    nn.init.constant_(last.bias, math.inf)
    assert first_not_finite(module) == "2.bias"
    assert first_not_finite(nn.ReLU()) is None


@pytest.mark.parametrize("options", CASES)
def test_changes_nothing_of_what_is_trained(options: Options) -> None:
    with_it = fit(CollapseDetector(every_n_steps=2), network=network(), **options).lightning_module
    without = fit(network=network(), **options).lightning_module
    for (name, one), other in zip(with_it.state_dict().items(), without.state_dict().values(), strict=True):
        assert torch.equal(one, other), name
    assert all(module.training for module in with_it.modules() if isinstance(module, nn.Linear))


def test_a_network_without_dropout_and_a_run_without_validation() -> None:
    fit(CollapseDetector(every_n_steps=2), network=WithoutDropout(), limit_val_batches=0)


def test_a_continued_run_knows_that_it_has_learned(tmp_path: Path) -> None:
    fit(CollapseDetector()).save_checkpoint(tmp_path / "last.ckpt")
    detector = CollapseDetector()
    fit(detector, ckpt_path=tmp_path / "last.ckpt")
    assert detector.learned


def test_a_second_fit_starts_afresh() -> None:
    detector = CollapseDetector()
    assert stopped(detector, FeedsNaN(step=1)).step == 13
    fit(detector)


def test_weights_of_classes_do_not_hide_a_collapse() -> None:
    def classifier() -> ImageClassifier:
        return ImageClassifier(small_network(NoDropout), class_weights=[*[1.0] * 9, 30.0])

    stop = stopped(CollapseDetector(), LosesLogits(step=20), classifier=classifier())
    assert stop.step == 26


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"loss_tolerance": 0}, "loss_tolerance must be a number above 0, got 0"),
        ({"loss_tolerance": math.nan}, "loss_tolerance must be"),
        ({"logit_tolerance": -1.0}, "logit_tolerance must be a number of 0 or more, got -1.0"),
        ({"every_n_steps": 0}, "every_n_steps must be a whole number, 1 or more, got 0"),
        ({"every_n_steps": 2.5}, "every_n_steps must be a whole number"),
    ],
)
def test_bad_arguments(arguments: Options, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CollapseDetector(**arguments)
