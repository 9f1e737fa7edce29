"""Training in a run's folder, and the command ``fit``."""

import math
import platform
import sys
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from pytorch_lightning import Trainer
from pytorch_lightning.callbacks import EarlyStopping, Timer
from torch import Tensor

from dropout_lab.app.config.settings import Settings, run_name
from dropout_lab.app.console import print_line
from dropout_lab.app.errors import UserError
from dropout_lab.app.files import expand_home
from dropout_lab.app.run.autosave import Autosave
from dropout_lab.app.run.build import Parts
from dropout_lab.app.run.checkpoint import BestCheckpoint, StoredCheckpoint, check_can_continue
from dropout_lab.app.run.folder import RunFolder, make_run_folder, next_run_folder, without_split
from dropout_lab.app.run.history import EpochTable
from dropout_lab.app.run.messages import (
    print_ending,
    print_header,
    print_interrupted,
    print_result,
    print_stop,
)
from dropout_lab.app.run.processes import end_others
from dropout_lab.app.run.resume import ResumeRequest, Resumption, find_unfinished, lock_for_fit
from dropout_lab.app.run.signals import Interrupted, Interrupts
from dropout_lab.app.run.tensorboard import tensorboard_callbacks, tensorboard_logger
from dropout_lab.callbacks import BestStep, Timing, TrainingCollapsed
from dropout_lab.ground import naming

# In which other processes end that have saved what they had.
SAVED_S = 10.0


def train(autosave: Autosave, checkpoint: Path | None) -> dict[str, Any]:
    """Train in a folder that has its config; return the figures of ``result.json`` under ``fit``.

    A run that CollapseDetector stops ends well, as by EarlyStopping: its figures until then stand, with the reason
    beside them as ``stopped``. ``ended`` says of any run why it has ended, ``no_best`` why it has no ``best.ckpt``
    though it was validated. Interrupted is raised once what was trained is saved.
    """
    start = perf_counter()
    parts, folder = autosave.parts, autosave.folder
    trainer, best = parts.trainer, parts.best
    curves = autosave if parts.checkpoints else EpochTable(folder.epochs)
    if autosave.resumed is not None:
        best.resume(autosave.resumed.best)
        curves.resume(autosave.resumed.curves)
        if trainer.is_global_zero:
            curves.write()
    if parts.tensorboard:
        trainer.loggers = [tensorboard_logger(folder)]
        parts.callbacks.extend(tensorboard_callbacks(parts, resumed=autosave.resumed is not None))
    parts.callbacks.insert(0, curves)
    if parts.checkpoints:
        parts.callbacks.append(BestCheckpoint(folder.best, best))
    before = curves.seconds
    stopped = _run_trainer(parts, checkpoint)
    if trainer.global_step == 0 and stopped is None:
        raise UserError("nothing was trained: the limits of the trainer leave no batch")
    time = {"train_seconds": curves.train_seconds, "seconds": before + perf_counter() - start}
    for callback in parts.callbacks:
        if isinstance(callback, Timing):
            time |= callback.summary
    return {
        "epochs": trainer.current_epoch,
        "steps": trainer.global_step,
        "best_epoch": best.epoch,
        "best_step": best.step,
        "first_steps": {str(threshold): step for threshold, step in best.first_steps.items()},
        "data": parts.data.fingerprint,
        "chance": _commonest(parts.data.splits.test.labels),
        "stopped": stopped,
        "ended": stopped or why_ended(trainer),
        "no_best": None if stopped else why_no_best(trainer, best),
        "metrics": without_split(best.metrics, "val"),
        "time": time,
        "versions": {
            "python": platform.python_version(),
            "torch": str(torch.__version__),
            "pytorch_lightning": version("pytorch-lightning"),
        },
    }


def _commonest(labels: Tensor) -> float | None:
    """Return the share of the commonest class, which is reached without having learned; None without labels."""
    known = labels[labels >= 0]
    return int(known.bincount().max()) / len(known) if len(known) else None


def _run_trainer(parts: Parts, checkpoint: Path | None) -> str | None:
    """Train; return why CollapseDetector has stopped it, if it has."""
    # By build Lightning starts from what is here, and from nothing if that is None.
    connector = parts.trainer._checkpoint_connector
    try:
        connector._ckpt_path = checkpoint and str(checkpoint)
        parts.trainer.fit(parts.model, datamodule=parts.data, weights_only=True)
    except TrainingCollapsed as stop:
        return str(stop)
    finally:
        # Lightning does not where a fit is broken off: with a PyTorchProfiler that is still open a later fit in this
        # process ends with a segmentation fault.
        parts.trainer.profiler.teardown(stage="fit")  # type: ignore[attr-defined]
        # What is measured next is of the weights that are there.
        connector._ckpt_path = None
    return None


