"""From settings to data, model and trainer. Who parses a command line, a study or a benchmark hands plain values in."""

import json
import os
from argparse import ArgumentError
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from dataclasses import dataclass
from functools import cache, lru_cache
from pkgutil import resolve_name
from typing import final

from jsonargparse import Namespace
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning import Callback, Trainer, seed_everything
from pytorch_lightning.callbacks import Checkpoint, ProgressBar
from pytorch_lightning.cli import LightningArgumentParser
from pytorch_lightning.profilers import PassThroughProfiler

from dropout_lab.app.config.allowlist import parse
from dropout_lab.app.config.checks import (
    best_step,
    check_callbacks,
    check_monitors,
    check_numbers,
    check_seed,
    check_state_keys,
    check_strategy,
    check_trainer_options,
)
from dropout_lab.app.config.explain import NO_HOME, explain
from dropout_lab.app.config.settings import Settings, as_list, merge, network_of, short_name
from dropout_lab.app.console import progress_callback
from dropout_lab.app.errors import UserError, describe_import_error, describe_os_error, suggest
from dropout_lab.app.files import local_path
from dropout_lab.app.run.checkpoint import AtomicCheckpointIO
from dropout_lab.app.run.processes import answer_signals_alone, check_processes, launched_rank, report_as
from dropout_lab.callbacks import BestStep
from dropout_lab.datamodules import DataError, ImageDataModule
from dropout_lab.models import ImageClassifier
from dropout_lab.models.from_checkpoint import leave_out_start
from dropout_lab.models.schedulers import TOTALS

SETTINGS = ("seed_everything", "monitor", "data", "model", "trainer")
# Arguments of every network that the data fill in, and where they come from.
LINKS = {"num_classes": "data.num_classes", "image_shape": "data.image_shape"}
# Where no end is given; Lightning's own default is 1,000.
DEFAULT_EPOCHS = 10
# Data sets that a process keeps at a time.
KEPT = 2
NOTHING = nullcontext()


@final
class Unprofiled(PassThroughProfiler):
    """Opens one and the same empty context. Lightning's own makes a new one eighty times a step, which takes 75 µs."""

    def profile(self, action_name: str) -> AbstractContextManager[None]:  # type: ignore[override]  # it names its own
        """Return the empty context."""
        return NOTHING


@dataclass(frozen=True)
class Parts:
    """What a run works with.

    Attributes:
        settings: all of them, with their defaults: built again from these the run is the same.
        specification: the same with what the data fill in.
        trainer: Lightning's, without loggers and checkpoints of this application, which wait for the run's folder.
        tensorboard: log to TensorBoard; the settings name no other logger and do not forbid it.
        checkpoints: keep the best and the last weights.
        rehearsal: leave nothing behind, not even a run folder.
    """

    settings: Settings
    specification: Settings
    data: ImageDataModule
    model: ImageClassifier
    trainer: Trainer
    best: BestStep
    tensorboard: bool
    checkpoints: bool
    rehearsal: bool

    @property
    def callbacks(self) -> list[Callback]:
        """The trainer's; may be added to."""
        callbacks: list[Callback] = self.trainer.callbacks  # type: ignore[attr-defined]
        return callbacks


def build(
    settings: Settings,
    keep_data: bool = False,
    classes: Sequence[str] | None = None,
    restored: bool = False,
) -> Parts:
    """Build a run: seeded, and then data, model and trainer.

    Args:
        settings: all that differ from the defaults, as in a fit's YAML.
        keep_data: take data that this process has read before for the same settings, and keep them for the next run.
        classes: names that the run's checkpoint has for its labels; None: those of the data.
        restored: a checkpoint's weights follow, so that no network starts from published ones, which may be gone.
    """
    # An empty mapping of a wrong name would be taken by the parser.
    for key in settings:
        if key not in SETTINGS:
            hint = suggest(key, SETTINGS, f"there are {', '.join(SETTINGS)}")
            raise UserError(f"no option {key}; {hint}")
    check_links(settings)
    check_seed(settings)
    report_as(launched_rank())
    try:
        parts = _build(settings, keep_data, classes, restored)
    except OSError as error:
        raise UserError(describe_os_error(error)) from error
    except ImportError as error:
        # Of what loggers, strategies and callbacks need, as they say when they are made.
        raise UserError(describe_import_error(error)) from error
    except (ArgumentError, ValueError, DataError, MisconfigurationException) as error:
        raise UserError(explain(str(error))) from error
    except RuntimeError as error:
        check_numbers(settings)
        if str(error) != NO_HOME:
            raise
        raise UserError(explain(str(error))) from error
    # As torch takes numbers that are too large.
    except (OverflowError, TypeError):
        check_numbers(settings)
        raise
    check_numbers(settings)
    return parts


