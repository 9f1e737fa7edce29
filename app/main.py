"""Which command is meant, and how errors reach the user.

Nothing here imports torch: the help of the program answers at once, and a mistyped command too.
"""

import os
import sys
from collections.abc import Callable

from dropout_lab import __version__
from dropout_lab.app.cluster import check_cluster
from dropout_lab.app.errors import StoppedByUser, UserError, describe_os_error, quiet_tensorboard, suggest
from dropout_lab.app.files import find_own_modules
from dropout_lab.app.run.signals import Interrupted
from dropout_lab.app.streams import lasting_streams, write_error

PROGRAM = "dropout-lab"
ALL = "--help_all"

COMMANDS = {
    "fit": "train a network; makes a run folder with config, logs, checkpoints, result",
    "validate": "measure a run's best checkpoint on the validation split",
    "test": "measure a run's best checkpoint on the test split",
    "predict": "write a run's predictions on the test split to a CSV file",
    "configs": "list, show and copy the configs that come with the program",
    "organize": "sort the images of ISIC 2020 into class folders",
    "compare": "find out which dropout suits a network and images, from a few words",
    "study": "do the runs of a study, a grid of settings and seeds in one file",
    "benchmark": "measure what dropout variants cost: a step, evaluation, memory",
    "report": "make tables, figures and a page of a study's results",
}

_OPTIONS = f"""\
all of these may stand in YAML files instead, where later ones win; classes are named alone or by import path
  -c, --config FILE                  any number of files, shipped ones by name: `dropout-lab configs` lists them
  --print_config                     all settings as they would be, as YAML; nothing is run
  {ALL}                         all options, those of Lightning's Trainer too
  --data.help CLASS, --model.network.help CLASS, --model.network.dropout.help CLASS
                                     arguments of one class; of a dropout after --model.network or --config
  --debug                            show the traceback of an error
"""

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
  --model.network.dropout CLASS      NoDropout, StandardDropout, DropIn, DropAlan, MalDrop, SpatialMalDrop,
                                     MaliciousDropConnect, DropAct, DropInv, DropCorr, GaussianDropout,
                                     VariationalDropout, Standout, DropConnect, SpatialDropout, NestedDropout,
                                     MultinomialDropout, Chain, any torch.nn.Module
  --model.optimizer CLASS            of torch.optim (default: Adam); --model.optimizer.lr 0.01
  --model.scheduler CLASS            of torch.optim.lr_scheduler; --model.scheduler.T_max 20
how it is trained
  --trainer.max_epochs N             (default: 10)
  --trainer.accelerator, --trainer.devices, --trainer.strategy, --trainer.precision
                                     on which and how many devices, in which precision
  --model.compile default, --model.channels_last true, --data.device auto
                                     faster, where it pays: --config speed
  --trainer.callbacks+ CLASS         add a callback; or --config callbacks/timing and the like
  --seed_everything N                (default: 0)
the run
  --runs DIR                         folder of all runs (default: runs)
  --name NAME                        of this one (default: data-network-dropout)
  --monitor METRIC                   what best.ckpt is best in (default: val/accuracy)
  --resume [FOLDER]                  go on with a run that was interrupted: that in FOLDER, with its settings, or the
                                     newest of these settings; --force goes on with other settings

{_OPTIONS}
example:  dropout-lab fit --config mnist --data.download true --model.network.dropout DropAct
""",
}
for _name, _example in (("validate", ""), ("test", " --model.mc_samples 30"), ("predict", "")):
    PAGES[_name] = f"""\
usage: dropout-lab {_name} --run FOLDER [OPTIONS]

{COMMANDS[_name][0].upper()}{COMMANDS[_name][1:]}.

  --run FOLDER                       the run: runs/NAME/version_N, or runs/NAME for its newest version; of a study
                                     studies/STUDY/runs/RUN
  --ckpt_path best | last | FILE     which weights (default: best)
  --data.…, --model.…, --trainer.…   change a setting of the run; figures that are not the run's own are shown, not kept
  --model.mc_samples N               test, predict: average N passes with dropout (Monte Carlo dropout)

