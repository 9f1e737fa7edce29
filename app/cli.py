"""The command line of ``fit``, ``validate``, ``test``, ``predict``: LightningCLI parses, and builds nothing."""

import argparse
import re
from pathlib import Path
from typing import Any, final

import yaml
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning.cli import LightningArgumentParser, LightningCLI

from dropout_lab.app.config.allowlist import restrict
from dropout_lab.app.config.explain import explain, find_configs
from dropout_lab.app.config.settings import Settings, merge
from dropout_lab.app.console import ask_once_for_gpus, print_line, silence_lightning
from dropout_lab.app.errors import UserError, describe_import_error, remedy
from dropout_lab.app.files import expand_home, local_path
from dropout_lab.app.run import evaluate
from dropout_lab.app.run.build import LINKS, build, check_links
from dropout_lab.app.run.checkpoint import read_checkpoint
from dropout_lab.app.run.folder import RunFolder, find_run_folder
from dropout_lab.app.run.processes import end_others, start_with
from dropout_lab.app.run.resume import ResumeRequest
from dropout_lab.app.run.signals import Interrupts
from dropout_lab.app.run.train import fit
from dropout_lab.datamodules import DataError, ImageDataModule
from dropout_lab.models import ImageClassifier
from dropout_lab.models.allowlist import with_todays_names

# One line for a wrong command instead of a hundred of usage; no option by its first letters.
PARSER_OPTIONS = {"exit_on_error": False, "allow_abbrev": False}
OPTIONS: dict[str, tuple[Any, Any, str]] = {
    "runs": (str, "runs", "fit: folder of all run folders"),
    "name": (str | None, None, "fit: name of the run; null: data-network-dropout"),
    "monitor": (str | None, None, "fit: best.ckpt is where this metric of validation is highest, like val/auroc; "
                "null: that of BestStep if there is one, else val/accuracy"),
    "run": (str | None, None, "validate, test, predict: the run, runs/NAME/version_N, or runs/NAME for its newest "
            "version; of a study, studies/STUDY/runs/RUN"),
    "resume": (str | None, None, "fit: go on with a run that was interrupted: that in the folder named, or the newest "
               "of these"),
    "force": (bool, False, "fit --resume: with other settings too"),
}  # fmt: skip
NO_PERIOD = re.compile(r"required: T_max\n[\s\S]*CosineAnnealingLR'")
DEFAULTS: Settings = {"seed_everything": 0, "ckpt_path": None, "trainer": {"enable_model_summary": False}}
"""Where they are not Lightning's own."""
EVALUATIONS = {"validate": evaluate.validate, "test": evaluate.test, "predict": evaluate.predict}


@final
class LabCLI(LightningCLI):
    """Parses a command and its options into plain settings, from YAML and flags."""

    def __init__(self, words: list[str]) -> None:
        restrict()
        self._command = words[0]
        self._left_out = False
        super().__init__(
            ImageClassifier,
            ImageDataModule,
            save_config_callback=None,
            trainer_defaults=DEFAULTS["trainer"],
            seed_everything_default=DEFAULTS["seed_everything"],
            parser_kwargs={**PARSER_OPTIONS, **{name: dict(PARSER_OPTIONS) for name in self.subcommands()}},
            subclass_mode_data=True,
            args=words,
            auto_configure_optimizers=False,
            load_from_checkpoint_support=False,
        )

    def subcommands(self) -> dict[str, set[str]]:  # type: ignore[override]  # Lightning's is static
        """Name the command that is run, and the trainer's arguments that are no options of it.

        A parser of the others' options would take as long again for each.
        """
        settled = {
            "model",
            "datamodule",
            "train_dataloaders",
            "val_dataloaders",
            "dataloaders",
            "weights_only",
        }
        return {self._command: settled | {"verbose", "return_predictions"}}

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add the run folder's options, and let the data tell the network its shapes."""
        for option, (kind, default, text) in OPTIONS.items():
            parser.add_argument(f"--{option}", type=kind, default=default, help=text)
        for argument, source in LINKS.items():
            parser.link_arguments(source, f"model.network.init_args.{argument}", apply_on="instantiate")

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parse the words given; the process's own are not looked at.

        Defaults are left to :func:`build`, which parses what was given once more; they are there to be printed.
        """
        printed = any(word.startswith("--print_config") for word in args)
        try:
            self.config = parser.parse_args(args, defaults=printed)
        except argparse.ArgumentError as error:
            if NO_PERIOD.search(str(error)) is None:
                raise
            # The one scheduler whose steps torch requires, and build takes from the fit where they are left out.
            self.config = parser.parse_args([*args, "--model.scheduler.T_max", "1"], defaults=printed)
            self._left_out = True
        check_links(self.config[self.config.subcommand].as_dict())

    def _parse_ckpt_path(self) -> None:
        # Lightning's own lets a checkpoint's settings win over flags, in silence. Here settings come from
        # the run's config.yaml, and flags win.
        return

    def _set_seed(self) -> None:
        # By true it is drawn here; build sets it.
        if self._get(self.config, "seed_everything") is True:
            super()._set_seed()

    def instantiate_classes(self) -> None:
        """Build nothing; Lightning's own would."""

    def _run_subcommand(self, subcommand: str) -> None:
        return

    def settings(self) -> Settings:
        """Return the options that were given, as a file has them, and the defaults of those of this program."""
        parser = self._parser(self.subcommand)
        given: Settings = yaml.safe_load(parser.dump(self.config[self.subcommand], skip_none=False))
        if self._left_out:
            del given["model"]["scheduler"]["init_args"]["T_max"]
        own = {option: default for option, (_, default, _) in OPTIONS.items()}
        settings: Settings = merge({**DEFAULTS, **own}, given)
        return settings


