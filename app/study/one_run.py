"""One run of a study: trained, and its best weights tested."""

import platform
from dataclasses import dataclass
from importlib.metadata import version
from time import perf_counter

import torch

from dropout_lab.app.console import ask_once_for_gpus, silence_lightning
from dropout_lab.app.errors import UserError
from dropout_lab.app.run.build import Parts, build
from dropout_lab.app.run.checkpoint import Weights, load_weights
from dropout_lab.app.study.folder import RunFiles, RunResult
from dropout_lab.app.study.grid import Run
from dropout_lab.callbacks import TrainingCollapsed


@dataclass(frozen=True)
class RunTask:
    """A run to be done.

    Attributes:
        run: what is asked.
        files: where it is written.
        panels: write right and wrong test images, too.
        command: that asks for it.
        tensorboard: write TensorBoard's events, too.
    """

    run: Run
    files: RunFiles
    panels: bool = False
    command: str = ""
    tensorboard: bool = False


def prepare(threads: int) -> None:
    """Make this process one that does runs.

    Args:
        threads: of torch.
    """
    torch.set_num_threads(threads)
    silence_lightning()
    ask_once_for_gpus()


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
        # Lightning takes up what it finds of a job of Slurm's that was preempted.
        trainer.fit(parts.model, datamodule=parts.data, weights_only=True)
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
    metrics = trainer.test(parts.model, datamodule=parts.data, verbose=False, weights_only=True)
    return {name: float(value) for name, value in metrics[0].items()} if metrics else {}
