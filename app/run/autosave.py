"""Saves what a run needs to be resumed, and stops it where it is asked to."""

import math
from contextlib import suppress
from dataclasses import asdict
from time import monotonic
from typing import Any, final

import torch
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import GradientAccumulationScheduler
from torch import distributed
from torch.utils.data import DataLoader

from dropout_lab.app.run.build import Parts
from dropout_lab.app.run.checkpoint import SETTINGS, keep_previous
from dropout_lab.app.run.history import EpochTable
from dropout_lab.app.run.resume import ENTRY, Moment, Resumption, RunState
from dropout_lab.app.run.signals import Interrupted, Interrupts
from dropout_lab.app.run.tensorboard import written_events
from dropout_lab.callbacks import TrainingCollapsed
from dropout_lab.callbacks.ranks import gathered
from dropout_lab.datamodules.sampling import EpochOrder

COUNTERS = ("ready", "started", "processed", "completed")


def settle(loops: dict[str, Any], moment: Moment) -> None:
    """Make a checkpoint's state of the loops that of a fit whose last epoch, or batch, has ended.

    It was taken when the next was about to start.
    """
    batches = loops["fit_loop"]["epoch_loop.batch_progress"]
    if moment == "within an epoch":
        batches["is_last_batch"] = False
        parts = [batches]
    else:
        parts = [batches, loops["fit_loop"]["epoch_progress"]]
    for progress in (part[which] for part in parts for which in ("total", "current")):
        progress.update(dict.fromkeys(COUNTERS, progress["completed"]))


def can_leave(trainer: Trainer) -> bool:
    """Return whether a fit can be resumed from the batch that is about to start.

    It cannot where the loader has another sampler than an EpochOrder, where gradients of earlier batches wait for the
    optimizer, nor right after a validation in the midst of an epoch, which Lightning would do once more or leave out;
    nor before an epoch's last batch where that is smaller than those that callbacks have seen.
    """
    loader, loop = trainer.train_dataloader, trainer.fit_loop.epoch_loop
    if not (isinstance(loader, DataLoader) and isinstance(loader.sampler, EpochOrder)):
        return False
    done = loop.batch_progress.current.completed
    if done % trainer.accumulate_grad_batches != 0:
        return False
    # Of the samples of all: each process must come to the same answer, and some may have a smaller batch than others.
    whole = (loader.batch_size or 1) * loader.sampler.num_replicas
    if done + 1 == len(loader) and loader.sampler.total_size % whole != 0:
        return False
    interval = trainer.val_check_batch
    counted = loop.total_batch_idx if trainer.check_val_every_n_epoch is None else done
    return interval in (None, math.inf) or counted % interval != 0


def end_restart(trainer: Trainer, epoch_too: bool) -> None:
    """Let Lightning take what is left of an epoch, or one from its beginning too, for one like any other."""
    # By its own property a fit that is limited by steps would restart at every one.
    trainer.fit_loop._restarting = False
    if epoch_too:
        trainer.fit_loop.epoch_loop.restarting = False


# Within an epoch; at its end there is a checkpoint anyway.
EVERY_S = 600.0
# Of a run of a study, by which alone it is saved: most of those are over before.
STUDY_EVERY_S = 60.0


