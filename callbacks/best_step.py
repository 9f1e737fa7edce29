"""When validation was best, when it was first good enough, and what else was measured at the best."""

import math
from collections.abc import Sequence
from typing import Any, final

import torch
from pytorch_lightning import Callback, LightningModule, Trainer


@final
class BestStep(Callback):
    """Keeps the best finite value of a validation metric, the epoch and step of it, and the other metrics.

    Weights that are not finite are never the best.

    Steps are the optimizer's, ``trainer.global_step``, at the validation that saw the value: the measured step is up
    to one validation interval late. A run that continues another, in a folder of its own, starts afresh, as its
    ``best.ckpt`` does: its first steps are the first that it saw itself, counted from the beginning of the run that it
    continues.

    Source: A. Casallas, *DropAlan: An Input-Weighted Approach to Dropout Regularization*, tables I and II, whose
    "convergence" is the step of the best accuracy. That is late and noisy where the curve is flat; the first step at
    or above a threshold is what tells how fast a method learns.

    Args:
        monitor: logged metric to watch, ``val/…``; higher is better; None: ``--monitor``'s, else ``val/accuracy``.
        thresholds: values whose first step is kept.
    """

    def __init__(self, monitor: str | None = None, thresholds: Sequence[float] = ()) -> None:
        if not all(math.isfinite(value) for value in thresholds) or len(set(thresholds)) < len(thresholds):
            raise ValueError(f"thresholds must be finite numbers, each given once, got {list(thresholds)}")
        self.chosen = monitor is not None
        self.watch(monitor or "val/accuracy")
        self.epoch: int | None = None
        self.step: int | None = None
        self.metrics: dict[str, float] = {}
        self.first_steps: dict[float, int | None] = {float(value): None for value in sorted(thresholds)}

    def watch(self, monitor: str) -> None:
        """Watch a metric; before the first validation."""
        if not monitor.startswith("val/"):
            raise ValueError(
                f"monitor must be a metric of validation such as 'val/accuracy', got {monitor!r}"
            )
        self.monitor = monitor

    @property
    def value(self) -> float:
        """The best value so far; −∞ before the first validation."""
        return self.metrics.get(self.monitor, -math.inf)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        if trainer.sanity_checking or self.monitor not in metrics:
            return
        value = metrics[self.monitor]
        for threshold, step in self.first_steps.items():
            # Metrics are float32, where 1,120 right of 1,600 are a little less than 0.7.
            if step is None and value >= torch.tensor(threshold, dtype=torch.float32).item():
                self.first_steps[threshold] = trainer.global_step
        # An infinite one would be the best for ever. Of weights that are NaN an accuracy is finite: that of chance.
        if math.isfinite(value) and value > self.value and _finite(pl_module):
            self.epoch = trainer.current_epoch
            self.step = trainer.global_step
            self.metrics = {name: each for name, each in metrics.items() if name.startswith("val/")}

    def progress(self) -> dict[str, Any]:
        """Return all that was seen, for a run that goes on in the same folder."""
        seen = {"metrics": dict(self.metrics), "first_steps": list(self.first_steps.items())}
        return {"epoch": self.epoch, "step": self.step, **seen}

    def resume(self, progress: dict[str, Any]) -> None:
        """Take up what :meth:`progress` has returned; thresholds stay this one's own."""
        self.epoch, self.step = progress["epoch"], progress["step"]
        self.metrics = dict(progress["metrics"])
        seen = dict(progress["first_steps"])
        self.first_steps = {threshold: seen.get(threshold) for threshold in self.first_steps}


def _finite(module: LightningModule) -> bool:
    return all(bool(each.isfinite().all()) for each in (*module.parameters(), *module.buffers()))
