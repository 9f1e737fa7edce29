"""The command line of ``study``: its help answers at once, so nothing here imports torch."""

import importlib
import os
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from app.arguments import CommandParser
from app.errors import UserError
from app.study.shortened import FORMS

DESCRIPTION = """\
Do the runs of a study: a grid of settings and seeds in one YAML file. All of it is checked before anything runs.

Runs that are done are kept, so an interrupted study is taken up by giving the command again; those that failed are
tried again. Each run is trained, and its weights that were best in validation are tested. A run's numbers do not
depend on --jobs, nor on --engine, nor on the order.
"""
# Who does the runs: modules with a function ``engine(options)``; what they need is imported with them.
ENGINES = {"pool": "app.study.pool", "ray": "app.study.ray_engine"}

EXAMPLE = "example:  dropout-lab study configs/studies/dropin-table.yaml --quick"


@dataclass(frozen=True)
class Options:
    """What ``study`` is asked for.

    Attributes:
        file: the study.
        studies: folder of all studies' results.
        engine: who does the runs, one of ENGINES.
        jobs: runs at a time; None: as many as there is room for.
        threads: of torch in each.
        gpus_per_run: whole GPUs or a share of one; None: not said.
        timeout: seconds for a run; None: as long as it takes.
        form: one of the study's short forms; None: the whole study.
        only: ``axis=label``, to do some of the runs.
        changes: ``key=value``, settings that win over all others.
        keep_failed: leave out what has failed before.
        dry_run: say what would be done.
        command: the command as it was given.
    """

    file: Path
    studies: Path
    engine: str
    jobs: int | None
    threads: int
    gpus_per_run: float | None
    timeout: float | None
    form: str | None
    only: list[str]
    changes: list[str]
    keep_failed: bool
    dry_run: bool
    command: str


def told(words: list[str]) -> str:
    """Return the command in one line, as a shell takes it; the end of a line within a word becomes a space."""
    return " ".join(shlex.join(["dropout-lab", "study", *words]).splitlines())


def parse(words: list[str]) -> Options:
    """Parse the words after ``study``.

    Raises:
        UserError: an option is wrong.
        SystemExit: help was asked for and given.
    """
    parser = CommandParser("study", DESCRIPTION, EXAMPLE)
    parser.add_argument("file", type=Path, metavar="FILE", help="the study, a YAML file")
    parser.add_argument("--studies", type=Path, default=Path("studies"), metavar="DIR",
                        help="folder of all studies' results (default: studies)")  # fmt: skip
    parser.add_argument("--engine", choices=ENGINES, default="pool",
                        help="who does the runs: processes on this machine, or Ray, on this machine or, where "
                             "RAY_ADDRESS=HOST:PORT is set, on that cluster (default: pool)")  # fmt: skip
    parser.add_argument("--jobs", type=int, metavar="N",
                        help="runs at a time, each in a process (default: as many as there are cores, here "
                             f"{os.cpu_count()}; on a cluster as many as it has room for)")  # fmt: skip
    parser.add_argument("--threads", type=int, default=1, metavar="N",
                        help="threads of torch for each run (default: 1)")  # fmt: skip
    parser.add_argument("--gpus_per_run", "--gpus-per-run", type=float, metavar="N",
                        help="with --engine ray: GPUs for each run, or a share of one, such as 0.25; must be "
                             "given where there are GPUs")  # fmt: skip
    parser.add_argument("--timeout", type=float, metavar="SECONDS",
                        help="stop a run that takes longer; it has then failed (default: never)")  # fmt: skip
    forms = parser.add_mutually_exclusive_group()
    for name, what in FORMS.items():
        forms.add_argument(f"--{name}", action="store_const", const=name, dest="form",
                           help=f"a short form, in the folder NAME-{name}; {what}")  # fmt: skip
    parser.add_argument("--only", nargs="+", action="extend", default=[], metavar="AXIS=LABEL",
                        help="do the runs with these labels; seed=N too")  # fmt: skip
    parser.add_argument("--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE", dest="changes",
                        help="settings that win over the study's, such as data.root=FOLDER")  # fmt: skip
    parser.add_argument("--keep_failed", action="store_true", help="do not try failed runs again")
    parser.add_argument("--dry_run", action="store_true", help="check, and list the runs to be done")
    options = Options(**vars(parser.parse_args(words)), command=told(words))
    for name, value in (("jobs", options.jobs), ("threads", options.threads)):
        if value is not None and value < 1:
            raise UserError(f"--{name} must be 1 or more, got {value}")
    gpus = options.gpus_per_run
    if gpus is not None and not (0 <= gpus <= 1 or (gpus.is_integer() and gpus > 0)):
        raise UserError(f"--gpus_per_run must be a share between 0 and 1 or a whole number, got {gpus:g}")
    if options.timeout is not None and not options.timeout > 0:
        raise UserError(f"--timeout must be above 0 seconds, got {options.timeout:g}")
    return options


def run(words: list[str]) -> None:
    """Do a study's runs.

    Raises:
        UserError: an option or the study is wrong.
        SystemExit: a run has failed; the code is 1.
    """
    options = parse(words[1:])
    study: Callable[[Options], bool] = importlib.import_module("app.study.running").study
    if not study(options):
        raise SystemExit(1)
