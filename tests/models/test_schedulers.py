"""WarmupCosine against its formula, and schedulers that would fail when a fit is under way."""

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from pytorch_lightning.cli import ReduceLROnPlateau
from torch import nn
from torch.optim import SGD, Optimizer
from torch.optim.lr_scheduler import LRScheduler, OneCycleLR

from dropout_lab.models.schedulers import WarmupCosine, check_schedule, steps_of


def optimizer() -> Optimizer:
    return SGD([nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))], lr=0.5, momentum=0.9)


def rates(scheduler: LRScheduler, steps: int) -> list[float]:
    found = []
    for _ in range(steps):
        found.append(float(scheduler.optimizer.param_groups[0]["lr"]))
        scheduler.optimizer.step()
        scheduler.step()
    return found


def test_rises_and_falls() -> None:
    # T = 8, W = 2.
    up = [0.5 * 1 / 3, 0.5 * 2 / 3]
    down = [0.5 * (0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * t / 6))) for t in range(6)]
    scheduler = WarmupCosine(optimizer(), warmup=0.25, final=0.1, total=8)
    # Where a fit goes on longer, the last rate stays.
    assert rates(scheduler, 10) == pytest.approx([*up, *down, 0.05, 0.05])


def test_goes_on_from_its_state() -> None:
    whole = rates(WarmupCosine(optimizer(), warmup=0.3, total=10), 10)
    first = WarmupCosine(optimizer(), warmup=0.3, total=10)
    rates(first, 4)
    second = WarmupCosine(optimizer(), warmup=0.3, total=1)
    second.load_state_dict(first.state_dict())
    second.optimizer.load_state_dict(first.optimizer.state_dict())
    assert rates(second, 6) == whole[4:]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"warmup": 1.0, "total": 5}, r"warmup must be a share of all steps in \[0, 1\), got 1.0"),
        ({"warmup": math.nan, "total": 5}, "warmup .* got nan"),
        ({"final": 1.5, "total": 5}, r"final must be a share of the rate in \[0, 1\], got 1.5"),
        ({"total": 0}, "total must be 1 step or more, got 0"),
        ({}, "total must be 1 step or more, got None"),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        WarmupCosine(optimizer(), **arguments)


def trainer(scheduler: LRScheduler, interval: str = "epoch", **options: Any) -> Any:
    """Return what is read of a trainer: two epochs of 13 batches, validated at the end of each."""
    defaults: dict[str, Any] = {
        "lr_scheduler_configs": [SimpleNamespace(scheduler=scheduler, interval=interval)],
        "max_epochs": 2,
        "estimated_stepping_batches": 26,
        "num_training_batches": 13,
        "train_dataloader": object(),
        "check_val_every_n_epoch": 1,
        "val_check_interval": 1.0,
        "val_check_batch": 13,
    }
    return SimpleNamespace(**{**defaults, **options})


def test_steps() -> None:
    scheduler = WarmupCosine(optimizer(), total=1)
    assert steps_of(trainer(scheduler), "epoch") == 2
    assert steps_of(trainer(scheduler), "step") == 26
    assert steps_of(trainer(scheduler, max_epochs=-1), "epoch") == math.inf
    # Before the fit has begun the loader that was made to count is not kept.
    loop = SimpleNamespace(_combined_loader=object())
    assert steps_of(trainer(scheduler, train_dataloader=None, fit_loop=loop), "step") == 26
    assert loop._combined_loader is None


@pytest.mark.parametrize(
    ("total", "interval", "fails"), [(26, "step", False), (25, "step", True), (2, "epoch", False)]
)
def test_one_cycle_that_is_too_short(total: int, interval: str, fails: bool) -> None:
    fit = trainer(OneCycleLR(optimizer(), max_lr=0.5, total_steps=total), interval)
    if fails:
        with pytest.raises(
            ValueError, match="ends after 25 of its steps, and the fit has 26; leave total_steps out"
        ):
            check_schedule(fit)
    else:
        check_schedule(fit)


@pytest.mark.parametrize(("interval", "fails"), [(13, False), (14, True), (None, True)])
def test_a_plateau_that_has_to_wait(interval: int | None, fails: bool) -> None:
    plateau = ReduceLROnPlateau(optimizer(), "val/loss")
    fit = trainer(
        plateau, check_val_every_n_epoch=None, val_check_interval=interval, val_check_batch=interval
    )
    if fails:
        with pytest.raises(ValueError, match="there are epochs without a validation; give trainer.check_val"):
            check_schedule(fit)
    else:
        check_schedule(fit)
