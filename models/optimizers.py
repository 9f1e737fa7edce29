"""What Lightning is told of an optimizer and its learning-rate scheduler."""

from collections.abc import Iterator
from typing import Literal

from pytorch_lightning.cli import LRSchedulerCallable, OptimizerCallable, ReduceLROnPlateau
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import nn

from models.fused import use_fused

# What torch's schedulers divide by, unchecked, not before the end of the first epoch.
PERIODS = ("step_size", "T_max", "T_0", "total_iters")


def optimizer_and_scheduler(
    parameters: Iterator[nn.Parameter],
    make_optimizer: OptimizerCallable,
    make_scheduler: LRSchedulerCallable | None,
    interval: Literal["epoch", "step"],
) -> OptimizerLRScheduler:
    """Make the optimizer, with fused kernels where it has them, and, if asked for, the scheduler.

    Args:
        parameters: of the model, on the device where they will be trained.
        make_optimizer: given the parameters, makes the optimizer.
        make_scheduler: given the optimizer, makes the scheduler; None keeps the rate constant.
        interval: when the scheduler steps.

    Raises:
        ValueError: an argument of either is out of range; of the optimizer torch says some by RuntimeError.
    """
    try:
        optimizer = make_optimizer(parameters)
    except RuntimeError as error:
        raise ValueError(f"optimizer: {error}") from error
    use_fused(optimizer)
    if make_scheduler is None:
        return optimizer
    scheduler = make_scheduler(optimizer)
    for name in PERIODS:
        if vars(scheduler).get(name) == 0:
            raise ValueError(f"model.scheduler.{name} must be 1 or more, got 0")
    if isinstance(scheduler, ReduceLROnPlateau):
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": interval, "monitor": scheduler.monitor},
        }
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": interval}}
