"""Learning-rate schedules that last as long as the fit."""

import math
from typing import final

from pytorch_lightning import Trainer
from pytorch_lightning.cli import ReduceLROnPlateau
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, OneCycleLR

# The argument of each that says how many of its steps there are: where it is left out, those of the fit.
TOTALS = {
    "CosineAnnealingLR": "T_max",
    "LinearLR": "total_iters",
    "OneCycleLR": "total_steps",
    "PolynomialLR": "total_iters",
    "WarmupCosine": "total",
}


@final
class WarmupCosine(LRScheduler):
    """Rises linearly for the first share of all steps, and falls to ``final`` by half a cosine.

    Of T steps W = round(warmup · T) are the warm-up. The rate of step t, from 0, is the optimizer's times
    (t + 1) / (W + 1) for t < W, and then final + (1 − final) · ½ (1 + cos(π (t − W) / (T − W))).

    Sources: P. Goyal et al., *Accurate, Large Minibatch SGD*, 2017, arXiv:1706.02677 (warm-up); I. Loshchilov,
    F. Hutter, *SGDR: Stochastic Gradient Descent with Warm Restarts*, 2017, arXiv:1608.03983 (cosine, no restart).

    Args:
        optimizer: whose rates are scheduled.
        warmup: share of all steps, in [0, 1).
        final: the last rate as a share of the optimizer's, in [0, 1].
        total: T, counted as ``scheduler_interval`` says; in a run those of the fit if left out.
        last_epoch: steps behind it, less one.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        warmup: float = 0.05,
        final: float = 0.0,
        total: int | None = None,
        last_epoch: int = -1,
    ) -> None:
        if not 0 <= warmup < 1:
            raise ValueError(f"warmup must be a share of all steps in [0, 1), got {warmup}")
        if not 0 <= final <= 1:
            raise ValueError(f"final must be a share of the rate in [0, 1], got {final}")
        if total is None or total < 1:
            raise ValueError(f"total must be 1 step or more, got {total}")
        self.total = total
        self.warmup_steps = round(warmup * total)
        self.final = final
        super().__init__(optimizer, last_epoch)

    def factor(self, step: int) -> float:
        """Return the rate of a step as a share of the optimizer's."""
        if step < self.warmup_steps:
            return (step + 1) / (self.warmup_steps + 1)
        done = min((step - self.warmup_steps) / max(self.total - self.warmup_steps, 1), 1.0)
        return self.final + (1 - self.final) * (1 + math.cos(math.pi * done)) / 2

    def get_lr(self) -> list[float]:  # type: ignore[override]  # torch's may be tensors
        return [float(base) * self.factor(self.last_epoch) for base in self.base_lrs]


def steps_of(trainer: Trainer, interval: str) -> float:
    """Return how often a fit steps a scheduler of an interval; infinite where nothing but time ends it."""
    if interval == "step":
        begun = trainer.train_dataloader is not None
        steps = trainer.estimated_stepping_batches
        if not begun:
            # To count its batches the loader was made, before a fit that is resumed knows where it enters the epoch.
            trainer.fit_loop._combined_loader = None
        return steps
    epochs = trainer.max_epochs
    return math.inf if epochs is None or epochs < 0 else epochs


def check_schedule(trainer: Trainer) -> None:
    """Check that no scheduler will fail when the fit is under way; when its batches are known, before the first."""
    for config in trainer.lr_scheduler_configs:
        scheduler, steps = config.scheduler, steps_of(trainer, config.interval)
        if isinstance(scheduler, OneCycleLR) and scheduler.total_steps < steps:
            raise ValueError(
                f"model.scheduler: OneCycleLR ends after {scheduler.total_steps} of its steps, and the fit has "
                f"{steps}; leave total_steps out, which takes those of the fit"
            )
        interval = trainer.val_check_batch
        if (
            isinstance(scheduler, ReduceLROnPlateau)
            and scheduler.monitor.startswith("val/")
            and trainer.check_val_every_n_epoch is None
            and (interval is None or interval > trainer.num_training_batches)
        ):
            raise ValueError(
                f"model.scheduler.monitor: ReduceLROnPlateau looks at {scheduler.monitor} after each epoch, and by "
                f"trainer.val_check_interval={trainer.val_check_interval} there are epochs without a validation; give "
                "trainer.check_val_every_n_epoch, or a shorter interval"
            )
