"""From settings to data, model and trainer, without a command line: the parsers are made once a process."""

import difflib
import json
from argparse import ArgumentError
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NamedTuple, final

from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning import Callback, Trainer, seed_everything
from pytorch_lightning.cli import LightningArgumentParser
from pytorch_lightning.profilers import PassThroughProfiler

from dropout_lab.app.config.allowlist import built, parsed
from dropout_lab.app.config.checks import (
    best_step,
    check_monitors,
    check_told_apart,
    check_trainer,
    check_trainer_options,
)
from dropout_lab.app.config.explain import explain
from dropout_lab.app.config.settings import Settings, merged
from dropout_lab.app.errors import UserError
from dropout_lab.app.run.history import EpochTable, PanelFile
from dropout_lab.callbacks import BestStep, BestWeights
from dropout_lab.datamodules import DataError, ImageDataModule
from dropout_lab.models import ImageClassifier

NOTHING = nullcontext()


@final
class Unprofiled(PassThroughProfiler):
    """Opens one and the same empty context. Lightning's own makes a new one eighty times a step, which takes 75 µs."""

    def profile(self, action_name: str) -> AbstractContextManager[None]:  # type: ignore[override]  # it names its own
        """Return the empty context."""
        return NOTHING


@dataclass(frozen=True)
class Writes:
    """What a command leaves behind.

    Attributes:
        tensorboard: log to TensorBoard; the user gave no logger and did not forbid it.
        checkpoints: keep the best and the last weights.
        nothing: a rehearsal: not even a run folder.
    """

    tensorboard: bool = False
    checkpoints: bool = False
    nothing: bool = False


@dataclass(frozen=True)
class Session:
    """What a command works with.

    Attributes:
        trainer: Lightning's, without loggers and checkpoints of this application.
        model: as specified, untrained.
        data: read and found good.
        config: the options as YAML, enough to run again.
        specification: the same with what the data fill in, as plain values.
        writes: what is left behind.
    """

    trainer: Trainer
    model: ImageClassifier
    data: ImageDataModule
    config: str
    specification: dict[str, Any]
    writes: Writes

    def add_callbacks(self, *callbacks: Callback) -> None:
        """Let the trainer call these too."""
        self.trainer.callbacks.extend(callbacks)  # type: ignore[attr-defined]


# Data sets that a process keeps at a time.
KEPT = 2

SETTINGS = ("seed_everything", "monitor", "data", "model", "trainer")

# Right and wrong test images, of each so many.
PANEL_IMAGES = 4

# What a run is by itself; its settings say otherwise if they must. All GPUs would otherwise train one run between them.
TRAINER = {
    "devices": 1,
    "enable_checkpointing": False,
    "enable_model_summary": False,
    "enable_progress_bar": False,
    "logger": False,
}


class Parts(NamedTuple):
    """What a run works with."""

    data: ImageDataModule
    model: ImageClassifier
    trainer: Trainer
    best: BestStep
    weights: BestWeights
    table: EpochTable


def build(settings: Settings, epochs: Path, panels: Path | None = None) -> Parts:
    """Build a run as ``fit`` does: seeded, and then data, model and trainer.

    Args:
        settings: all of the run's, as in a fit's YAML.
        epochs: file of its curves.
        panels: file of right and wrong test images; None writes none.

    Raises:
        UserError: something in the settings is wrong, in one line.
    """
    check_trainer(settings)
    # An empty mapping of a wrong name would be taken by the parser.
    for key in settings:
        if key not in SETTINGS:
            close = difflib.get_close_matches(key, SETTINGS, n=1)
            hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(SETTINGS)}"
            raise UserError(f"no option {key}; {hint}")
    try:
        data = _data(json.dumps(settings.get("data")))
        data.prepare_data()
        # The data may have come from a run before, so what they draw must not move the others' numbers.
        seed_everything(settings["seed_everything"], workers=True, verbose=False)
        parser = _parser()
        read = parsed(parser, _with_links(settings, data))
        check_trainer_options(read.trainer)
        init = parser.instantiate_classes(read)
        callbacks = init.trainer.callbacks or []
        theirs = callbacks if isinstance(callbacks, list) else [callbacks]
        check_told_apart(theirs)
        table = EpochTable(epochs)
        shown = [] if panels is None else [PanelFile(panels, PANEL_IMAGES)]
        profiler = init.trainer.profiler or Unprofiled()
        trainer = Trainer(
            **{**vars(init.trainer), "profiler": profiler, "callbacks": [table, *shown, *theirs]}
        )
        best = best_step(trainer, init.monitor)
        check_monitors(trainer, init.model)
        # Bad settings of the optimizer are found here.
        init.model.configure_optimizers()
    except (ArgumentError, ValueError, OSError, DataError, MisconfigurationException) as error:
        raise UserError(explain(str(error))) from error
    weights = BestWeights(best)
    trainer.callbacks.append(weights)  # type: ignore[attr-defined]
    return Parts(data, init.model, trainer, best, weights, table)


@lru_cache(maxsize=KEPT)
def _data(spec: str) -> ImageDataModule:
    """Return a data module by its settings, read before if they were asked for before."""
    parser = _data_parser()
    content = json.loads(spec)
    data: ImageDataModule = built(parser, {} if content is None else {"data": content}).data
    return data


def _with_links(settings: Settings, data: ImageDataModule) -> Settings:
    """Leave the data out, and let them tell the network its shapes."""
    rest = {key: value for key, value in settings.items() if key != "data"}
    rest["trainer"] = {**TRAINER, **(settings.get("trainer") or {})}
    if not {"max_epochs", "max_steps", "max_time"} & rest["trainer"].keys():
        rest["trainer"]["max_epochs"] = DEFAULT_EPOCHS
    network = (rest.get("model") or {}).get("network")
    if network is not None:
        given = merged(network, {"init_args": {}})
        for argument, source in LINKS.items():
            if argument in given["init_args"]:
                raise UserError(f"model.network.{argument} comes from {source}: leave it out")
        linked = {"num_classes": data.num_classes, "image_shape": data.image_shape}
        rest["model"] = {**rest["model"], "network": merged(given, {"init_args": linked})}
    return rest


@cache
def _data_parser() -> LightningArgumentParser:
    parser = LightningArgumentParser(exit_on_error=False)
    parser.add_lightning_class_args(ImageDataModule, "data", subclass_mode=True)
    return parser


@cache
def _parser() -> LightningArgumentParser:
    parser = LightningArgumentParser(exit_on_error=False)
    parser.add_lightning_class_args(Trainer, "trainer")
    parser.add_lightning_class_args(ImageClassifier, "model")
    parser.add_argument("--seed_everything", type=int)
    parser.add_argument("--monitor", type=str | None, default=None)
    return parser


# Where no end is given; Lightning's own default is 1,000.
DEFAULT_EPOCHS = 10


# Arguments of every network that the data fill in, and where they come from.
LINKS = {"num_classes": "data.num_classes", "image_shape": "data.image_shape"}