{_OPTIONS}
example:  dropout-lab {_name} --run runs/mnist{_example}
"""

USAGE = f"""\
usage: {PROGRAM} COMMAND [OPTIONS]      (or: python cli.py COMMAND [OPTIONS])

Find out which dropout variant works for a network and a data set, and why.

commands:
{chr(10).join(f"  {name:<10}{summary}" for name, summary in COMMANDS.items())}

options of every command:
  -h, --help          what a command does, and its options
  -c, --config FILE   options from a YAML file; later files and flags win (fit, validate, test, predict)
  --debug             show the traceback of an error
  --version           show the program's version

examples:
  {PROGRAM} compare --data digits
  {PROGRAM} fit --config quickstart
  {PROGRAM} fit --config mnist --data.root DATA --model.network.dropout NoDropout
  {PROGRAM} test --run runs/mnist
  tensorboard --logdir runs
"""


def main(argv: list[str] | None = None) -> None:
    """Run a command; exit with code 2 and one line if the user can mend what is wrong.

    After Ctrl-C the code is 130, after SIGTERM 143, after SIGUSR1 138.

    Args:
        argv: the words after the program's name; None takes the process's.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    # Figures are files. A notebook's backend, which matplotlib would look for when it is imported, may not be there.
    os.environ["MPLBACKEND"] = "agg"
    try:
        with lasting_streams():
            find_own_modules()
            _answer(words)
    except (UserError, OSError, Interrupted, KeyboardInterrupt) as error:
        if debug:
            raise
        match error:
            case StoppedByUser():
                code, line = error.exit_code, str(error)
            case UserError():
                code, line = error.exit_code, f"error: {error}"
            case OSError():
                code, line = UserError.exit_code, f"error: {describe_os_error(error)}"
            case Interrupted():
                code, line = error.code, str(error)
            case KeyboardInterrupt():
                code, line = StoppedByUser.exit_code, "interrupted"
        write_error(f"{PROGRAM}: {line}")
        sys.exit(code)


def _answer(words: list[str]) -> None:
    if not words or words[0] in ("-h", "--help", "help"):
        sys.stdout.write(USAGE)
    elif words[0] == "--version":
        sys.stdout.write(f"{PROGRAM} {__version__}\n")
    elif words[0] in PAGES and {"-h", "--help"} & set(words):
        sys.stdout.write(PAGES[words[0]])
    else:
        check_utf8(words)
        check_cluster()
        with quiet_tensorboard():
            command_named(words[0])([words[0], "--help"] if ALL in words else words)


def check_utf8(words: list[str]) -> None:
    """Raise UserError if a word has bytes that are not UTF-8, which no config, page or table could keep."""
    for word in words:
        if (shown := word.encode("utf-8", "backslashreplace").decode()) != word:
            raise UserError(
                f"{shown} is not UTF-8, and cannot be kept in a config: rename it, or give a link to it"
            )


def command_named(name: str) -> Callable[[list[str]], None]:
    """Import the function behind a command, which takes the command's name and its options."""
    match name:
        case "fit" | "validate" | "test" | "predict":
            from dropout_lab.app.cli import run
        case "configs":
            from dropout_lab.app.config.shipped import run
        case "organize":
            from dropout_lab.app.organize import run
        case "compare":
            from dropout_lab.app.compare.command import run
        case "study":
            from dropout_lab.app.study.command import run
        case "benchmark":
            from dropout_lab.app.benchmark.command import run
        case "report":
            from dropout_lab.app.report.command import run
        case _:
            hint = suggest(name, COMMANDS, f"the commands are {', '.join(COMMANDS)}")
            raise UserError(f"no command {name!r}; {hint}")
    return run
