"""Where Lightning's loops go on: states in which nothing is half done.

Lightning notes its progress by counters that it raises one after another, and guesses from them where it was. These
functions leave it nothing to guess.
"""

import math
from typing import Any

from pytorch_lightning import Trainer
from torch.utils.data import DataLoader

from datamodules.epoch_order import EpochOrder

COUNTERS = ("ready", "started", "processed", "completed")


def between_epochs(loops: dict[str, Any]) -> None:
    """Make a fit's state, taken when an epoch was about to start, that of one whose last epoch has ended.

    Args:
        loops: the checkpoint's ``loops``; is changed.
    """
    _settle(loops["fit_loop"]["epoch_progress"])
    _settle(loops["fit_loop"]["epoch_loop.batch_progress"])


def within_epoch(loops: dict[str, Any]) -> None:
    """Make a fit's state, taken when a batch was about to start, that of one whose last batch has ended.

    Args:
        loops: the checkpoint's ``loops``; is changed.
    """
    batches = loops["fit_loop"]["epoch_loop.batch_progress"]
    _settle(batches)
    batches["is_last_batch"] = False


def can_leave(trainer: Trainer) -> bool:
    """Return whether a fit can go on from the batch that is about to start.

    It cannot where the loader has another sampler than an EpochOrder, where gradients of earlier batches wait for the
    optimizer, nor right after a validation in the midst of an epoch, which Lightning would do once more or leave out.
    """
    loader = trainer.train_dataloader
    if not (isinstance(loader, DataLoader) and isinstance(loader.sampler, EpochOrder)):
        return False
    loop = trainer.fit_loop.epoch_loop
    done = loop.batch_progress.current.completed
    if done % trainer.accumulate_grad_batches != 0:
        return False
    interval = trainer.val_check_batch
    if interval is None or interval == math.inf:
        return True
    counted = loop.total_batch_idx if trainer.check_val_every_n_epoch is None else done
    return counted % interval != 0


def restart_no_more(trainer: Trainer, epoch_too: bool) -> None:
    """Let Lightning take the epoch, or what is left of it, for one like any other.

    By its own property a fit that is limited by steps would restart at every one.

    Args:
        trainer: is training.
        epoch_too: the epoch starts at its beginning.
    """
    trainer.fit_loop._restarting = False
    if epoch_too:
        trainer.fit_loop.epoch_loop.restarting = False


def _settle(progress: dict[str, Any]) -> None:
    for part in (progress["total"], progress["current"]):
        part.update(dict.fromkeys(COUNTERS, part["completed"]))
