"""One run, from settings to result; and the process that does one after another."""

import os
import platform
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from importlib.metadata import version
from multiprocessing import connection, parent_process
from pathlib import Path
from threading import Thread
from time import perf_counter

import torch

from app.checkpoints import Weights, load_weights
from app.console import silence_lightning
from app.errors import UserError
from app.study.building import Parts, build
from app.study.folders import RunFiles, RunIsLocked, RunResult
from app.study.grid import Run
from callbacks import TrainingCollapsed


@dataclass(frozen=True)
class RunTask:
    """A run to be done.

    Attributes:
        run: what is asked.
        files: where it is written.
        wait: for another process that is at it; otherwise say that it is busy.
        panels: write right and wrong test images, too.
        command: that asks for it.
    """

    run: Run
    files: RunFiles
    wait: bool = False
    panels: bool = False
    command: str = ""


@dataclass(frozen=True)
class Started:
    """A run has begun."""


@dataclass(frozen=True)
class Busy:
    """Another process is at the run."""


@dataclass(frozen=True)
class Failed:
    """A run has failed.

    Attributes:
        reason: in one line.
    """

    reason: str


Event = Started | Busy | Failed | RunResult
"""What a worker tells of a run."""


def run_one(task: RunTask) -> RunResult:
    """Train, take the weights that were best in validation, test them; the files but the result are written.

    Nothing of it depends on what this process has done before: the run is seeded as ``fit --seed_everything`` does.

    Raises:
        UserError: the settings are wrong, or nothing was trained.
    """
    run, start = task.run, perf_counter()
    parts = build(run.settings, task.files.epochs, task.files.panels if task.panels else None)
    trainer = parts.trainer
    stopped = None
    try:
        trainer.fit(parts.model, datamodule=parts.data)
    except TrainingCollapsed as stop:
        stopped = str(stop)
    steps, epochs = trainer.global_step, trainer.current_epoch
    if steps == 0 and stopped is None:
        raise UserError("nothing was trained: the limits of the trainer leave no batch")
    metrics = {**parts.best.metrics, **_tested(parts, stopped)}
    return RunResult(
        labels=run.labels,
        seed=run.seed,
        hash=run.hash,
        metrics=metrics,
        best_epoch=parts.best.epoch,
        best_step=parts.best.step,
        first_steps={str(threshold): step for threshold, step in parts.best.first_steps.items()},
        steps=steps,
        epochs=epochs,
        train_seconds=parts.table.train_seconds,
        seconds=perf_counter() - start,
        stopped=stopped,
        versions={
            "python": platform.python_version(),
            "torch": torch.__version__,
            "pytorch_lightning": version("pytorch-lightning"),
        },
    )


def _tested(parts: Parts, stopped: str | None) -> dict[str, float]:
    """Test the best weights, or without validation the last; a run that collapsed before its first has none."""
    trainer, best = parts.trainer, parts.weights
    if best.state:
        load_weights(Weights(best.state, best.step, best.callbacks), trainer, parts.model)
    elif stopped is not None:
        return {}
    metrics = trainer.test(parts.model, datamodule=parts.data, verbose=False)
    return {name: float(value) for name, value in metrics[0].items()} if metrics else {}


def serve(events: "connection.Connection[Event, RunTask]", threads: int) -> None:
    """Do runs until the other end is closed; the body of a worker process.

    Args:
        events: tasks come in, events go out.
        threads: of torch.
    """
    # Ctrl-C is the driver's to answer.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_die_with_parent, daemon=True).start()
    prepare(threads)
    while True:
        try:
            task = events.recv()
        except EOFError:
            return
        for event in do(task):
            events.send(event)


def prepare(threads: int) -> None:
    """Make this process one that does runs.

    Args:
        threads: of torch.
    """
    torch.set_num_threads(threads)
    silence_lightning()


def do(task: RunTask) -> Iterator[Event]:
    """Do a run, whatever happens in it, and tell of it; its log has all that is printed meanwhile."""
    try:
        with task.files.locked(task.wait), printing_to(task.files.log):
            # Another process may have ended it since the task was given.
            if (result := task.files.result()) is not None:
                yield result
                return
            task.files.begin(task.run, task.command)
            yield Started()
            yield _survived(task)
    except RunIsLocked:
        yield Busy()


def _survived(task: RunTask) -> RunResult | Failed:
    try:
        result = run_one(task)
    except Exception as error:
        # Whatever it is, the others go on; the log has it all.
        traceback.print_exc()
        first = next(iter(str(error).splitlines()), "")
        failed = Failed(first if isinstance(error, UserError) else f"{type(error).__name__}: {first}")
        task.files.fail(failed.reason)
        return failed
    task.files.end(result)
    return result


@contextmanager
def printing_to(file: Path) -> Iterator[None]:
    """Let this process's stdout and stderr, and those of what it starts, go to a file."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = os.dup(1), os.dup(2)
    try:
        # By lines, so that a process that is killed has said what it said.
        with file.open("w", buffering=1) as log, redirect_stdout(log), redirect_stderr(log):
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
            yield
    finally:
        for number, old in enumerate(kept, start=1):
            os.dup2(old, number)
            os.close(old)


def _die_with_parent() -> None:
    parent = parent_process()
    assert parent is not None, "serve is the body of a process that was started by another"
    connection.wait([parent.sentinel])
    os._exit(1)