def check_links(settings: Settings) -> None:
    """Check that no argument is given that the data fill in, and that would be ignored."""
    for argument, source in LINKS.items():
        if argument in network_of(settings)["init_args"]:
            raise UserError(f"model.network.{argument} comes from {source}: leave it out")


def _build(settings: Settings, keep_data: bool, classes: Sequence[str] | None, restored: bool) -> Parts:
    _seed(settings)
    read_data = _kept_data if keep_data else _read_data
    data, data_settings = read_data(json.dumps(settings.get("data")))
    # The data may have come from a run before, so what they draw must not move the others' numbers.
    _seed(settings)
    if classes is not None:
        data.take_classes(classes)
    linked = {argument: getattr(data, argument) for argument in LINKS}
    parser = _parser()
    total = left_out_total(settings)
    read = parse(parser, _with_total(_with_links(settings, linked), total))
    check_trainer_options(read.trainer)
    check_callbacks([resolve_name(each.class_path) for each in as_list(read.trainer.callbacks)])
    full = {**_plain(parser, read), "data": data_settings}
    specification = deepcopy(full)
    if total is not None:
        # As it was left out, for whoever builds from these settings.
        del full["model"]["scheduler"]["init_args"][total]
    # By this key Lightning's load_from_checkpoint knows how to build nested classes again.
    specification["model"]["_instantiator"] = "pytorch_lightning.cli.instantiate_module"
    for argument in LINKS:
        full["model"]["network"]["init_args"].pop(argument, None)

    if restored:
        leave_out_start(read.model.network)
    init = parser.instantiate_classes(read)
    init.model.class_names = list(data.class_names)
    init.model.save_hyperparameters(specification["model"], logger=False)
    trainer = _trainer(init.trainer)
    best = best_step(trainer, init.monitor)
    init.model.scheduler_total = total
    # Bad settings of the optimizer are found here, before there is a folder.
    made = init.model.configure_optimizers()
    check_monitors(trainer, init.model, made)
    if total is not None and not knows_its_end(trainer, init.model.scheduler_interval):
        raise UserError(
            f"model.scheduler.{total} is left out, so that it takes the {init.model.scheduler_interval}s of the fit, "
            "and nothing says how many there are; give it, or trainer.max_epochs"
        )
    rehearsal = bool(init.trainer.barebones or init.trainer.fast_dev_run)
    return Parts(
        full,
        specification,
        data,
        init.model,
        trainer,
        best,
        tensorboard=not rehearsal and init.trainer.logger in (None, True),
        checkpoints=not rehearsal and init.trainer.enable_checkpointing is not False,
        rehearsal=rehearsal,
    )


def left_out_total(settings: Settings) -> str | None:
    """Return the name of the scheduler's argument for all its steps, if the settings leave it to the fit."""
    scheduler = merge((settings.get("model") or {}).get("scheduler"), {"init_args": {}})
    name, given = TOTALS.get(short_name(scheduler.get("class_path")) or ""), scheduler["init_args"]
    # OneCycleLR takes its steps as a product too.
    return None if name is None or any(given.get(key) is not None for key in (name, "epochs")) else name


def _with_total(settings: Settings, total: str | None) -> Settings:
    """Give the argument that was left out some value, since the parser may require one."""
    if total is None:
        return settings
    filled: Settings = merge(settings, {"model": {"scheduler": {"init_args": {total: 1}}}})
    return filled


def knows_its_end(trainer: Trainer, interval: str) -> bool:
    """Return whether a fit's limits say how many of its epochs, or steps, there are."""
    ends = [trainer.max_epochs] if interval == "epoch" else [trainer.max_epochs, trainer.max_steps]
    return any(end is not None and end >= 0 for end in ends)


