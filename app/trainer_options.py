"""Numbers of the trainer that Lightning takes as they are, and fails over or ignores later."""

import math
import os
from typing import Any

from app.errors import UserError

# The least of each, and what it would be instead of something less.
LEAST: dict[str, tuple[int, str]] = {
    "accumulate_grad_batches": (1, "1 for a step of the optimizer each batch"),
    "check_val_every_n_epoch": (1, "1 for each epoch; --trainer.limit_val_batches 0 for no validation"),
    "gradient_clip_val": (0, "null for no clipping"),
    "log_every_n_steps": (0, "0 for no lines of steps"),
    "max_epochs": (-1, "-1 for no end by epochs"),
    "max_steps": (-1, "-1 for no end by steps"),
    "min_epochs": (0, "null for none"),
    "min_steps": (0, "null for none"),
    "num_sanity_val_steps": (-1, "0 for none, -1 for all"),
}

# Processes that share cores only get in each other's way; a few are of use to try out what many will do.
MOST_PROCESSES = 8


def check_trainer_options(trainer: Any) -> None:
    """Check the trainer's numbers.

    Args:
        trainer: its arguments by name, as attributes.

    Raises:
        UserError: one is out of range, in one line with what to give instead.
    """
    for name, (least, remedy) in LEAST.items():
        value = getattr(trainer, name)
        if value is not None and not least <= value < math.inf:
            raise UserError(f"trainer.{name} must be {least} or more, got {value}; give {remedy}")
    interval = trainer.val_check_interval
    if isinstance(interval, int | float) and not 0 < interval < math.inf:
        raise UserError(
            f"trainer.val_check_interval must be above 0, got {interval}; give a number of batches, a share of an "
            "epoch in (0, 1], or --trainer.limit_val_batches 0 for no validation"
        )
    devices, cores = str(trainer.devices), os.cpu_count() or 1
    if trainer.accelerator != "cpu" or devices == "auto":
        return
    most = max(cores, MOST_PROCESSES)
    if not (devices.isdecimal() and 1 <= int(devices) <= most):
        raise UserError(
            f"trainer.devices must be a number of processes from 1 to {most} on the CPU, got {trainer.devices!r}; "
            "give 1, or auto"
        )
