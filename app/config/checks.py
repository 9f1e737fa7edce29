"""What Lightning takes as it is given, and fails over or ignores later: numbers, monitors, callbacks, strategies."""

import math
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from joblib import cpu_count
from pytorch_lightning import Callback, Trainer
from pytorch_lightning.callbacks import (
    BackboneFinetuning,
    BaseFinetuning,
    BasePredictionWriter,
    BatchSizeFinder,
    EarlyStopping,
    LearningRateFinder,
    ModelCheckpoint,
    ModelPruning,
    SpikeDetection,
    StochasticWeightAveraging,
)
from pytorch_lightning.strategies import DDPStrategy, SingleDeviceStrategy
from pytorch_lightning.strategies.launchers import _MultiProcessingLauncher
from pytorch_lightning.utilities.model_helpers import is_overridden

from dropout_lab.app.config.settings import LOWER_IS_BETTER, Settings, leaves
from dropout_lab.app.errors import UserError
from dropout_lab.callbacks import BestStep
from dropout_lab.callbacks.tensorboard import Charted
from dropout_lab.models import ImageClassifier

# The least of each, and what it would be instead of something less.
LEAST: dict[str, tuple[int, str]] = {
    "accumulate_grad_batches": (1, "1 for a step of the optimizer each batch"),
    "check_val_every_n_epoch": (1, "1 for each epoch; --trainer.limit_val_batches 0 for no validation"),
    "gradient_clip_val": (0, "null for no clipping"),
    "log_every_n_steps": (0, "0 for no lines of steps"),
    "max_epochs": (-1, "-1 for no end by epochs"),
    "max_steps": (-1, "-1 for no end by steps"),
    "min_epochs": (0, "null for none"),
    "min_steps": (0, "null for none"),
    "num_sanity_val_steps": (-1, "0 for none, -1 for all"),
}

TIME = re.compile(r"\d+:\d\d:\d\d:\d\d")

# Processes that share cores only get in each other's way; a few are of use to try out what many will do.
MOST_PROCESSES = 8

# Lightning's callbacks with which a run would not be what it says, and what to do instead.
REFUSED: dict[type[Callback], str] = {
    BatchSizeFinder: "trains with another batch size than the settings name, by which a run is resumed and compared; "
    "try some with --trainer.fast_dev_run 3, and give data.batch_size",
    LearningRateFinder: "trains with another rate than the settings name, by which a run is resumed and compared; give "
    "model.optimizer.lr, or compare several in the grid of a study",
    StochasticWeightAveraging: "puts its averages into the network after the last validation, so that they are in no "
    "best.ckpt; take WeightAveraging or EMAWeightAveraging, whose averages are those that are validated",
    ModelPruning: "keeps its masks out of checkpoints, so that a run that is resumed would train pruned weights again; "
    "prune the weights of best.ckpt after the fit, with torch.nn.utils.prune",
    SpikeDetection: "cannot be resumed, as Lightning cannot load its state; take CollapseDetector, which stops a run "
    "whose loss is not finite, or EarlyStopping with divergence_threshold",
    BackboneFinetuning: "needs a model with an attribute backbone, which this one has not; name a BaseFinetuning of "
    "your own that freezes parts of pl_module.network",
}
# Those that are only there to be inherited from.
BASES = (BaseFinetuning, BasePredictionWriter)

# In the names of strategies and profilers that Lightning makes for TPUs, or fails over without them.
TPU = ("tpu", "xla")

# Strategies whose processes are children that keep what a run has come to for themselves.
CHILDREN = ("spawn", "fork", "notebook")


# PyTorch's and NumPy's; what a whole number may be that torch or the system take.
LARGEST_SEED = 2**32 - 1
LARGEST_NUMBER = 2**63 - 1


def check_seed(settings: Settings) -> None:
    """Check that the seed is one that NumPy takes too."""
    seed = settings.get("seed_everything")
    if isinstance(seed, int) and not 0 <= seed <= LARGEST_SEED:
        raise UserError(
            f"seed_everything must be a whole number from 0 to {LARGEST_SEED}, or false for none, got {seed}"
        )


