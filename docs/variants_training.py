"""Trains every variant with its shipped settings and prints the page's table.

python docs/variants_training.py --data-root FOLDER     (a few minutes on two cores; FOLDER holds MNIST/raw)
"""

import argparse
import math
import statistics
import warnings
from pathlib import Path
from typing import Any

import torch
from jsonargparse import ArgumentParser
from pytorch_lightning import Callback, LightningModule, Trainer, seed_everything
from rich.progress import track
from scipy import stats

from dropout_lab.app.console import silence_lightning
from dropout_lab.datamodules import DigitsDataModule, ImageDataModule, MNISTDataModule
from dropout_lab.models import ImageClassifier
from dropout_lab.models.dropout import DropoutFactory
from dropout_lab.models.networks import FullyConnected
from variants_list import Setting, shipped_settings

HIDDEN = [256, 256]
DIGITS_EPOCHS = 30
DIGITS_SEEDS = 3
MNIST_EPOCHS = 1

ALSO: dict[str, dict[str, str]] = {"DropAlan": {"inference": "expectation"}}
"""Arguments that get a row of their own beside the shipped ones."""


class FiniteLoss(Callback):
    """Ends the program at a loss that is no number."""

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Look at the loss."""
        assert torch.isfinite(outputs["loss"]), (
            f"loss {outputs['loss']} in epoch {trainer.current_epoch}, batch {batch_idx}"
        )


def factory(setting: Setting) -> DropoutFactory:
    """Make what the command line makes of the YAML."""
    parser = ArgumentParser()
    parser.add_argument("--dropout", type=DropoutFactory)
    made: DropoutFactory = parser.instantiate_classes(parser.parse_object({"dropout": setting.spec})).dropout
    return made


def settings() -> list[Setting]:
    """Return the shipped settings, each followed by what stands in ALSO."""
    found = []
    for setting in shipped_settings().values():
        found.append(setting)
        if setting.name in ALSO:
            spec = {**setting.spec, "init_args": setting.spec["init_args"] | ALSO[setting.name]}
            found.append(Setting(setting.stem, spec))
    return found


def test_accuracy(setting: Setting, data: ImageDataModule, epochs: int, seed: int) -> float:
    """Train on a data set and return the share of its test images that are classified correctly."""
    seed_everything(seed, verbose=False)
    trainer = Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        limit_val_batches=0,
        callbacks=[FiniteLoss()],
    )
    model = ImageClassifier(FullyConnected(HIDDEN, data.image_shape, dropout=factory(setting)))
    trainer.fit(model, datamodule=data)
    metrics = trainer.test(model, datamodule=data, verbose=False)[0]
    assert math.isfinite(metrics["test/loss"]), f"test loss {metrics['test/loss']}"
    return metrics["test/accuracy"]


def row(setting: Setting, data_root: Path) -> str:
    """Train a variant and return its line of the table."""
    digits = [
        100 * test_accuracy(setting, DigitsDataModule(seed=seed), DIGITS_EPOCHS, seed)
        for seed in range(DIGITS_SEEDS)
    ]
    half = stats.t.ppf(0.975, DIGITS_SEEDS - 1) * statistics.stdev(digits) / DIGITS_SEEDS**0.5
    mnist = 100 * test_accuracy(setting, MNISTDataModule(str(data_root)), MNIST_EPOCHS, 0)
    arguments = f"`{setting.arguments}`" if setting.arguments else "–"
    return f"| {setting.name} | {arguments} | {statistics.mean(digits):.1f} ± {half:.1f} | {mnist:.2f} |"


def main() -> None:
    """Train, and print the table, or write it into a file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data-root", type=Path, required=True, help="folder that holds MNIST/raw")
    parser.add_argument("--out", type=Path, help="write the table there instead of to the terminal")
    options = parser.parse_args()
    silence_lightning()
    # https://github.com/Lightning-AI/pytorch-lightning/issues/21900
    warnings.filterwarnings(
        "ignore", message=r"\s*(By default only one Jsonargparse|``instantiate_classes``)"
    )
    lines = [
        "| variant | arguments | digits, test accuracy (%) | MNIST, test accuracy (%) |",
        "|---|---|---|---|",
    ]
    for setting in track(settings(), description="variants"):
        lines.append(row(setting, options.data_root))
    table = "\n".join(lines) + "\n"
    if options.out:
        options.out.write_text(table)
    else:
        print(f"\n{table}")


if __name__ == "__main__":
    main()
