"""Which command is meant, and how errors reach the user.

Nothing here imports torch: the help of the program answers at once, and a mistyped command too.
"""

import difflib
import importlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dropout_lab.app.errors import StoppedByUser, UserError, told, told_once
from dropout_lab.app.run.signals import Interrupted

ALL = "--help_all"

_OPTIONS = f"""\
all of these may stand in YAML files instead, where later ones win; classes are named alone or by import path
  -c, --config FILE                  any number of files; configs/ has some for every data set, network and variant
  --print_config                     all settings as they would be, as YAML; nothing is run
  {ALL}                         all options, those of Lightning's Trainer too
  --data.help CLASS, --model.network.help CLASS, --model.network.dropout.help CLASS
                                     arguments of one class; of a dropout after --model.network or --config
  --debug                            show the traceback of an error
"""

_EVALUATED = f"""\
  --run FOLDER                       the run: runs/NAME/version_N, or runs/NAME for its newest version
  --ckpt_path best | last | FILE     which weights (default: best)
  --data.…, --model.…, --trainer.…   change a setting of the run; figures that are not the run's own are shown, not kept
  --model.mc_samples N               test, predict: average N passes with dropout (Monte Carlo dropout)

{_OPTIONS}"""

PAGES = {
    "fit": f"""\
usage: dropout-lab fit [--config FILE ...] [OPTIONS]

Train a network; makes a run folder with config, logs, checkpoints, result.

the data
  --data CLASS                       DigitsDataModule, MNISTDataModule, CIFAR10DataModule, TinyImageNetDataModule,
                                     ISICDataModule, ImageFolderDataModule, or mine.MyDataModule
  --data.root DIR                    folder that holds the files (default: data)
  --data.download true               fetch them if they are missing, where their owner offers them
  --data.batch_size N                images a batch (default: 100)
the network and its dropout
  --model.network CLASS              FullyConnected, GavierMNIST, GavierCIFAR, AlanCNN, MalDropCNN, VGG16, Backbone,
                                     or mine.MyNetwork
  --model.network.dropout CLASS      NoDropout, StandardDropout, DropIn, DropAlan, MalDrop, SpatialMalDrop, DropAct,
                                     DropInv, DropCorr, GaussianDropout, VariationalDropout, Standout, DropConnect,
                                     SpatialDropout, NestedDropout, MultinomialDropout, Chain, any torch.nn.Module
  --model.network.dropout.p 0.3      its arguments, likewise rho, score, …
  --model.optimizer CLASS            of torch.optim (default: Adam); --model.optimizer.lr 0.01
  --model.scheduler CLASS            of torch.optim.lr_scheduler; --model.scheduler.T_max 20
how it is trained
  --trainer.max_epochs N             (default: 10)
  --trainer.accelerator, --trainer.devices, --trainer.strategy, --trainer.precision
                                     on which and how many devices, in which precision
  --model.compile default, --model.channels_last true, --data.device auto
                                     faster, where it pays: configs/speed.yaml
  --trainer.callbacks+ CLASS         add a callback; configs/callbacks/ has one file each
  --seed_everything N                (default: 0)
the run
  --runs DIR                         folder of all runs (default: runs)
  --name NAME                        of this one (default: data-network-dropout)
  --monitor METRIC                   what best.ckpt is best in (default: val/accuracy)
  --resume [FOLDER]                  go on with a run that was interrupted: that in FOLDER, with its settings, or the
                                     newest of these settings; --force goes on with other settings

{_OPTIONS}
example:  dropout-lab fit --config configs/mnist.yaml --data.download true --model.network.dropout DropAct
""",
    "validate": f"""\
usage: dropout-lab validate --run FOLDER [OPTIONS]

Measure a run's best checkpoint on the validation split.

{_EVALUATED}
example:  dropout-lab validate --run runs/mnist
""",
    "test": f"""\
usage: dropout-lab test --run FOLDER [OPTIONS]

Measure a run's best checkpoint on the test split.

{_EVALUATED}
example:  dropout-lab test --run runs/mnist --model.mc_samples 30
""",
    "predict": f"""\
usage: dropout-lab predict --run FOLDER [OPTIONS]

Write a run's predictions on the test split to a CSV file.

{_EVALUATED}
example:  dropout-lab predict --run runs/mnist
""",
}


