"""How long training takes, and what for."""

from array import array
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, ClassVar, final

import numpy as np
import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from rich.console import Console

from dropout_lab.callbacks.ranks import gathered
from dropout_lab.callbacks.tensorboard import Charted, Charts, log_scalars


def seconds(device: torch.device) -> float:
    """Read a monotonic clock, once the device has done what it was given."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
    return perf_counter()


@final
@dataclass
class Times:
    """What one rank has measured, in seconds, in an epoch or in a fit; and on how many images."""

    steps: "array[float]" = field(default_factory=lambda: array("d"))
    waiting: float = 0.0
    images: int = 0
    validation: float = 0.0
    epochs: list[float] = field(default_factory=list)

    def add(self, other: "Times") -> None:
        self.steps.extend(other.steps)
        self.waiting += other.waiting
        self.images += other.images
        self.validation += other.validation
        self.epochs += other.epochs


def figures(ranks: list[Times]) -> dict[str, float]:
    """Return what is logged, by name, from what each rank has measured.

    Over ranks: median and 95 % quantile of all their steps, images of all of them in the time of the mean rank.
    """
    steps = np.concatenate([np.asarray(times.steps) for times in ranks])
    in_steps = float(steps.sum())
    waiting = sum(times.waiting for times in ranks)
    images = sum(times.images for times in ranks)
    epochs = [epoch for times in ranks for epoch in times.epochs]
    return {
        "step_ms": 1e3 * float(np.median(steps)),
        "step_ms_p95": 1e3 * float(np.quantile(steps, 0.95)),
        "images_per_s": images / ((in_steps + waiting) / len(ranks)),
        "waiting_share": waiting / (in_steps + waiting),
        "epoch_s": sum(epochs) / len(epochs),
        "validation_s": sum(times.validation for times in ranks) / len(epochs),
    }


@final
class Timing(Callback, Charted):
    """Measures how long steps, epochs and the fit take, and what share of training waits for data.

    Each time is read from a monotonic clock after the device has done all it was given; on an accelerator this costs
    the overlap of one step with the next.

    - A **step** is from this callback's ``on_train_batch_start`` to its ``on_train_batch_end``: forward, backward,
      optimizer. Hooks of callbacks listed before it are outside at the start and inside at the end.
    - **Waiting** is from the end of a step, of a validation, or the start of the epoch, to the start of the next step:
      fetching a batch and bringing it to the device. A pause in which a checkpoint is written is left out.
    - An **epoch** and the **fit** are from their hooks' start to their end, with the validations in them.

    Logged once an epoch, over all ranks: ``time/step_ms`` (median), ``time/step_ms_p95`` (95 % quantile),
    ``time/images_per_s`` (images of all ranks per second of steps and waiting), ``time/waiting_share`` (waiting /
    (waiting + steps)), ``time/epoch_s``, ``time/validation_s`` (its validations together); at the end
    ``time/fit_s``, and a line is printed. What came before a run was resumed is not in its figures.

    Args:
        console: where to print; None for the terminal.
    """

    section = "time"
    charts: ClassVar[Charts] = {
        "step, ms": [r"time/step_ms", r"time/step_ms_p95"],
        "images per second": [r"time/images_per_s"],
        "epoch and validation, s": [r"time/epoch_s", r"time/validation_s"],
        "share waiting for data": [r"time/waiting_share"],
    }

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console()
        self.summary: dict[str, float] = {}
        self._fit, self._epoch = Times(), Times()
        self._fit_start = self._epoch_start = self._step_start = self._validation_start = 0.0
        # Since when the next batch has been waited for; None where a checkpoint was written.
        self._waiting_since: float | None = None

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.summary = {}
        self._fit = Times()
        self._fit_start = seconds(pl_module.device)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._start_epoch(pl_module)

    # An epoch within which a fit is resumed does not start again.
    on_train_start = on_train_epoch_start

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        self._step_start = seconds(pl_module.device)
        if self._waiting_since is not None:
            self._epoch.waiting += self._step_start - self._waiting_since

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        now = seconds(pl_module.device)
        self._epoch.steps.append(now - self._step_start)
        self._epoch.images += len(batch[0])
        self._waiting_since = now

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._validation_start = seconds(pl_module.device)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        now = seconds(pl_module.device)
        # The sanity check before training is none of an epoch.
        if not trainer.sanity_checking:
            self._epoch.validation += now - self._validation_start
        self._waiting_since = now

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        # No hook tells when the writing has ended.
        self._waiting_since = None

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._epoch.epochs = [seconds(pl_module.device) - self._epoch_start]
        ranks = gathered(self._epoch)
        # An epoch that was resumed at its very end has no step.
        if all(times.steps for times in ranks):
            self._fit.add(self._epoch)
            # Equal on all ranks; sync_dist tells Lightning so.
            logged = {f"time/{name}": value for name, value in figures(ranks).items()}
            pl_module.log_dict(logged, sync_dist=True)
        self._start_epoch(pl_module)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        fit_s = seconds(pl_module.device) - self._fit_start
        ranks = gathered(self._fit)
        if not all(times.steps for times in ranks):
            return
        self.summary = {"fit_s": fit_s, **figures(ranks)}
        log_scalars(trainer, {"time/fit_s": fit_s})
        if trainer.is_global_zero:
            self.console.print(line(self.summary), highlight=False, soft_wrap=True)

    def _start_epoch(self, pl_module: LightningModule) -> None:
        self._epoch = Times()
        self._epoch_start = self._waiting_since = seconds(pl_module.device)


def line(summary: dict[str, float]) -> str:
    """Return a fit's figures in a line."""
    return (
        f"time  {summary['fit_s']:.1f} s  {summary['step_ms']:,.1f} ms a step (median; 95 % below "
        f"{summary['step_ms_p95']:,.1f})  {summary['images_per_s']:,.0f} images/s  "
        f"{100 * summary['waiting_share']:.0f} % waiting for data"
    )
