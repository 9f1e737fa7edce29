"""Prints what each callback costs: python docs/callbacks_costs.py --data-root FOLDER (ten minutes on two cores).

GavierMNIST on MNIST, batch 100, TensorBoard on. Epochs with each callback, with all of them and with none follow one
another in one process, round after round, so that a noisy machine is noisy to all. A step is timed from its batch's
start to the next one's, with all that callbacks do in between; what is left of the fit is the validation and the
end of the epoch. Medians over all steps and over the rounds.
"""

import argparse
import tempfile
from collections import defaultdict
from collections.abc import Callable
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
SETUPS: dict[str, list[Callable[[], Callback]]] = {
    "none": [],
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


def epoch(data: MNISTDataModule, callbacks: list[Callback], steps: int) -> tuple[list[float], float]:
    """Train an epoch; return the seconds of its steps, and those of all that follows the last step's start."""
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
    times = [after - before for before, after in zip(clock.starts, clock.starts[1:], strict=False)]
    return times, end - clock.starts[-1]


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-root", type=Path, default=Path("data"), help="holds MNIST/")
    parser.add_argument("--rounds", type=int, default=5, help="epochs of each")
    parser.add_argument("--steps", type=int, default=570, help="steps an epoch; 570 are all of MNIST")
    given = parser.parse_args()
    silence_lightning()
    data = MNISTDataModule(root=str(given.data_root), val_size=0.05)
    data.prepare_data()
    steps: dict[str, list[float]] = defaultdict(list)
    ends: dict[str, list[float]] = defaultdict(list)
    for _ in track(range(given.rounds), description="rounds"):
        for name, makes in SETUPS.items():
            times, end = epoch(data, [make() for make in makes], given.steps)
            steps[name] += times
            ends[name].append(end)
    bare_step, bare_end = median(steps["none"]), median(ends["none"])
    bare = given.steps * bare_step + bare_end
    print(f"without: {1000 * bare_step:.2f} ms a step, {bare:.2f} s an epoch of {given.steps} steps")
    print("| callback | step | end of epoch | epoch |\n|---|---|---|---|")
    for name in SETUPS:
        step, end = median(steps[name]), median(ends[name])
        total = (given.steps * step + end) / bare
        print(f"| {name} | {step / bare_step:.3f} | {1000 * (end - bare_end):+.0f} ms | {total:.3f} |")


if __name__ == "__main__":
    main()
