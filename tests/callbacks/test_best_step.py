"""The best step against a list of validations."""

import math
from typing import Any

import pytest
import torch
from pytorch_lightning import LightningModule

from dropout_lab.callbacks import BestStep


class FakeTrainer:
    """What the callback reads of a trainer."""

    def __init__(self) -> None:
        self.sanity_checking = False
        self.current_epoch = 0
        self.global_step = 0
        self.callback_metrics: dict[str, torch.Tensor] = {}

    def validates(self, accuracy: float, epoch: int, step: int) -> Any:
        self.current_epoch, self.global_step = epoch, step
        self.callback_metrics = {
            "val/accuracy": torch.tensor(accuracy),
            "val/loss": torch.tensor(1 - accuracy),
            "train/loss": torch.tensor(9.0),
        }
        return self


@pytest.fixture
def module() -> LightningModule:
    return LightningModule()


def test_keeps_the_first_of_the_best(module: LightningModule) -> None:
    best, trainer = BestStep(), FakeTrainer()
    assert best.value == -math.inf
    for epoch, accuracy in enumerate([0.5, 0.75, 0.25, 0.75]):
        best.on_validation_end(trainer.validates(accuracy, epoch, 10 * epoch), module)
    assert (best.epoch, best.step, best.value) == (1, 10, 0.75)
    assert best.metrics == {"val/accuracy": 0.75, "val/loss": 0.25}


def test_a_sanity_check_is_no_validation(module: LightningModule) -> None:
    best, trainer = BestStep(), FakeTrainer()
    trainer.sanity_checking = True
    best.on_validation_end(trainer.validates(1.0, 0, 0), module)
    assert best.step is None


def test_first_steps_at_or_above_thresholds(module: LightningModule) -> None:
    best, trainer = BestStep(thresholds=(0.7, 0.5, 0.9)), FakeTrainer()
    assert best.first_steps == {0.5: None, 0.7: None, 0.9: None}
    # 0.7 in float32 is below 0.7.
    for step, accuracy in ((10, 0.4), (20, 0.6), (30, 0.3), (40, 0.7), (50, 0.8)):
        best.on_validation_end(trainer.validates(accuracy, 0, step), module)
    assert best.first_steps == {0.5: 20, 0.7: 40, 0.9: None}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"monitor": "train/accuracy"},
            "monitor must be a metric of validation such as 'val/accuracy', got 'train/acc",
        ),
        ({"thresholds": (0.5, 0.5)}, r"thresholds must be finite numbers, each given once, got \[0.5, 0.5\]"),
        ({"thresholds": (math.nan,)}, "thresholds must be finite"),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BestStep(**arguments)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_never_the_best(value: float, module: LightningModule) -> None:
    best, trainer = BestStep(), FakeTrainer()
    best.on_validation_end(trainer.validates(value, 0, 10), module)
    assert best.step is None
    best.on_validation_end(trainer.validates(0.25, 1, 20), module)
    assert best.step == 20


def test_weights_that_are_not_finite_are_not_the_best(module: LightningModule) -> None:
    best, trainer = BestStep(), FakeTrainer()
    module.linear = torch.nn.Linear(2, 2)
    best.on_validation_end(trainer.validates(0.5, 0, 10), module)
    with torch.no_grad():
        module.linear.weight[0, 1] = math.nan
    best.on_validation_end(trainer.validates(0.75, 1, 20), module)
    assert (best.step, best.value) == (10, 0.5)
