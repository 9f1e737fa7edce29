"""Draws the README's picture: python docs/readme_figure.py (half a minute on two cores).

Accuracy on the embedded digits over training, with and without dropout, when only 150 images are there to learn
from: mean over seeds, and the 95 % interval of that mean.
"""

import logging
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from pytorch_lightning import Callback, LightningModule, Trainer, seed_everything
from rich.progress import track
from scipy import stats

from dropout_lab.datamodules import DigitsDataModule
from dropout_lab.models import ImageClassifier
from dropout_lab.models.dropout import DropoutFactory, NoDropout, StandardDropout
from dropout_lab.models.networks import FullyConnected

SEEDS = 10
EPOCHS = 60
IMAGES = 150
VARIANTS: dict[str, DropoutFactory] = {
    "no dropout": NoDropout,
    "StandardDropout(p=0.5)": lambda: StandardDropout(0.5),
}


class Curves(Callback):
    """Keeps the accuracies of each epoch."""

    def __init__(self) -> None:
        """Start empty."""
        self.curves: dict[str, list[float]] = {"train/accuracy": [], "val/accuracy": []}

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take the epoch before; its training metrics are logged after the last hook of that epoch."""
        self._take(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take the last epoch."""
        self._take(trainer)

    def _take(self, trainer: Trainer) -> None:
        if "train/accuracy" in trainer.callback_metrics:
            for name, values in self.curves.items():
                values.append(float(trainer.callback_metrics[name]))


def train(make: DropoutFactory, seed: int) -> dict[str, list[float]]:
    """Return the accuracies by epoch."""
    seed_everything(seed, verbose=False)
    curves = Curves()
    trainer = Trainer(
        max_epochs=EPOCHS,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        callbacks=[curves],
    )
    network = FullyConnected([256, 256], (1, 8, 8), dropout=make)
    data = DigitsDataModule(train_limit=IMAGES, batch_size=50, val_size=0.5, seed=seed)
    trainer.fit(ImageClassifier(network), datamodule=data)
    return curves.curves


def main() -> None:
    """Train and draw."""
    warnings.filterwarnings("ignore", message=r".*treespec, LeafSpec.* is deprecated")
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    for color, (name, make) in zip(("tab:gray", "tab:blue"), VARIANTS.items(), strict=True):
        runs = [train(make, seed) for seed in track(range(SEEDS), description=name)]
        for metric, style in (("val/accuracy", "-"), ("train/accuracy", ":")):
            values = 100 * np.array([run[metric] for run in runs])
            mean = values.mean(axis=0)
            half = stats.t.ppf(0.975, SEEDS - 1) * values.std(axis=0, ddof=1) / SEEDS**0.5
            epochs = np.arange(1, EPOCHS + 1)
            label = (
                f"{name}, {metric.split('/')[0].replace('val', 'validation').replace('train', 'training')}"
            )
            axes.plot(epochs, mean, style, color=color, label=label)
            axes.fill_between(epochs, mean - half, mean + half, color=color, alpha=0.2, linewidth=0)
    axes.set(xlabel="epoch", ylabel="accuracy (%)", ylim=(75, 101), xlim=(1, EPOCHS))
    axes.set_title(
        f"Digits, {IMAGES} training images: mean of {SEEDS} seeds with its 95 % interval", fontsize=10
    )
    axes.legend(loc="lower right", fontsize=9)
    axes.grid(alpha=0.3)
    figure.savefig(Path(__file__).with_name("dropout-on-digits.png"), dpi=130)


if __name__ == "__main__":
    main()
