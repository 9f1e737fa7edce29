"""What a command prints: a header, progress, a table."""

import logging
import os
import warnings
from typing import Any, final

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.callbacks import RichProgressBar
from pytorch_lightning.utilities import rank_zero_only

from dropout_lab.app.terminal import Terminal
from dropout_lab.callbacks import EpochLines
from dropout_lab.models import ImageClassifier

console = Terminal()
if not console.is_terminal:
    # A path in a log is one word, a row of a table one line, however long.
    console.width = 10_000

# Redrawing the bar at every step costs as much as a small network's step.
REFRESH_STEPS = 20


def silence_lightning() -> None:
    """Keep Lightning's notes on devices, seeds and tips out of the terminal; warnings of use to a user stay."""
    # https://github.com/Lightning-AI/pytorch-lightning/issues/21326
    warnings.filterwarnings("ignore", message=r".*isinstance\(treespec, LeafSpec\).* is deprecated")
    # Metrics of an epoch are logged whatever the interval.
    warnings.filterwarnings("ignore", message=".*smaller than the logging interval")
    # A whole batch is one gather in memory: more workers make it slower, not faster.
    warnings.filterwarnings("ignore", message=".*does not have many workers")
    for name in ("pytorch_lightning.utilities.rank_zero", "lightning_fabric.utilities.rank_zero"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("lightning_fabric.utilities.seed").setLevel(logging.WARNING)


def ask_once_for_gpus() -> None:
    """Let PyTorch take no for an answer on a machine without a GPU.

    Lightning has it look for the driver's library without starting the driver, which processes that fork need; every
    step of an optimizer asks, and where there is no such library the search takes 40 µs.
    """
    if torch.cuda.device_count() == 0:
        os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "0"


@final
class StepBar(RichProgressBar):
    """A bar with the latest loss of a step."""

    def get_metrics(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, Any]:
        """Return what is shown beside the bar."""
        assert isinstance(pl_module, ImageClassifier), "the only module of this application"
        return {**super().get_metrics(trainer, pl_module), **pl_module.steps.latest}


def progress_callback() -> Callback:
    """Make a bar for a terminal, a line an epoch for a log."""
    if console.is_terminal:
        return StepBar(refresh_rate=REFRESH_STEPS, leave=False)
    return EpochLines(console)


@rank_zero_only
def print_line(text: str) -> None:
    """Print a line as it is."""
    console.print(text, highlight=False, soft_wrap=True, markup=False)