def check_numbers(settings: Settings) -> None:
    """Check that every number is finite, and within what torch can take.

    What makes the parts has better words for most of those that are not, and is asked first.
    """
    for path, value in leaves(settings):
        if isinstance(value, int) and abs(value) > LARGEST_NUMBER:
            raise UserError(f"{_option(path)} must be a number below 2^63, got {_short(value)}")
        if isinstance(value, float) and not math.isfinite(value):
            raise UserError(
                f"{_option(path)} must be a finite number, got {value}; give one, or leave it out"
            )


def _option(path: str) -> str:
    return path.replace(".init_args", "")


def _short(value: int) -> str:
    # Python writes no whole numbers of more than 4,300 digits.
    return (
        str(value) if value.bit_length() < 200 else f"one of some {value.bit_length() * 0.30103:.0f} digits"
    )


def check_trainer_options(trainer: Any) -> None:
    """Check the numbers among the trainer's arguments, which are attributes by their names."""
    for name, (least, remedy) in LEAST.items():
        value = getattr(trainer, name)
        if value is not None and not least <= value < math.inf:
            raise UserError(f"trainer.{name} must be {least} or more, got {value}; give {remedy}")
    for name in ("max_epochs", "max_steps"):
        if getattr(trainer, name) == 0:
            raise UserError(
                f"trainer.{name} must be 1 or more, or -1 for {LEAST[name][1][7:]}, got 0: nothing is trained"
            )
    if isinstance(trainer.max_time, Mapping | timedelta):
        try:
            longest = (
                trainer.max_time if isinstance(trainer.max_time, timedelta) else timedelta(**trainer.max_time)
            )
        except (OverflowError, TypeError) as error:
            raise UserError(
                f"trainer.max_time must be DD:HH:MM:SS or days, hours, minutes and seconds, got {trainer.max_time} "
                f"({error})"
            ) from error
        if longest <= timedelta(0):
            raise UserError(
                f"trainer.max_time must be above 0, got {trainer.max_time}; leave it out for no limit"
            )
    elif trainer.max_time is not None and not TIME.fullmatch(trainer.max_time):
        raise UserError(f"trainer.max_time must be DD:HH:MM:SS, as 00:08:00:00, got {trainer.max_time!r}")
    interval = trainer.val_check_interval
    if isinstance(interval, int | float) and not 0 < interval < math.inf:
        raise UserError(
            f"trainer.val_check_interval must be above 0, got {interval}; give a number of batches, a share of an "
            "epoch in (0, 1], or --trainer.limit_val_batches 0 for no validation"
        )
    for name, other in (("strategy", "ddp"), ("profiler", "PyTorchProfiler")):
        given = getattr(trainer, name)
        part = getattr(given, "class_path", given)
        if any(word in str(part).lower() for word in TPU):
            raise UserError(
                f"trainer.{name}: {part} is for TPUs, on which nothing here was tried; take {other}, or leave it out"
            )
    devices, most = str(trainer.devices), max(cpu_count(), MOST_PROCESSES)
    possible = devices == "auto" or (devices.isdecimal() and 1 <= int(devices) <= most)
    if trainer.accelerator == "cpu" and not possible:
        raise UserError(
            f"trainer.devices must be a number of processes from 1 to {most} on the CPU, got {trainer.devices!r}; "
            "give 1, or auto"
        )


def check_monitors(trainer: Trainer, model: ImageClassifier, made: Any) -> None:
    """Check that callbacks and the scheduler watch metrics of the model's, or curves that others draw.

    Lightning asks after an epoch. ``made`` is what the model gives it, an optimizer alone or with a scheduler.
    """
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
    charts = [each.charts for each in callbacks if isinstance(each, Charted)]
    drawn = [tag for chart in charts for tags in chart.values() for tag in tags]
    known = [*map(re.escape, model.logged_metrics()), *drawn]
    watched = [
        (type(each).__name__, each.monitor, "max" if isinstance(each, BestStep) else each.mode)
        for each in callbacks
        if isinstance(each, EarlyStopping | ModelCheckpoint | BestStep)
    ]
    if isinstance(made, dict) and (monitor := made["lr_scheduler"].get("monitor")):
        watched.append(("model.scheduler", monitor, made["lr_scheduler"]["scheduler"].mode))
    for watcher, monitor, mode in watched:
        if monitor is None:
            continue
        if not any(re.fullmatch(tag, monitor) for tag in known):
            raise UserError(
                f"{watcher} watches {monitor!r}, which is not logged; "
                f"there are {', '.join([*model.logged_metrics(), *drawn])}"
            )
        # Of curves that others draw nobody knows. Lightning and torch take the lowest for the best by default, and
        # would stop a fit because its accuracy rises.
        better = "min" if monitor.rpartition("/")[2] in LOWER_IS_BETTER else "max"
        if monitor in model.logged_metrics() and mode != better:
            raise UserError(
                f"{watcher} watches {monitor!r} with mode {mode!r}, and it is better the "
                f"{'lower' if better == 'min' else 'higher'} it is; give mode: {better}"
            )
        # A fit without validation has no best step, and needs none.
        if monitor.startswith("val/") and trainer.limit_val_batches == 0 and watcher != BestStep.__name__:
            raise UserError(
                f"{watcher} watches {monitor!r}, and by trainer.limit_val_batches=0 there is no validation; watch "
                "train/loss, or leave it out"
            )


