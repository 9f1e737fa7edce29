"""The command line of ``fit``, ``validate``, ``test``, ``predict``: LightningCLI with this application's links."""

import re
from argparse import ArgumentError
from typing import Any, final

from jsonargparse import Namespace
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning import Callback, LightningDataModule, LightningModule, Trainer
from pytorch_lightning.callbacks import Checkpoint, ProgressBar
from pytorch_lightning.cli import LightningArgumentParser, LightningCLI

from app import commands
from app.commands import Session, Writes
from app.config_files import check_configs
from app.console import ask_once_for_gpus, progress_callback, silence_lightning
from app.defaults import check_told_apart
from app.errors import UserError
from app.pages import ALL
from app.parse_errors import explain
from app.run_options import resolve_run
from app.runs import RunFolder
from app.specification import specification
from app.trainer_options import check_trainer_options
from app.unprofiled import Unprofiled
from datamodules import DataError, ImageDataModule
from models import ImageClassifier

# One line for a wrong command instead of a hundred of usage; no option by its first letters.
PARSER_OPTIONS = {"exit_on_error": False, "allow_abbrev": False}

# Where no end is given; Lightning's own default is 1,000.
DEFAULT_EPOCHS = 10

NO_COMPILER = re.compile(
    "InvalidCxxCompiler|CppCompileError|Failed to find C compiler|working triton install"
)
OUT_OF_MEMORY = re.compile("can't allocate memory|out of memory|not enough memory")

# Arguments of every network that the data fill in, and where they come from.
LINKS = {"num_classes": "data.num_classes", "image_shape": "data.image_shape"}


