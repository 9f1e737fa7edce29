"""What fits a network, found by building it and by a few steps of a real fit, and how long these take."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any, final

import torch
from pytorch_lightning import Callback, LightningModule, Trainer

from dropout_lab.app.config.settings import merge
from dropout_lab.app.errors import UserError, remedy
from dropout_lab.app.run.build import Parts
from dropout_lab.app.study.grid import Run
from dropout_lab.app.study.one_run import build_run
from dropout_lab.callbacks import TrainingCollapsed
from dropout_lab.callbacks.timing import seconds
from dropout_lab.datamodules import ImageDataModule
from dropout_lab.models.dropout.base import CountDropout

# A pass forward alone takes about a third of a step, which goes back too.
FORWARD = 1 / 3


@dataclass(frozen=True)
class Costs:
    """What a run of a candidate takes, in seconds, on one worker."""

    step: float
    epoch: float  # with its validation
    around: float  # building, and the test

    def of(self, epochs: float) -> float:
        """Return the seconds of a run of so many epochs."""
        return self.around + epochs * self.epoch


@dataclass(frozen=True)
class Misfit:
    """A candidate that cannot be in this network, and why, in a line."""

    run: Run
    reason: str


class EnoughError(Exception):
    """Enough of a fit was seen."""


@final
class StepClock(Callback):
    """Ends a fit once it has lasted so long, at one step at least, and knows how long its parts took."""

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self.begins: list[list[float]] = []  # of each epoch that was begun, those of its steps
        self.last = 0.0  # end of the newest step

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.begins.append([])

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        self.begins[-1].append(seconds(pl_module.device))

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        self.last = seconds(pl_module.device)
        self._look()

    def on_validation_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        if self.begins:
            self._look()

    def _look(self) -> None:
        if perf_counter() - self.begins[0][0] > self.limit:
            raise EnoughError

    @property
    def step(self) -> float:
        """The median time from the beginning of a step to that of the next."""
        found = [after - before for epoch in self.begins for before, after in pairwise(epoch)]
        return median(found) if found else self.last - self.begins[-1][-1]

    @property
    def epoch(self) -> float | None:
        """The median time of whole epochs, validation and all; None where there was none."""
        starts = [epoch[0] for epoch in self.begins if epoch]
        return median(after - before for before, after in pairwise(starts)) if len(starts) > 1 else None


def try_out(run: Run, limit: float) -> Costs:
    """Begin a run on one device, and end it after ``limit`` seconds; nothing of it stays.

    Raises:
        UserError: the candidate cannot be built, or not be trained.
    """
    start = perf_counter()
    clock = StepClock(limit)
    with TemporaryDirectory() as folder:
        trainer = {
            "default_root_dir": folder,
            "devices": 1,
            "strategy": "auto",
            "enable_checkpointing": False,
        }
        parts = build_run(merge(run.settings, {"trainer": trainer}))
        parts.callbacks.append(clock)
        try:
            parts.trainer.fit(parts.model, datamodule=parts.data, weights_only=True)
        except (EnoughError, TrainingCollapsed):
            pass
        except (RuntimeError, ValueError) as error:
            first = str(error).partition("\n")[0]
            line = remedy(error, "model.compile", "a smaller data.batch_size or data.image_size")
            raise UserError(line or f"{type(error).__name__}: {first}") from error
        finally:
            # Lightning does not where a fit is broken off.
            parts.trainer.profiler.teardown(stage="fit")  # type: ignore[attr-defined]
    if not clock.last:
        raise UserError("nothing was trained: the limits of the trainer leave no batch")
    return costs_of(parts, clock, clock.begins[0][0] - start)


def costs_of(parts: Parts, clock: StepClock, before: float) -> Costs:
    """Return what a run takes; what was not seen of it, as of a long epoch, is worked out from its steps."""
    of_image = FORWARD * clock.step / parts.data.batch_size
    splits = parts.data.splits
    epoch = clock.epoch or steps_of_epoch(parts.data) * clock.step + len(splits.val.labels) * of_image
    return Costs(clock.step, epoch, before + len(splits.test.labels) * of_image)


def steps_of_epoch(data: ImageDataModule) -> int:
    """Return how many batches of training images there are."""
    return math.ceil(len(data.splits.train.labels) / data.batch_size)


def baseline_parts(run: Run) -> Parts:
    """Build the run of the baseline, or say what is wrong in all of them.

    Raises:
        UserError: the data or the network cannot be built, or the network has no place for dropout.
    """
    try:
        parts = build_run(run.settings)
    except UserError as error:
        network = run.settings["model"]["network"]
        without = {key: value for key, value in network["init_args"].items() if key != "dropout"}
        settings = {
            **run.settings,
            "model": {**run.settings["model"], "network": {**network, "init_args": without}},
        }
        try:
            build_run(settings)
        except UserError:
            raise error from None
        raise no_place(network["class_path"]) from error
    if not parts.model.network.dropout_layers():
        raise no_place(run.settings["model"]["network"]["class_path"])
    return parts


def no_place(network: str) -> UserError:
    """Make the error for a network in which there is nothing to compare."""
    return UserError(
        f"{network} has no place for dropout: let its __init__ take dropout, which makes a layer, call it where one "
        "belongs, and hand the last to dropout_lab.models.networks.Head; or give another --network"
    )


def draws_split(parts: Parts) -> bool:
    """Return whether another seed of the data validates or tests on other images; False where they take no seed."""
    data = parts.settings["data"]
    if "seed" not in data["init_args"]:
        return False
    other = build_run(
        merge(parts.settings, {"data": {"init_args": {"seed": data["init_args"]["seed"] + 1}}})
    ).data
    return any(
        not torch.equal(here.pixels, there.pixels)
        for here, there in zip(parts.data.splits[1:], other.splits[1:], strict=True)
    )


def width(run: Run) -> int | None:
    """Return how many units a variant that drops a number of them has to drop from; None where it drops none so."""
    layers = build_run(run.settings).model.network.dropout_layers().values()
    return min((each.units for each in layers if isinstance(each, CountDropout) and each.units), default=None)


def try_all(
    runs: Sequence[Run], limit: float, costs: dict[str, Costs], on_tried: Callable[[int], None]
) -> list[Misfit]:
    """Try candidates out, and return those that do not fit.

    A variant whose costs are not known yet is trained for ``limit`` seconds, to know them; of others the network is
    built.
    """
    misfits: list[Misfit] = []
    for done, run in enumerate(runs, start=1):
        variant = str(run.labels["variant"])
        try:
            if variant in costs:
                build_run(run.settings)
            else:
                costs[variant] = try_out(run, limit)
        except UserError as error:
            misfits.append(Misfit(run, str(error)))
        on_tried(done)
    return misfits