def take_resume(words: list[str]) -> tuple[list[str], ResumeRequest | None]:
    """Take ``--resume`` and ``--force`` out of ``fit`` and its options; a folder brings its settings with it.

    Return the words for the parser, and what was asked for; None if the run is a new one.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--resume", nargs="?", const="", default=None)
    parser.add_argument("--force", action="store_true")
    options, others = parser.parse_known_args(words[1:])
    if options.resume is None:
        if options.force:
            raise UserError("--force is for --resume: it goes on with settings that have changed")
        return words, None
    if not options.resume:
        return [words[0], *others], ResumeRequest(None, options.force)
    folder = find_run_folder(expand_home(local_path(options.resume)), with_checkpoint=False)
    rename_classes(folder)
    # The run may have been moved since.
    parent = folder.path.absolute().parent
    place = ["--runs", str(parent.parent), "--name", parent.name]
    return [words[0], "--config", str(folder.config), *others, *place], ResumeRequest(folder, options.force)


def resolve_run(words: list[str]) -> tuple[list[str], RunFolder]:
    """Put a run's config and checkpoint in the place of ``--run FOLDER``.

    ``--ckpt_path`` takes ``best``, ``last`` or a file; by default the best, or the last of a run without
    validation. Without ``--run`` the run is the one that the file lies in. Other options follow the run's config,
    so they win over it. Return the words for the parser, and the run.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--run", type=local_path)
    parser.add_argument("--ckpt_path")
    options, others = parser.parse_known_args(words[1:])
    if options.run is not None:
        folder = find_run_folder(options.run)
    elif options.ckpt_path is not None and Path(options.ckpt_path).is_file():
        folder = find_run_folder(Path(options.ckpt_path).resolve().parent.parent)
    else:
        raise UserError(
            f"{words[0]} needs --run FOLDER, the run to look at: fit prints its name, like runs/mnist"
        )
    rename_classes(folder)
    which = options.ckpt_path or ("best" if folder.best.is_file() else "last")
    checkpoint = folder.checkpoint(which) if which in ("best", "last") else Path(which)
    return [words[0], "--config", str(folder.config), *others, "--ckpt_path", str(checkpoint)], folder


def rename_classes(folder: RunFolder) -> None:
    """Give the classes of a run's config the names of today, if they have those of 0.1."""
    settings = folder.read_config()
    if (today := with_todays_names(settings)) != settings:
        folder.write_config(today)
        print_line(f"note: {folder.config} named classes as 0.1 did; it names them dropout_lab.… now")


def run(words: list[str]) -> None:
    """Run a command; what is wrong with it is said in one line, by a UserError."""
    silence_lightning()
    ask_once_for_gpus()
    source = request = None
    try:
        if "--help" in words:
            # All options, which no run is needed for.
            words = [words[0], "--help"]
        elif words[0] != "fit":
            words, source = resolve_run(words)
        else:
            words, request = take_resume(words)
        with Interrupts() as interrupts:
            found = find_configs(words)
            start_with(words, found)
            _run(found, source, request, interrupts)
    except SyntaxError as error:
        raise UserError(f"{error.filename}, line {error.lineno}: {error.msg}; mend the module") from error
    except (argparse.ArgumentError, ValueError, DataError, MisconfigurationException) as error:
        raise UserError(explain(str(error))) from error
    except ImportError as error:
        raise UserError(describe_import_error(error)) from error
    except RuntimeError as error:
        smaller = "a smaller data.batch_size, a smaller data.image_size or a smaller network"
        line = remedy(error, "model.compile", smaller)
        if line is None:
            raise
        raise UserError(line) from error


def _run(
    words: list[str], source: RunFolder | None, request: ResumeRequest | None, interrupts: Interrupts
) -> None:
    settings = LabCLI(words).settings()
    if settings["run"] is not None:
        raise UserError("fit makes a new run folder: --run is for validate, test and predict; see --name")
    # As flags they were answered before the words were parsed; what is printed has them as they are by default.
    for flag in ("resume", "force"):
        if settings.pop(flag):
            raise UserError(
                f"{flag} is no setting of a run, but a flag: fit --resume FOLDER, with --force if need be"
            )
    settings.pop("run")
    ckpt_path, runs, name = (settings.pop(key) for key in ("ckpt_path", "runs", "name"))
    place = local_path(runs)
    stored = None if ckpt_path is None else read_checkpoint(Path(ckpt_path))
    classes = stored and stored.class_names()
    parts = build(settings, classes=classes, restored=stored is not None or _goes_on(request))
    try:
        if source is None:
            fit(parts, place, name, stored, request, interrupts)
        else:
            assert stored is not None, "resolve_run has named one"
            EVALUATIONS[words[0]](parts, source, stored)
    except BaseException:
        end_others(parts.trainer)
        raise


def _goes_on(request: ResumeRequest | None) -> bool:
    """Return whether the run of a folder that is resumed has a checkpoint to go on from."""
    if request is None or request.folder is None:
        return False
    return request.folder.last.is_file() or request.folder.previous.is_file()