@final
class LabCLI(LightningCLI):
    """Builds data, model and trainer from YAML and flags, and runs one command.

    Args:
        words: the command and its options.
        source: the run that is evaluated; None for ``fit``, which makes a new one.
    """

    datamodule: ImageDataModule
    model: ImageClassifier

    def __init__(self, words: list[str], source: RunFolder | None) -> None:
        """Parse, build, run."""
        self.source = source
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

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add the run folder's options, and let the data tell the network its shapes."""
        parser.add_argument("--runs", type=str, default="runs", help="fit: folder of all run folders")
        parser.add_argument(
            "--name", type=str | None, default=None, help="fit: name of the run; null: data-network-dropout"
        )
        parser.add_argument(
            "--monitor",
            type=str | None,
            default=None,
            help="fit: best.ckpt is where this metric of validation is highest, like val/auroc; null: that of "
            "BestStep if there is one, else val/accuracy",
        )
        parser.add_argument(
            "--run",
            type=str | None,
            default=None,
            help="validate, test, predict: the run, runs/NAME/version_N, or runs/NAME for its newest version",
        )
        for argument, source in LINKS.items():
            parser.link_arguments(source, f"model.network.init_args.{argument}", apply_on="instantiate")

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parse the words given; the process's own are not looked at.

        Raises:
            UserError: an argument is given that the data fill in; LightningCLI would ignore it in silence.
        """
        self.config = parser.parse_args(args)
        if self.config[self.config.subcommand].run is not None:
            raise UserError("fit makes a new run folder: --run is for validate, test and predict; see --name")
        given = parser.parse_args(args, defaults=False)
        for argument, source in LINKS.items():
            if f"{given.subcommand}.model.network.init_args.{argument}" in given:
                raise UserError(f"model.network.{argument} comes from {source}: leave it out")

    def _parse_ckpt_path(self) -> None:
        # Lightning's own lets a checkpoint's settings win over flags, in silence. Here settings come from
        # the run's config.yaml, and flags win.
        return

    def instantiate_trainer(self) -> Trainer:  # type: ignore[override]
        """Build the trainer and read the data, before anything is written."""
        options: Namespace = self.config[self.subcommand]
        given = options.trainer
        check_trainer_options(given)
        parser = self._parser(self.subcommand)
        full = parser.dump(options, skip_none=False, skip_link_targets=False)
        spec = specification(full, {name: getattr(self.datamodule, name) for name in LINKS})
        self.model.save_hyperparameters(spec["model"], logger=False)

        callbacks = self._get(self.config_init, "trainer").callbacks or []
        theirs = callbacks if isinstance(callbacks, list) else [callbacks]
        check_told_apart(theirs)
        overrides: dict[str, Any] = {}
        if given.profiler is None and not given.barebones:
            overrides["profiler"] = Unprofiled()
        if given.barebones or given.fast_dev_run:
            writes = Writes(nothing=True)
        else:
            # Loggers and checkpoints of ours wait for the run folder.
            writes = Writes(
                tensorboard=given.logger in (None, True), checkpoints=given.enable_checkpointing is not False
            )
            if writes.tensorboard:
                overrides["logger"] = False
            if not any(isinstance(each, Checkpoint) for each in theirs):
                overrides["enable_checkpointing"] = False
            if (given.max_epochs, given.max_steps, given.max_time) == (None, -1, None):
                overrides["max_epochs"] = DEFAULT_EPOCHS
        has_bar = any(isinstance(each, ProgressBar) for each in theirs)
        ours: list[Callback] = []
        if not has_bar and not given.barebones and given.enable_progress_bar is not False:
            ours = [progress_callback()]
            overrides["enable_progress_bar"] = isinstance(ours[0], ProgressBar)
        self.trainer_defaults["callbacks"] = ours
        trainer = super().instantiate_trainer(**overrides)
        if trainer.is_global_zero:
            self.datamodule.prepare_data()
        config = parser.dump(options, skip_none=False)
        self.session = Session(trainer, self.model, self.datamodule, config, spec, writes)
        return trainer

    def fit(
        self, model: LightningModule, datamodule: LightningDataModule, ckpt_path: str | None = None
    ) -> None:
        """Train."""
        commands.fit(self.session, ckpt_path)

    def validate(self, model: LightningModule, datamodule: LightningDataModule, ckpt_path: str) -> None:
        """Measure on the validation split."""
        commands.validate(self.session, self._evaluated(), ckpt_path)

    def test(self, model: LightningModule, datamodule: LightningDataModule, ckpt_path: str) -> None:
        """Measure on the test split."""
        commands.test(self.session, self._evaluated(), ckpt_path)

    def predict(self, model: LightningModule, datamodule: LightningDataModule, ckpt_path: str) -> None:
        """Predict the test split."""
        commands.predict(self.session, self._evaluated(), ckpt_path)

    def _evaluated(self) -> RunFolder:
        assert self.source is not None, "resolve_run names the run of every command but fit"
        return self.source


def run(words: list[str]) -> None:
    """Run a command.

    Raises:
        UserError: what was asked for is wrong, in one line.
    """
    silence_lightning()
    ask_once_for_gpus()
    source = None
    try:
        if ALL in words:
            words = [words[0], "--help"]
        elif words[0] != "fit":
            words, source = resolve_run(words)
        check_configs(words)
        LabCLI(words, source)
    except ArgumentError as error:
        raise UserError(explain(str(error))) from error
    except SyntaxError as error:
        raise UserError(f"{error.filename}, line {error.lineno}: {error.msg}; mend the module") from error
    except (ValueError, DataError, MisconfigurationException) as error:
        raise UserError(explain(str(error))) from error
    except RuntimeError as error:
        if NO_COMPILER.search(str(error)):
            raise UserError(
                f"model.compile needs a C++ compiler, on GPUs Triton too ({str(error).splitlines()[0]}): install "
                "g++ or name a compiler in the environment variable CXX, or leave it out (null)"
            ) from error
        # torch has a class of its own for CUDA's alone.
        if not OUT_OF_MEMORY.search(str(error)):
            raise
        raise UserError(
            f"not enough memory ({str(error).splitlines()[0]}): a smaller data.batch_size, a smaller data.image_size "
            "or a smaller network needs less"
        ) from error
