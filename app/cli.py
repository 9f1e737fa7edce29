"""The command line of ``fit``, ``validate``, ``test``, ``predict``: LightningCLI with this application's links."""

from argparse import ArgumentError
from typing import Any, final

from jsonargparse import Namespace
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning import Callback, LightningDataModule, LightningModule, Trainer
from pytorch_lightning.callbacks import Checkpoint, ProgressBar
from pytorch_lightning.cli import LightningArgumentParser, LightningCLI

from dropout_lab.app.config.allowlist import ROLES, restrict
from dropout_lab.app.config.checks import check_told_apart, check_trainer_options
from dropout_lab.app.config.explain import explain, find_configs
from dropout_lab.app.config.settings import specification
from dropout_lab.app.console import ask_once_for_gpus, progress_callback, silence_lightning
from dropout_lab.app.errors import UserError, remedy
from dropout_lab.app.main import ALL
from dropout_lab.app.run import evaluate, train
from dropout_lab.app.run.build import DEFAULT_EPOCHS, LINKS, Session, Unprofiled, Writes
from dropout_lab.app.run.checkpoint import AtomicCheckpointIO
from dropout_lab.app.run.evaluate import resolve_run
from dropout_lab.app.run.folder import RunFolder
from dropout_lab.app.run.resume import ResumeRequest, take_resume
from dropout_lab.app.run.signals import Interrupts
from dropout_lab.datamodules import DataError, ImageDataModule
from dropout_lab.models import ImageClassifier
from dropout_lab.models.allowlist import check_named

# One line for a wrong command instead of a hundred of usage; no option by its first letters.
PARSER_OPTIONS = {"exit_on_error": False, "allow_abbrev": False}


@final
class LabCLI(LightningCLI):
    """Builds data, model and trainer from YAML and flags, and runs one command.

    Args:
        words: the command and its options.
        source: the run that is evaluated; None for ``fit``.
        request: of ``fit``, the run that is to go on; None for a new one.
    """

    datamodule: ImageDataModule
    model: ImageClassifier

    def __init__(self, words: list[str], source: RunFolder | None, request: ResumeRequest | None) -> None:
        """Parse, build, run."""
        self.source = source
        self.request = request
        restrict()
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
        parser.add_argument(
            "--resume", type=str | None, default=None,
            help="fit: go on with a run that was interrupted: that in the folder named, or the newest of these",
        )  # fmt: skip
        parser.add_argument("--force", type=bool, default=False, help="fit --resume: with other settings too")
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

    def before_instantiate_classes(self) -> None:
        """Check what the settings name, before anything is built."""
        check_named(self.config[self.subcommand], ROLES)

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
            plugins = given.plugins or []
            overrides["plugins"] = [
                *(plugins if isinstance(plugins, list) else [plugins]),
                AtomicCheckpointIO(),
            ]
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
        train.fit(self.session, ckpt_path, self.request)

    def validate(self, model: LightningModule, datamodule: LightningDataModule, ckpt_path: str) -> None:
        """Measure on the validation split."""
        evaluate.validate(self.session, self._evaluated(), ckpt_path)

    def test(self, model: LightningModule, datamodule: LightningDataModule, ckpt_path: str) -> None:
        """Measure on the test split."""
        evaluate.test(self.session, self._evaluated(), ckpt_path)

    def predict(self, model: LightningModule, datamodule: LightningDataModule, ckpt_path: str) -> None:
        """Predict the test split."""
        evaluate.predict(self.session, self._evaluated(), ckpt_path)

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
    source = request = None
    try:
        if ALL in words:
            words = [words[0], "--help"]
        elif words[0] != "fit":
            words, source = resolve_run(words)
        else:
            words, request = take_resume(words)
        with Interrupts():
            LabCLI(find_configs(words), source, request)
    except ArgumentError as error:
        raise UserError(explain(str(error))) from error
    except SyntaxError as error:
        raise UserError(f"{error.filename}, line {error.lineno}: {error.msg}; mend the module") from error
    except (ValueError, DataError, MisconfigurationException) as error:
        raise UserError(explain(str(error))) from error
    except RuntimeError as error:
        smaller = "a smaller data.batch_size, a smaller data.image_size or a smaller network"
        line = remedy(error, "model.compile", smaller)
        if line is None:
            raise
        raise UserError(line) from error
