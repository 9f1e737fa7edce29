"""The command line of ``study``: its help answers at once, so nothing here imports torch."""

import importlib
import os
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from dropout_lab.app.config.settings import settings_hash
from dropout_lab.app.console import silence_lightning
from dropout_lab.app.errors import CommandParser, StoppedByUser, UserError
from dropout_lab.app.study.folder import StudyFolder, check_same_data, finished, write_results
from dropout_lab.app.study.grid import Run, expand, only, run_settings
from dropout_lab.app.study.one_run import RunTask, build_run
from dropout_lab.app.study.progress import progress
from dropout_lab.app.study.read_spec import read_study
from dropout_lab.app.study.scheduler import Engine
from dropout_lab.app.study.spec import FORMS, PANELS, Study

DESCRIPTION = """\
Do the runs of a study: a grid of settings and seeds in one YAML file. All of it is checked before anything runs.

Runs that are done are kept, so an interrupted study is taken up by giving the command again; those that failed are
tried again. Each run is trained, and its weights that were best in validation are tested. A run's numbers do not
depend on --jobs, nor on --engine, nor on the order.
"""
# Who does the runs: modules with a function ``engine(options)``; what they need is imported with them.
ENGINES = {"pool": "dropout_lab.app.study.local", "ray": "dropout_lab.app.study.ray_cluster"}

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
    study: Callable[[Options], bool] = importlib.import_module("dropout_lab.app.study.command").study
    if not study(options):
        raise SystemExit(1)


def study(options: Options) -> bool:
    """Do a study's runs; return whether all that were to be done have ended well.

    Raises:
        UserError: something in the study or in the options is wrong; nothing has been run then.
    """
    console = Console(soft_wrap=True, highlight=False)
    asked = read_study(options.file, options.form, options.changes)
    runs = expand(asked)
    wanted = only(asked, runs, options.only)
    if not wanted:
        raise UserError(f"--only {' '.join(options.only)}: no run of the study has these labels together")
    folder = StudyFolder(options.studies.expanduser() / asked.name)
    ended = [run for run, _ in finished(folder, wanted)]
    hashes = {run.hash for run in ended}
    missing = [
        run
        for run in wanted
        if run.hash not in hashes and not (options.keep_failed and folder.run(run).failure() is not None)
    ]
    check_same_data(folder, ended)
    make: Callable[[Options], Engine] = importlib.import_module(ENGINES[options.engine]).engine
    engine = make(options)
    silence_lightning()
    check(options.file, asked, missing)
    done = len(wanted) - len(missing)
    console.print(f"study {asked.name}: {len(wanted):,} runs, {done:,} done before", markup=False)
    if options.dry_run:
        for run in missing:
            console.print(f"  {run.hash}  {run.title}", markup=False)
        return True
    folder.write(asked)
    folder.note(options.command)
    panels = PANELS in asked.report.figures
    tasks = [RunTask(run, folder.run(run), panels=panels, command=options.command) for run in missing]
    try:
        _do(engine, tasks, console)
    finally:
        write_results(folder, runs)
    return _report(console, folder, wanted)


def check(file: Path, study: Study, runs: Sequence[Run]) -> None:
    """Build each combination once, with its data read, so that what is wrong is found before anything runs.

    Raises:
        UserError: something in the settings is wrong.
    """
    seen = set()
    for run in runs:
        name = settings_hash(run_settings(study, run.labels, study.seeds[0]))
        if name in seen:
            continue
        seen.add(name)
        try:
            parts = build_run(run.settings)
        except UserError as error:
            raise UserError(f"{file}: run {run.title}: {error}") from error
        train = parts.model.logged_metrics()
        tested = [name.replace("val/", "test/") for name in train if name.startswith("val/")]
        watched = [*study.report.metrics, *([study.select.by] if study.select else [])]
        watched += [metric for numbers in study.paper for metric in numbers.metrics]
        # Without the moment of val/accuracy@5.
        for metric in (name.partition("@")[0] for name in watched):
            split = metric.partition("/")[0]
            if (
                split in ("train", "val", "test")
                and "/" in metric
                and metric not in [*train, *tested, "test/entropy"]
            ):
                raise UserError(
                    f"{file}: no metric {metric!r} in run {run.title}; there are {', '.join([*train, *tested])}"
                )


def _do(engine: Engine, tasks: list[RunTask], console: Console) -> None:
    with progress(console, len(tasks)) as on_event:
        try:
            engine.run(tasks, on_event)
        except KeyboardInterrupt:
            raise StoppedByUser(
                "interrupted; what is done is kept: give the command again to go on"
            ) from None


def _report(console: Console, folder: StudyFolder, wanted: list[Run]) -> bool:
    done = finished(folder, wanted)
    stopped = sum(result.stopped is not None for _, result in done)
    failed = [(run, reason) for run in wanted if (reason := folder.run(run).failure()) is not None]
    for run, reason in failed:
        files = folder.run(run)
        console.print(f"\nfailed: {run.title}\n  {reason}\n  {files.log}", markup=False)
        for line in files.log_end():
            console.print(f"  | {line}", markup=False)
    notes = f", {stopped:,} of them stopped by CollapseDetector" if stopped else ""
    console.print(
        f"{len(done):,} of {len(wanted):,} runs are done{notes}, {len(failed):,} failed", markup=False
    )
    console.print(f"results      {folder.results_file}", markup=False)
    if done:
        console.print(f"look at it   dropout-lab report {shlex.quote(str(folder.path))}", markup=False)
    return len(done) == len(wanted)