def check_callbacks(kinds: list[type[Callback]]) -> None:
    """Check that no callback would train something else than what the settings say, or could not be resumed."""
    for each in kinds:
        name = f"trainer.callbacks: {each.__name__}"
        if each in BASES:
            raise UserError(
                f"{name} is a base class, and does nothing by itself; name a subclass of your own"
            )
        for kind, reason in REFUSED.items():
            if issubclass(each, kind):
                raise UserError(f"{name} {reason}")


def check_strategy(trainer: Trainer) -> None:
    """Check that weights are whole in each process, and that what a run has come to is known to the first of them."""
    strategy = trainer.strategy
    name = type(strategy).__name__
    if not isinstance(strategy, SingleDeviceStrategy | DDPStrategy):
        raise UserError(
            f"trainer.strategy: {name} shards the weights, of which no checkpoint here could be resumed; take ddp, for "
            "every network here fits on one device"
        )
    if isinstance(strategy.launcher, _MultiProcessingLauncher):
        method = strategy.launcher._start_method
        raise UserError(
            f"trainer.strategy: {name} that starts its processes by {method} keeps from the command what a run has "
            "come to; take ddp, whose processes are commands of their own (from a notebook: `!dropout-lab fit …`)"
        )


def check_state_keys(callbacks: list[Callback]) -> None:
    """Check that no two callbacks would share a state in checkpoints, which Lightning refuses with a traceback."""
    keys = [each.state_key for each in callbacks if is_overridden("state_dict", each, parent=Callback)]
    if twice := next((key for key in keys if keys.count(key) > 1), None):
        raise UserError(f"trainer.callbacks has {twice} twice, perhaps by two config files: leave one out")


def best_step(trainer: Trainer, monitor: str | None) -> BestStep:
    """Return the user's :class:`BestStep`, or a new one that joins the callbacks.

    The metric that says what is best is ``monitor``, or that of the user's BestStep; both may leave it to the other.
    """
    if monitor in {f"val/{name}" for name in LOWER_IS_BETTER}:
        raise UserError(f"monitor must be a metric that is better the higher it is, got {monitor!r}")
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
    theirs = [callback for callback in callbacks if isinstance(callback, BestStep)]
    if len(theirs) > 1:
        raise UserError(
            f"there is one best.ckpt and so one BestStep, got {len(theirs)} in trainer.callbacks; it takes several "
            "thresholds"
        )
    if not theirs:
        ours = BestStep(monitor)
        callbacks.append(ours)
        return ours
    (best,) = theirs
    if monitor is not None and not best.chosen:
        best.watch(monitor)
    if monitor not in (None, best.monitor):
        raise UserError(
            f"monitor is {monitor!r}, and BestStep watches {best.monitor!r}: name the same, or leave it to "
            "BestStep with --monitor null"
        )
    return best


def check_study_trainer(settings: Settings) -> None:
    """Check that a run can be a part of a study: it is on one machine, and its processes tell what it comes to."""
    trainer = settings.get("trainer") or {}
    if trainer.get("num_nodes", 1) not in (1, "1"):
        raise UserError(
            f"trainer.num_nodes: a run of a study is on one machine, got {trainer['num_nodes']}; "
            "--engine ray spreads runs over machines, and `fit --config` trains this one on several"
        )
    strategy = str(trainer.get("strategy"))
    if any(word in strategy for word in CHILDREN):
        raise UserError(
            f"trainer.strategy: a run of a study needs processes of its own, got {strategy}; take ddp"
        )
