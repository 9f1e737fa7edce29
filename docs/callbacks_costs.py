"""Prints what each callback costs: python docs/callbacks_costs.py --data-root FOLDER (three minutes on two cores).

GavierMNIST on MNIST, batch 100, TensorBoard on. In one fit the clock is read right before and right after all that
callbacks do, in Lightning's hooks and in the forward hooks of layers; so the time spent in them and the time of the
rest of the step come from the same moments of a noisy machine, as those of two fits do not. Medians over steps.
"""

import argparse
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, final

from pytorch_lightning import Callback, LightningModule, Trainer, seed_everything
from pytorch_lightning.loggers import TensorBoardLogger
from rich.progress import track
from torch import nn

from dropout_lab.app.console import silence_lightning
from dropout_lab.callbacks import (
    BestStep,
    CollapseDetector,
    ConfusionMatrix,
    DeadUnits,
    InferenceGap,
    PassRateTracker,
    PredictionPanels,
    RhoScheduler,
    Timing,
    TrainAccuracy,
)
from dropout_lab.callbacks.schedules import Linear
from dropout_lab.datamodules import MNISTDataModule
from dropout_lab.models import ImageClassifier
from dropout_lab.models.dropout import Dropout
from dropout_lab.models.networks import GavierMNIST

CALLBACKS: dict[str, Callable[[], Callback]] = {
    "RhoScheduler": lambda: RhoScheduler(Linear(0.0, 0.5)),
    "PassRateTracker": PassRateTracker,
    "Timing": Timing,
    "DeadUnits": DeadUnits,
    "CollapseDetector": CollapseDetector,
    "InferenceGap": InferenceGap,
    "TrainAccuracy": TrainAccuracy,
    "BestStep": BestStep,
    "PredictionPanels": PredictionPanels,
    "ConfusionMatrix": ConfusionMatrix,
}
# What all of MNIST less 5 % is, in batches of 100.
EPOCH_STEPS = 570

SETUPS: dict[str, list[Callable[[], Callback]]] = {
    "nothing": [],
    **{name: [make] for name, make in CALLBACKS.items()},
    "all": list(CALLBACKS.values()),
}


@dataclass
class Stopwatch:
    """Seconds spent between opening and closing, in steps and at the ends of epochs."""

    opened: float = 0.0
    forward: float = 0.0
    step: float = 0.0
    steps: list[float] = field(default_factory=list)
    ends: float = 0.0
    starts: list[float] = field(default_factory=list)


class Bracket(Callback, ABC):
    """First or last of a trainer's callbacks: reads the clock before or after all others."""

    def __init__(self, watch: Stopwatch) -> None:
        self.watch = watch

    @abstractmethod
    def mark(self, in_step: bool) -> None:
        """Read the clock."""

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Watch the forward hooks too: those of a layer run in the order in which they were added."""
        for module in pl_module.modules():
            if isinstance(module, nn.ReLU | Dropout):
                module.register_forward_hook(lambda *_: self.mark_forward())

    @abstractmethod
    def mark_forward(self) -> None:
        """Read the clock in a forward, which may be one of a callback's own."""

    def on_train_batch_start(self, *_: Any) -> None:
        self.mark(in_step=True)

    def on_train_batch_end(self, *_: Any) -> None:
        self.mark(in_step=True)

    def on_validation_batch_end(self, *_: Any) -> None:
        self.mark(in_step=False)

    def on_validation_start(self, *_: Any) -> None:
        self.mark(in_step=False)

    def on_validation_epoch_end(self, *_: Any) -> None:
        self.mark(in_step=False)

    def on_validation_end(self, *_: Any) -> None:
        self.mark(in_step=False)

    def on_train_epoch_start(self, *_: Any) -> None:
        self.mark(in_step=False)

    def on_train_epoch_end(self, *_: Any) -> None:
        self.mark(in_step=False)


@final
class Opening(Bracket):
    """First of the callbacks."""

    def mark(self, in_step: bool) -> None:
        """Start."""
        self.watch.opened = perf_counter()

    def mark_forward(self) -> None:
        """Start, within what a callback may be doing."""
        self.watch.forward = perf_counter()

    def on_train_batch_start(self, *_: Any) -> None:
        """Begin a step."""
        self.watch.starts.append(perf_counter())
        self.watch.step = 0.0
        self.mark(in_step=True)


@final
class Closing(Bracket):
    """Last of the callbacks."""

    def mark(self, in_step: bool) -> None:
        """Add up."""
        passed = perf_counter() - self.watch.opened
        if in_step:
            self.watch.step += passed
        else:
            self.watch.ends += passed

    def mark_forward(self) -> None:
        """Add up; between the steps nobody reads it."""
        self.watch.step += perf_counter() - self.watch.forward

    def on_train_batch_end(self, *_: Any) -> None:
        """End a step."""
        self.mark(in_step=True)
        self.watch.steps.append(self.watch.step)


def costs(data: MNISTDataModule, callbacks: list[Callback], steps: int) -> tuple[float, float, float]:
    """Train; return the seconds in callbacks of the median step and of an epoch's end, and of the rest of a step."""
    seed_everything(0, verbose=False)
    watch = Stopwatch()
    with tempfile.TemporaryDirectory() as logs:
        trainer = Trainer(
            max_epochs=1,
            limit_train_batches=steps,
            callbacks=[Opening(watch), *callbacks, Closing(watch)],
            logger=TensorBoardLogger(logs),
            accelerator="cpu",
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
        )
        trainer.fit(ImageClassifier(GavierMNIST()), datamodule=data)
    whole = [after - before for before, after in pairwise(watch.starts)]
    rest = median(step - inside for step, inside in zip(whole, watch.steps, strict=False))
    return median(watch.steps), watch.ends, rest


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-root", type=Path, default=Path("data"), help="holds MNIST/")
    parser.add_argument("--steps", type=int, default=120, help="steps of each fit")
    parser.add_argument("--only", nargs="+", choices=SETUPS, default=list(SETUPS), help="rows of the table")
    given = parser.parse_args()
    silence_lightning()
    data = MNISTDataModule(root=str(given.data_root), val_size=0.05)
    data.prepare_data()
    print(
        "| callback | µs a step | of a step | ms at the end of an epoch | of an epoch |\n|---|---|---|---|---|"
    )
    for name in track(given.only, description="callbacks"):
        inside, end, rest = costs(data, [make() for make in SETUPS[name]], given.steps)
        epoch = inside / rest + end / (EPOCH_STEPS * rest)
        print(f"| {name} | {1e6 * inside:.0f} | {inside / rest:.2%} | {1e3 * end:.0f} | {epoch:.2%} |")
    print(f"the rest of a step took {1e3 * rest:.1f} ms, an epoch has {EPOCH_STEPS} steps")


if __name__ == "__main__":
    main()
