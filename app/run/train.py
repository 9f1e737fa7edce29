"""The command ``fit``, once data, model and trainer stand."""

import sys
from pathlib import Path

import yaml
from pytorch_lightning import Callback
from pytorch_lightning.strategies.launchers import _SubprocessScriptLauncher

from dropout_lab.app.config.checks import best_step, check_monitors
from dropout_lab.app.config.settings import run_name
from dropout_lab.app.console import print_line
from dropout_lab.app.errors import UserError
from dropout_lab.app.files import naming, whole_file
from dropout_lab.app.run.autosave import Autosave
from dropout_lab.app.run.build import Session
from dropout_lab.app.run.checkpoint import BestCheckpoint, read_weights
from dropout_lab.app.run.folder import (
    RunFolder,
    make_run_folder,
    next_run_folder,
    without_split,
)
from dropout_lab.app.run.messages import print_header, print_interrupted, print_result, print_stop
from dropout_lab.app.run.resume import GoingOn, ResumeRequest, RunLock, find_unfinished, take_back
from dropout_lab.app.run.signals import Interrupted, Interrupts
from dropout_lab.app.run.tensorboard import tensorboard_callbacks, tensorboard_logger
from dropout_lab.callbacks import BestStep, Timing, TrainingCollapsed


def fit(session: Session, ckpt_path: str | None, request: ResumeRequest | None) -> None:
    """Train in a run folder, and write down what was reached.

    A run that CollapseDetector stops ends well, as by EarlyStopping: its figures until then stand, with the reason
    beside them as ``stopped``, and the exit code is 0. One that a signal interrupts is saved, and ends with 130 after
    Ctrl-C, 143 after SIGTERM; with ``--resume`` it goes on from there.

    Args:
        session: what to work with.
        ckpt_path: checkpoint of another run that a new one continues.
        request: the run that goes on; None begins a new one.
    """
    with RunLock() as lock:
        _fit_or_rehearse(session, ckpt_path, request, lock)


def _fit_or_rehearse(
    session: Session, ckpt_path: str | None, request: ResumeRequest | None, lock: RunLock
) -> None:
    trainer, writes = session.trainer, session.writes
    best = best_step(trainer, session.specification["monitor"])
    check_monitors(trainer, session.model)
    # Bad settings of the optimizer are found here, before there is a folder.
    session.model.configure_optimizers()
    session.data.setup()
    going_on = None
    if request is not None:
        root, name = _place(session)
        going_on = find_unfinished(
            request,
            root,
            name,
            session.config,
            session.data.fingerprint,
            lock if trainer.is_global_zero else None,
        )
        if going_on is None:
            print_line(f"no run {root / name} to go on with: a new one begins")
        elif going_on.finished:
            print_line(f"nothing to do: {going_on.folder.path} is finished")
            print_result(going_on.folder)
            return
        elif going_on.checkpoint is not None:
            ckpt_path = str(going_on.checkpoint)
    begun = 0 if ckpt_path is None else read_weights(ckpt_path, session.model, to_continue=trainer).step
    with Interrupts() as interrupts:
        if writes.nothing:
            if stop := _train(session, ckpt_path):
                print_line(str(stop))
            return
        _fit(session, best, ckpt_path, begun, going_on, interrupts, lock)


def _fit(
    session: Session,
    best: BestStep,
    ckpt_path: str | None,
    begun: int,
    going_on: GoingOn | None,
    interrupts: Interrupts,
    lock: RunLock,
) -> None:
    trainer = session.trainer
    folder = _new_folder(session, lock) if going_on is None else going_on.folder
    state = None if going_on is None else going_on.state
    damaged = going_on is not None and going_on.damaged
    autosave = Autosave(
        folder,
        best,
        interrupts,
        yaml.safe_load(session.config),
        session.data.fingerprint,
        state,
        0 if state is None else begun,
        damaged,
    )
    try:
        if going_on is not None and trainer.is_global_zero:
            _write_config(session, folder)
            take_back(going_on)
        _add_callbacks(session, folder, best, autosave)
        print_header(folder, session.model, session.data, trainer, begun)
        with naming(folder.path):
            stop = _train(session, ckpt_path)
        if trainer.global_step == 0 and stop is None:
            raise UserError("nothing was trained: the limits of the trainer leave no batch")
    except BaseException as error:
        kept = going_on is not None or any(folder.checkpoints.glob("*.ckpt"))
        # Without a checkpoint a new folder would only be in the way.
        if trainer.is_global_zero and not kept:
            folder.remove()
        if not isinstance(error, Interrupted):
            raise
        print_interrupted(error, folder if kept else None, trainer.global_step, autosave.saved_step)
        launcher = trainer.strategy.launcher
        if isinstance(launcher, _SubprocessScriptLauncher):
            # They have saved with us, or wait for us to begin.
            launcher.kill(error.signal)
        # Another process's code would make its launcher end the others before they have saved.
        sys.exit(error.code if trainer.is_global_zero else 0)
    if trainer.is_global_zero:
        _write_result(session, folder, best, stop)


def _add_callbacks(session: Session, folder: RunFolder, best: BestStep, autosave: Autosave) -> None:
    if autosave.resumed is not None:
        best.go_on(autosave.resumed.best)
    if session.writes.tensorboard:
        session.trainer.loggers = [tensorboard_logger(folder)]
        written = autosave.resumed is not None
        pages = tensorboard_callbacks(session.specification, best, session.model, session.data, written)
        session.add_callbacks(*pages)
    if session.writes.checkpoints:
        callbacks: list[Callback] = session.trainer.callbacks  # type: ignore[attr-defined]
        callbacks.insert(0, autosave)
        callbacks.append(BestCheckpoint(folder, best))


def _train(session: Session, ckpt_path: str | None) -> TrainingCollapsed | None:
    """Train; return why it was stopped, if it was."""
    try:
        session.trainer.fit(session.model, datamodule=session.data, ckpt_path=ckpt_path, weights_only=True)
    except TrainingCollapsed as stop:
        return stop
    return None


def _write_result(
    session: Session, folder: RunFolder, best: BestStep, stop: TrainingCollapsed | None
) -> None:
    figures = {
        "epochs": session.trainer.current_epoch,
        "steps": session.trainer.global_step,
        "best_epoch": best.epoch,
        "best_step": best.step,
        "first_steps": best.first_steps,
        "data": session.data.fingerprint,
        "stopped": None if stop is None else str(stop),
        "metrics": without_split(best.metrics),
    }
    for callback in session.trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, Timing):
            figures["time"] = callback.summary
    folder.add_result("fit", figures)
    # Of a run that has ended nothing can be lost.
    folder.previous.unlink(missing_ok=True)
    if stop is not None:
        print_stop(str(stop), folder)
    print_result(folder)


def _place(session: Session) -> tuple[Path, str]:
    return Path(session.specification["runs"]).expanduser(), run_name(session.specification)


def _new_folder(session: Session, lock: RunLock) -> RunFolder:
    root, name = _place(session)
    if not session.trainer.is_global_zero:
        # Only rank 0 writes.
        return next_run_folder(root, name)
    folder = make_run_folder(root, name)
    try:
        lock.take(folder)
        _write_config(session, folder)
    except BaseException:
        folder.remove()
        raise
    return folder


def _write_config(session: Session, folder: RunFolder) -> None:
    config = yaml.safe_load(session.config)
    # What was continued from is no setting: whoever takes up this config starts afresh.
    for answered in ("ckpt_path", "run", "resume", "force"):
        config.pop(answered)
    with whole_file(folder.config) as stream:
        yaml.safe_dump(config, stream, sort_keys=False)