def why_ended(trainer: Trainer) -> str:
    """Return what has ended a fit, in words: its limits first, as Lightning looks at them."""
    if 0 <= trainer.max_steps <= trainer.global_step:
        return f"max_steps={trainer.max_steps} reached"
    if trainer.max_epochs is not None and 0 <= trainer.max_epochs <= trainer.current_epoch:
        return f"max_epochs={trainer.max_epochs} reached"
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, EarlyStopping) and callback.stopping_reason_message is not None:
            return f"EarlyStopping: {callback.stopping_reason_message.removesuffix(' Signaling Trainer to stop.')}"
        if isinstance(callback, Timer) and (left := callback.time_remaining()) is not None and left <= 0:
            return f"max_time reached, after {callback.time_elapsed():.0f} s of training"
    return "a callback has asked the trainer to stop"


def why_no_best(trainer: Trainer, best: BestStep) -> str | None:
    """Return why no validation of a fit was the best; None if one was, or there was none."""
    if best.step is not None or best.monitor not in trainer.callback_metrics:
        return None
    finite = math.isfinite(trainer.callback_metrics[best.monitor])
    return f"{'the weights were' if finite else f'{best.monitor} was'} not finite at any validation"


def fit(
    parts: Parts,
    runs: Path,
    name: str | None,
    stored: StoredCheckpoint | None,
    request: ResumeRequest | None,
    interrupts: Interrupts,
) -> None:
    """Train in a run folder, and write down what was reached.

    One that a signal interrupts is saved, and ends with 130 after Ctrl-C, 143 after SIGTERM; with ``--resume`` it goes
    on from there.

    Args:
        parts: of the run.
        runs: folder of all runs.
        name: of this one; None: ``data-network-dropout``.
        stored: checkpoint of another run that a new one continues.
        request: the run that is resumed; None begins a new one.
        interrupts: knows whether to stop.
    """
    config = {**parts.settings, "runs": str(runs), "name": name}
    place = expand_home(runs) / run_name({**parts.specification, "name": name})
    first = parts.trainer.is_global_zero
    found = None
    with ExitStack() as locks:
        if request is not None:
            found = find_unfinished(request, place, config, parts.data.fingerprint, locks if first else None)
            if found is None:
                print_line(f"no run {place} to go on with: a new one begins")
            elif found.finished:
                print_line(f"nothing to do: {found.folder.path} is finished")
                print_result(found.folder)
                return
            elif found.checkpoint is not None:
                stored = found.checkpoint
        begun = 0 if stored is None else check_can_continue(stored, parts.trainer, parts.model)
        checkpoint = stored and stored.file
        if parts.rehearsal:
            if stopped := _run_trainer(parts, checkpoint):
                print_line(stopped)
            return
        new = found is None
        start = found or Resumption(_new_folder(parts, place, config, locks))
        _fit(Autosave(parts, start, config, interrupts), start, checkpoint, begun, new)


def _fit(autosave: Autosave, start: Resumption, checkpoint: Path | None, begun: int, new: bool) -> None:
    folder, trainer = start.folder, autosave.parts.trainer
    try:
        if not new and trainer.is_global_zero:
            folder.write_config(autosave.settings)
            start.rewind()
        print_header(folder, autosave.parts, begun)
        with naming(folder.path):
            figures = train(autosave, checkpoint)
    except BaseException as error:
        kept = not new or any(folder.checkpoints.glob("*.ckpt"))
        # Without a checkpoint a new folder would only be in the way.
        if trainer.is_global_zero and not kept:
            folder.remove()
        if not isinstance(error, Interrupted):
            raise
        print_interrupted(error, folder if kept else None, trainer.global_step, autosave.saved_step)
        # Once a fit has begun they have saved with us, and end; before, they wait for us.
        end_others(trainer, SAVED_S if autosave.interrupts.deferred else 0.0)
        # Another process's code would make its launcher end the others before they have saved.
        sys.exit(error.code if trainer.is_global_zero else 0)
    if trainer.is_global_zero:
        # All is in the last one; once there is a result, nobody would come back to tidy up.
        folder.previous.unlink(missing_ok=True)
        folder.add_result("fit", figures)
        if figures["stopped"] is not None:
            print_stop(figures["stopped"], folder)
        print_ending(figures)
        print_result(folder)


def _new_folder(parts: Parts, place: Path, config: Settings, locks: ExitStack) -> RunFolder:
    if not parts.trainer.is_global_zero:
        # Only rank 0 writes.
        return next_run_folder(place.parent, place.name)
    folder = make_run_folder(place.parent, place.name)
    try:
        lock_for_fit(locks, folder)
        folder.write_config(config)
    except BaseException:
        folder.remove()
        raise
    return folder
