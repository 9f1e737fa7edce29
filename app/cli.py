"""``fit``, ``validate``, ``test`` and ``predict``: LightningCLI with this application's links and defaults."""

import shutil
import warnings
from argparse import ArgumentError
from collections.abc import Callable
from pathlib import Path
from typing import Any, final

import yaml

from jsonargparse import Namespace
from pytorch_lightning import Callback, LightningDataModule, LightningModule, Trainer
from pytorch_lightning.callbacks import ProgressBar
from pytorch_lightning.cli import LightningArgumentParser, LightningCLI
from pytorch_lightning.utilities import rank_zero_only
from pytorch_lightning.utilities.exceptions import MisconfigurationException

from app.checkpoints import check_checkpoint
from app.console import print_header, print_line, print_result, progress_callback, silence_lightning
from app.defaults import checkpoint_callback, tensorboard_callbacks, tensorboard_logger
from app.errors import UserError
from app.parse_errors import explain
from app.run_options import resolve_run
from app.runs import RunFolder, make_run_folder, next_run_folder
from app.specification import run_name, specification
from callbacks import BestStep, HyperparametersTest, PredictionCSV
from datamodules import DataError, ImageDataModule
from models import ImageClassifier

# One line for a wrong command instead of a hundred of usage; no option by its first letters.
PARSER_OPTIONS = {"exit_on_error": False, "allow_abbrev": False}

# Arguments of every network that the data fill in, and where they come from.
LINKS = {"num_classes": "data.num_classes", "image_shape": "data.image_shape"}