@final
class Autosave(EpochTable):
    """Writes ``last.ckpt`` between epochs, every ten minutes within one, when a signal asks to stop, and at the end.

    It is the first of the callbacks, so that nothing of the epoch or batch that follows has begun: a fit that is
    resumed from there does what it would have done. The checkpoint before is kept as ``previous.ckpt``. It is the
    run's curves too, since each callback in the trainer's list costs 13 µs a step.

    Args:
        parts: of the run.
        start: from where it is resumed, in whose folder it is saved.
        settings: as in the run's config.
        interrupts: knows whether to stop.
        sparing: save every minute and when a signal asks to stop, but neither at each epoch nor at the end.
    """

    def __init__(
        self,
        parts: Parts,
        start: Resumption,
        settings: dict[str, Any],
        interrupts: Interrupts,
        sparing: bool = False,
    ) -> None:
        super().__init__(start.folder.epochs)
        self.parts = parts
        self.folder = start.folder
        self.resumed = start.state
        self.settings = settings
        self.interrupts = interrupts
        self.sparing = sparing
        # Of the newest checkpoint; 0 before the first.
        self.saved_step = start.step
        self._keeps_last = not start.damaged
        # What for a checkpoint is being written; None if it is somebody else's.
        self._moment: Moment | None = None
        self._saved_at = monotonic()

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # Where all that was missing was the result.
        if self.resumed is not None and self.resumed.moment == "at the end":
            trainer.should_stop = True

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        super().on_train_start(trainer, pl_module)
        self.interrupts.defer()
        self._saved_at = monotonic()
        if self.resumed is None:
            return
        # What Lightning does not take up.
        trainer._logger_connector._callback_metrics.update(self.resumed.logged)
        if self.resumed.moment != "within an epoch":
            end_restart(trainer, epoch_too=True)
        elif len(self.resumed.train_metrics) == trainer.world_size:
            self.parts.model.train_metrics.resume(
                self.resumed.train_metrics[trainer.global_rank], pl_module.device
            )

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        super().on_train_epoch_start(trainer, pl_module)
        asked, due = self._agreed(trainer)
        if trainer.global_step > self.saved_step and (asked or due or not self.sparing):
            self._save(trainer, "between epochs")
        if asked:
            raise Interrupted(asked)

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        # Lightning would leave out schedulers at the epoch's end.
        if trainer.fit_loop.restarting:
            end_restart(trainer, epoch_too=False)
            # Lightning calls no on_train_epoch_start where an epoch goes on.
            for callback in trainer.callbacks:  # type: ignore[attr-defined]
                if isinstance(callback, GradientAccumulationScheduler):
                    callback.on_train_epoch_start(trainer)
        if batch_idx == 0:
            return
        asked, due = self._agreed(trainer)
        if (asked or due) and can_leave(trainer):
            # A network that is lost is not saved. That it is, is said where it would be without a signal: a fit that
            # goes on from the checkpoint before comes there again.
            with suppress(TrainingCollapsed):
                self._save(trainer, "within an epoch")
            if asked:
                raise Interrupted(asked)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        super().on_train_end(trainer, pl_module)
        if not self.sparing:
            # What the result is made of.
            self._save(trainer, "at the end")

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        checkpoint[SETTINGS] = self.settings
        if self._moment is None:
            return
        settle(checkpoint["loops"], self._moment)
        state = RunState(
            moment=self._moment,
            best=self.parts.best.progress(),
            curves=self.progress(pl_module.device),
            events=written_events(trainer, self.folder.path) if trainer.is_global_zero else {},
            train_metrics=gathered(self.parts.model.train_metrics.progress()),
            logged={name: value.cpu() for name, value in trainer.callback_metrics.items()},
            settings=self.settings,
            fingerprint=self.parts.data.fingerprint,
            torch=str(torch.__version__),
        )
        checkpoint[ENTRY] = asdict(state)

    def _agreed(self, trainer: Trainer) -> tuple[int, bool]:
        """Return the signal that asks to stop, 0 for none, and whether it is time to save: the same on all ranks."""
        every = STUDY_EVERY_S if self.sparing else EVERY_S
        asked, due = self.interrupts.asked, monotonic() - self._saved_at > every
        if trainer.world_size > 1:
            highest = torch.tensor([asked, due], device=trainer.strategy.root_device)
            distributed.all_reduce(highest, distributed.ReduceOp.MAX)
            asked, due = highest.tolist()
        return asked, bool(due)

    def _save(self, trainer: Trainer, moment: Moment) -> None:
        if trainer.is_global_zero and self._keeps_last:
            keep_previous(self.folder.last, self.folder.previous)
        self._moment = moment
        try:
            trainer.save_checkpoint(self.folder.last, weights_only=False)
        finally:
            self._moment = None
        self._keeps_last = True
        self.saved_step = trainer.global_step
        self._saved_at = monotonic()
