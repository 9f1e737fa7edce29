"""What Lightning is told of an optimizer and its learning-rate scheduler."""

from collections.abc import Iterator
from typing import Literal

from pytorch_lightning.cli import LRSchedulerCallable, OptimizerCallable, ReduceLROnPlateau
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import nn

from models.fused import use_fused


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
        ValueError: the optimizer refuses its arguments, some of which torch does with RuntimeError.
    """
    try:
        optimizer = make_optimizer(parameters)
    except RuntimeError as error:
        raise ValueError(f"optimizer: {error}") from error
    use_fused(optimizer)
    if make_scheduler is None:
        return optimizer
    scheduler = make_scheduler(optimizer)
    if isinstance(scheduler, ReduceLROnPlateau):
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": interval, "monitor": scheduler.monitor},
        }
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": interval}}