def _trainer(given: Namespace) -> Trainer:
    """Build the trainer, without what would write beside the run's folder."""
    theirs = as_list(given.callbacks)
    check_state_keys(theirs)
    arguments = vars(given) | {"callbacks": theirs}
    if given.profiler is None and not given.barebones:
        arguments["profiler"] = Unprofiled()
    if not (given.barebones or given.fast_dev_run):
        if given.logger in (None, True):
            arguments["logger"] = False
        if not any(isinstance(each, Checkpoint) for each in theirs):
            arguments["enable_checkpointing"] = False
        arguments["plugins"] = [*as_list(given.plugins), AtomicCheckpointIO()]
        if (given.max_epochs, given.max_steps, given.max_time) == (None, -1, None):
            arguments["max_epochs"] = DEFAULT_EPOCHS
    has_bar = any(isinstance(each, ProgressBar) for each in theirs)
    if not has_bar and not given.barebones and given.enable_progress_bar is not False:
        ours = progress_callback()
        arguments["callbacks"] = [*theirs, ours]
        arguments["enable_progress_bar"] = isinstance(ours, ProgressBar)
    trainer = _without_surprises(Trainer(**arguments))
    check_strategy(trainer)
    check_processes(trainer, given.sync_batchnorm)
    answer_signals_alone(trainer)
    report_as(trainer.global_rank)
    return trainer


def _without_surprises(trainer: Trainer) -> Trainer:
    """Let a trainer start from no checkpoint but one that it is given, and leave the job's signals to the program.

    In a job of Slurm's Lightning would take up ``hpc_ckpt_N.ckpt`` of the current folder, whatever run has left it
    there, and where OnExceptionCheckpoint is among the callbacks its file: ``ckpt_path=None`` does not forbid it. At
    SIGUSR1 it would write such a file, and train on (Lightning-AI/pytorch-lightning #6626).
    """
    trainer._checkpoint_connector._user_managed = True
    environment = trainer._accelerator_connector.cluster_environment
    if isinstance(environment, SLURMEnvironment):
        environment.auto_requeue = False
    return trainer


def _read_data(spec: str) -> tuple[ImageDataModule, Settings]:
    """Return a data module by its settings, read and checked, and all of its settings."""
    parser = _data_parser()
    content = json.loads(spec)
    read = parse(parser, {} if content is None else {"data": content})
    settings: Settings = _plain(parser, read)["data"]
    arguments = settings["init_args"]
    for place in (arguments.get("root"), arguments.get("cache"), os.environ.get("DROPOUT_LAB_CACHE")):
        if place is not None:
            local_path(place)
    data: ImageDataModule = parser.instantiate_classes(read).data
    # Only rank 0 fetches.
    if launched_rank() == 0:
        data.prepare_data()
    else:
        data.setup()
    return data, settings


_kept_data = lru_cache(maxsize=KEPT)(_read_data)


def _seed(settings: Settings) -> None:
    # By false the user wants none.
    if (seed := settings["seed_everything"]) is not False:
        seed_everything(seed, workers=True, verbose=False)


def _plain(parser: LightningArgumentParser, read: Namespace) -> Settings:
    """Return settings as a file has them, those that were not given too."""
    plain: Settings = json.loads(parser.dump(read, format="json", skip_none=False, skip_validation=True))
    return plain


def _with_links(settings: Settings, linked: Settings) -> Settings:
    """Leave the data out, and let them tell the network its shapes."""
    # A copy, since the parser changes what it is given.
    rest = deepcopy({key: value for key, value in settings.items() if key != "data"})
    if (rest.get("model") or {}).get("network") is not None:
        rest["model"] = {**rest["model"], "network": merge(network_of(settings), {"init_args": linked})}
    return rest


@cache
def _data_parser() -> LightningArgumentParser:
    parser = LightningArgumentParser(exit_on_error=False)
    parser.add_lightning_class_args(ImageDataModule, "data", subclass_mode=True)
    return parser


@cache
def _parser() -> LightningArgumentParser:
    parser = LightningArgumentParser(exit_on_error=False)
    parser.add_argument("--seed_everything", type=bool | int)
    parser.add_lightning_class_args(Trainer, "trainer")
    parser.add_lightning_class_args(ImageClassifier, "model")
    parser.add_argument("--monitor", type=str | None, default=None)
    return parser
