"""Which command is meant, and how errors reach the user.

Nothing here imports torch: the help of the program answers at once, and a mistyped command too.
"""

import difflib
import importlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from app.errors import StoppedByUser, UserError, told, told_once
from app.interrupts import Interrupted
from app.pages import PAGES

PROGRAM = "dropout-lab"


@dataclass(frozen=True)
class Command:
    """A subcommand: what it does, and the function ``module:run(argv)`` that does it."""

    summary: str
    module: str


COMMANDS = {
    "fit": Command("train a network; makes a run folder with config, logs, checkpoints, result", "app.cli"),
    "validate": Command("measure a run's best checkpoint on the validation split", "app.cli"),
    "test": Command("measure a run's best checkpoint on the test split", "app.cli"),
    "predict": Command("write a run's predictions on the test split to a CSV file", "app.cli"),
    "organize": Command("sort the images of ISIC 2020 into class folders", "app.organize"),
    "study": Command("do the runs of a study, a grid of settings and seeds in one file", "app.study.command"),
    "benchmark": Command("measure what variants, data modules and whole fits cost", "app.benchmark.command"),
    "report": Command("make tables, figures and a page of a study's results", "app.report.command"),
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
