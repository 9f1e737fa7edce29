"""Prints what each callback costs: python docs/callbacks_costs.py --data-root FOLDER (ten minutes on two cores).

GavierMNIST on MNIST, batch 100, TensorBoard on. Each short fit with a callback is paired with one without, right
before it in the same process, so that a noisy machine is noisy to both; the pairs take turns. A step is timed from its
batch's start to the next one's, with all that callbacks do in between; what is left of the fit is validation and the
epoch's end. Medians over the pairs: of the ratio of the median steps, and of the difference of the rest.
"""

import argparse
import tempfile
from collections import defaultdict
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, final

from pytorch_lightning import Callback, LightningModule, Trainer, seed_everything
from pytorch_lightning.loggers import TensorBoardLogger
from rich.progress import track

from app.console import silence_lightning
from callbacks import (
    BestStep,
    CollapseDetector,
    ConfusionMatrix,
    DeadUnits,
    InferenceGap,
    PassRateTracker,
    PredictionPanels,
    RhoScheduler,
    Timing,
)
from callbacks.schedules import Linear
from datamodules import MNISTDataModule
from models import ImageClassifier
from models.networks import GavierMNIST

CALLBACKS: dict[str, Callable[[], Callback]] = {
    "RhoScheduler": lambda: RhoScheduler(Linear(0.0, 0.5)),
    "PassRateTracker": PassRateTracker,
    "Timing": Timing,
    "DeadUnits": DeadUnits,
    "CollapseDetector": CollapseDetector,
    "InferenceGap": InferenceGap,
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


@final
class Clock(Callback):
    """Notes when each training batch starts."""

    def __init__(self) -> None:
        """Start without a batch."""
        self.starts: list[float] = []

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Note the time."""
        self.starts.append(perf_counter())


def epoch(data: MNISTDataModule, callbacks: list[Callback], steps: int) -> tuple[float, float]:
    """Train; return the seconds of the median step, and those of all that follows the last step's start."""
    seed_everything(0, verbose=False)
    clock = Clock()
    with tempfile.TemporaryDirectory() as logs:
        trainer = Trainer(
            max_epochs=1,
            limit_train_batches=steps,
            callbacks=[clock, *callbacks],
            logger=TensorBoardLogger(logs),
            accelerator="cpu",
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
        )
        trainer.fit(ImageClassifier(GavierMNIST()), datamodule=data)
        end = perf_counter()
    times = [after - before for before, after in pairwise(clock.starts)]
    return median(times), end - clock.starts[-1]


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-root", type=Path, default=Path("data"), help="holds MNIST/")
    parser.add_argument("--rounds", type=int, default=7, help="pairs of each")
    parser.add_argument("--steps", type=int, default=40, help="steps of each fit")
    given = parser.parse_args()
    silence_lightning()
    data = MNISTDataModule(root=str(given.data_root), val_size=500)
    data.prepare_data()
    ratios: dict[str, list[float]] = defaultdict(list)
    rests: dict[str, list[float]] = defaultdict(list)
    bare: list[float] = []
    for _ in track(range(given.rounds), description="rounds"):
        for name, makes in SETUPS.items():
            step_without, rest_without = epoch(data, [], given.steps)
            step, rest = epoch(data, [make() for make in makes], given.steps)
            bare.append(step_without)
            ratios[name].append(step / step_without)
            rests[name].append(rest - rest_without)
    whole = EPOCH_STEPS * median(bare)
    print(f"without: {1000 * median(bare):.1f} ms a step, {whole:.1f} s an epoch of {EPOCH_STEPS} steps")
    print("| callback | step | end of an epoch | epoch |\n|---|---|---|---|")
    for name in SETUPS:
        step, rest = median(ratios[name]), median(rests[name])
        print(f"| {name} | {step:.3f} | {1000 * rest:+.0f} ms | {step + rest / whole:.3f} |")


if __name__ == "__main__":
    main()