PROGRAM = "dropout-lab"


@dataclass(frozen=True)
class Command:
    """A subcommand: what it does, and the function ``module:run(argv)`` that does it."""

    summary: str
    module: str


COMMANDS = {
    "fit": Command(
        "train a network; makes a run folder with config, logs, checkpoints, result", "dropout_lab.app.cli"
    ),
    "validate": Command("measure a run's best checkpoint on the validation split", "dropout_lab.app.cli"),
    "test": Command("measure a run's best checkpoint on the test split", "dropout_lab.app.cli"),
    "predict": Command("write a run's predictions on the test split to a CSV file", "dropout_lab.app.cli"),
    "organize": Command("sort the images of ISIC 2020 into class folders", "dropout_lab.app.organize"),
    "study": Command(
        "do the runs of a study, a grid of settings and seeds in one file", "dropout_lab.app.study.command"
    ),
    "benchmark": Command(
        "measure what variants, data modules and whole fits cost", "dropout_lab.app.benchmark.command"
    ),
    "report": Command(
        "make tables, figures and a page of a study's results", "dropout_lab.app.report.command"
    ),
}

USAGE = f"""\
usage: {PROGRAM} COMMAND [OPTIONS]      (or: python cli.py COMMAND [OPTIONS])

Find out which dropout variant works for a network and a data set, and why.

commands:
{chr(10).join(f"  {name:<10}{command.summary}" for name, command in COMMANDS.items())}

options of every command:
  -h, --help          what a command does, and its options
  -c, --config FILE   options from a YAML file; later files and flags win (fit, validate, test, predict)
  --debug             show the traceback of an error

examples:
  {PROGRAM} fit --config configs/quickstart.yaml
  {PROGRAM} fit --config configs/mnist.yaml --data.root DATA --model.network.dropout NoDropout
  {PROGRAM} test --run runs/mnist
  tensorboard --logdir runs
"""


def main(argv: list[str] | None = None) -> None:
    """Run a command; exit with code 2 and one line if the user can mend what is wrong.

    After Ctrl-C the code is 130, after SIGTERM 143.

    Args:
        argv: the words after the program's name; None takes the process's.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    # A variant, a network or data of one's own are named by import path, from where one stands.
    # At the end, so that a file beside one's data that is called yaml.py or models.py is not taken for the library.
    sys.path.append(str(Path.cwd()))
    if not words or words[0] in ("-h", "--help", "help"):
        sys.stdout.write(USAGE)
        return
    if words[0] in PAGES and {"-h", "--help"} & set(words):
        sys.stdout.write(PAGES[words[0]])
        return
    try:
        with told_once():
            command_named(words[0])(words)
    except (UserError, OSError) as error:
        if debug:
            raise
        said = told(error) if isinstance(error, OSError) else str(error)
        code = error.exit_code if isinstance(error, UserError) else UserError.exit_code
        sys.stderr.write(f"{PROGRAM}: {'error: ' if code == UserError.exit_code else ''}{said}\n")
        sys.exit(code)
    except (Interrupted, KeyboardInterrupt) as stop:
        if debug:
            raise
        code = stop.code if isinstance(stop, Interrupted) else StoppedByUser.exit_code
        sys.stderr.write(f"{PROGRAM}: {str(stop) or 'interrupted'}\n")
        sys.exit(code)


def command_named(name: str) -> Callable[[list[str]], None]:
    """Import the function behind a command.

    Raises:
        UserError: there is no such command.
    """
    if name not in COMMANDS:
        close = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f"did you mean {close[0]}?" if close else f"the commands are {', '.join(COMMANDS)}"
        raise UserError(f"no command {name!r}; {hint}")
    run: Callable[[list[str]], None] = importlib.import_module(COMMANDS[name].module).run
    return run