@final
class LabCLI(LightningCLI):
    """Builds data, model and trainer from YAML and flags, and runs one command in one run folder.

    Args:
        words: the command and its options.
        source: the run that is evaluated; None for ``fit``, which makes a new one.
    """

    datamodule: ImageDataModule
    model: ImageClassifier

    def __init__(self, words: list[str], source: RunFolder | None) -> None:
        """Parse, build, run."""
        self.source = source
        self.best_step = BestStep()
        self.checkpoint = checkpoint_callback(self.best_step.monitor)
        super().__init__(
            ImageClassifier,
            ImageDataModule,
            save_config_callback=None,
            trainer_defaults={"enable_model_summary": False},
            seed_everything_default=0,
            parser_kwargs={**PARSER_OPTIONS, **{name: dict(PARSER_OPTIONS) for name in self.subcommands()}},
            subclass_mode_data=True,
            args=words,
            auto_configure_optimizers=False,
            load_from_checkpoint_support=False,
        )

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        """Name the commands, and the trainer's arguments that are no options of them."""
        settled = {"model", "datamodule", "dataloaders", "weights_only", "verbose", "return_predictions"}
        return {
            "fit": settled | {"train_dataloaders", "val_dataloaders"},
            "validate": settled,
            "test": settled,
            "predict": settled,
        }

    @property
    def options(self) -> Namespace:
        """The command's options, parsed."""
        options: Namespace = self.config[self.subcommand]
        return options

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add the run folder's options, and let the data tell the network its shapes."""
        parser.add_argument("--runs", type=str, default="runs", help="folder of all run folders")
        parser.add_argument(
            "--name", type=str | None, default=None, help="name of the run; null: data-network-dropout"
        )
        for argument, source in LINKS.items():
            parser.link_arguments(source, f"model.network.init_args.{argument}", apply_on="instantiate")

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parse the words given; the process's own are not looked at.

        Raises:
            UserError: an argument is given that the data fill in; LightningCLI would ignore it in silence.
        """
        self.config = parser.parse_args(args)
        given = parser.parse_args(args, defaults=False)
        for argument, source in LINKS.items():
            if f"{given.subcommand}.model.network.init_args.{argument}" in given:
                raise UserError(f"model.network.{argument} comes from {source}: leave it out")

    def _parse_ckpt_path(self) -> None:
        # Lightning's own lets a checkpoint's settings win over flags, in silence. Here settings come from
        # the run's config.yaml, and flags win.
        return

    def instantiate_trainer(self) -> Trainer:
        """Look at the data, then build the trainer; a run folder waits until all of this stands."""
        if rank_zero_only.rank == 0:
            self.datamodule.prepare_data()
        self.specification = specification(
            self._dump(skip_link_targets=False), {name: getattr(self.datamodule, name) for name in LINKS}
        )
        self.model.save_hyperparameters(self.specification["model"], logger=False)
        given = self.options.trainer
        self.rehearsal = bool(given.fast_dev_run)
        self.with_tensorboard = given.logger in (None, True) and not self.rehearsal
        overrides: dict[str, bool] = {}
        if given.logger in (None, True):
            overrides["logger"] = False
        callbacks: list[Callback] = []
        if given.enable_progress_bar is not False and not self._has_progress_bar():
            callbacks.append(progress_callback())
            overrides["enable_progress_bar"] = isinstance(callbacks[0], ProgressBar)
        if not self.rehearsal:
            # Also where nothing is trained: a checkpoint holds their state, and Lightning asks for them.
            callbacks += [self.best_step, self.checkpoint]
        self.trainer_defaults["callbacks"] = callbacks
        return super().instantiate_trainer(**overrides)

    def fit(
        self, model: LightningModule, datamodule: LightningDataModule, ckpt_path: str | None = None
    ) -> None:
        """Train in a new run folder, and write down what was reached."""
        if ckpt_path is not None:
            check_checkpoint(ckpt_path, self.model)
        if self.rehearsal:
            self.trainer.fit(model, datamodule=datamodule, ckpt_path=ckpt_path, weights_only=True)
            return
        folder = self._new_folder()
        self.checkpoint.dirpath = str(folder.checkpoints)
        if self.with_tensorboard:
            self.trainer.loggers = [tensorboard_logger(folder)]
            self._add_callbacks(
                *tensorboard_callbacks(self.specification, self.best_step, self.model, self.datamodule)
            )
        print_header(folder, self.model, self.datamodule)
        try:
            self.trainer.fit(model, datamodule=datamodule, ckpt_path=ckpt_path, weights_only=True)
        except BaseException:
            # Nothing was learned: a folder without a checkpoint would only be in the way.
            if self.trainer.is_global_zero and self.trainer.global_step == 0:
                shutil.rmtree(folder.path)
            raise
        if self.trainer.is_global_zero:
            folder.add_result(
                "fit",
                {
                    "epochs": self.trainer.current_epoch,
                    "steps": self.trainer.global_step,
                    "best_epoch": self.best_step.epoch,
                    "best_step": self.best_step.step,
                    "metrics": without_split(self.best_step.metrics),
                },
            )
            print_result(folder)

    def validate(self, model: LightningModule, datamodule: LightningDataModule, ckpt_path: str) -> None:
        """Measure a checkpoint on the validation split."""
        self._evaluate("validate", self.trainer.validate, ckpt_path)

    def test(self, model: LightningModule, datamodule: LightningDataModule, ckpt_path: str) -> None:
        """Measure a checkpoint on the test split."""
        self._evaluate("test", self.trainer.test, ckpt_path)

    def predict(self, model: LightningModule, datamodule: LightningDataModule, ckpt_path: str) -> None:
        """Write a checkpoint's predictions on the test split."""
        folder = self._source_of(ckpt_path)
        self._add_callbacks(PredictionCSV(folder.predictions))
        self.trainer.predict(
            model, datamodule=datamodule, return_predictions=False, ckpt_path=ckpt_path, weights_only=True
        )
        print_line(f"predictions: {folder.predictions}")

    def _evaluate(self, command: str, loop: Callable[..., Any], ckpt_path: str) -> None:
        folder = self._source_of(ckpt_path)
        if self.with_tensorboard:
            self.trainer.loggers = [tensorboard_logger(folder)]
            self._add_callbacks(HyperparametersTest())
        (metrics,) = loop(
            self.model, datamodule=self.datamodule, ckpt_path=ckpt_path, verbose=False, weights_only=True
        )
        if self.trainer.is_global_zero and not self.rehearsal:
            folder.add_result(command, {"checkpoint": ckpt_path, "metrics": without_split(metrics)})
            print_result(folder)

    def _source_of(self, ckpt_path: str) -> RunFolder:
        assert self.source is not None, "resolve_run names the run of every command but fit"
        check_checkpoint(ckpt_path, self.model)
        return self.source

    def _new_folder(self) -> RunFolder:
        root, name = Path(self.options.runs), run_name(self.specification)
        if rank_zero_only.rank != 0:
            # Only rank 0 writes; the path of checkpoints is broadcast from there.
            return next_run_folder(root, name)
        folder = make_run_folder(root, name)
        config = yaml.safe_load(self._dump(skip_link_targets=True))
        # What was continued from is no setting: whoever takes up this config starts afresh.
        config.pop("ckpt_path")
        folder.config.write_text(yaml.safe_dump(config, sort_keys=False))
        return folder

    def _dump(self, skip_link_targets: bool) -> str:
        dump: str = self._parser(self.subcommand).dump(
            self.options, skip_none=False, skip_link_targets=skip_link_targets
        )
        return dump

    def _has_progress_bar(self) -> bool:
        given = self._get(self.config_init, "trainer").callbacks or []
        return any(isinstance(each, ProgressBar) for each in (given if isinstance(given, list) else [given]))

    def _add_callbacks(self, *callbacks: Callback) -> None:
        self.trainer.callbacks.extend(callbacks)


def without_split(metrics: dict[str, float]) -> dict[str, float]:
    """Return metrics by their own names: ``accuracy`` for ``test/accuracy``."""
    return {name.rsplit("/", 1)[-1]: float(value) for name, value in metrics.items()}


def run(words: list[str]) -> None:
    """Run a command.

    Raises:
        UserError: what was asked for is wrong, in one line.
    """
    silence_lightning()
    # https://github.com/Lightning-AI/pytorch-lightning/issues/21326
    warnings.filterwarnings("ignore", message=r".*isinstance\(treespec, LeafSpec\).* is deprecated")
    source = None
    try:
        if words[0] != "fit" and not {"-h", "--help"} & set(words):
            words, source = resolve_run(words)
        LabCLI(words, source)
    except ArgumentError as error:
        raise UserError(explain(str(error))) from error
    except (ValueError, OSError, DataError, MisconfigurationException) as error:
        raise UserError(explain(str(error))) from error
