"""The command line of ``study``: its help answers at once, so torch is imported when something is built."""

import math
import shlex
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from itertools import groupby
from pathlib import Path
from time import monotonic

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from dropout_lab.app.config.shipped import find_config
from dropout_lab.app.errors import CommandParser, StoppedByUser, UserError
from dropout_lab.app.files import expand_home, local_path
from dropout_lab.app.study.folder import (
    CheckpointKeeper,
    StudyFolder,
    check_same_data,
    finished,
    write_results,
)
from dropout_lab.app.study.grid import Run, expand, only
from dropout_lab.app.study.known import read_known, take
from dropout_lab.app.study.read_spec import read_study
from dropout_lab.app.study.rounds import Outcomes, Rounds, WholeGrid
from dropout_lab.app.study.run_files import RunResult, RunTask
from dropout_lab.app.study.scheduler import Engine, Event, Failed, OnEvent, Started
from dropout_lab.app.study.spec import FORMS, PANELS, Study
from dropout_lab.app.terminal import Terminal

DESCRIPTION = """\
Do the runs of a study: a grid of settings and seeds in one YAML file. All of it is checked before anything runs.

Runs that are done are kept, so an interrupted study is taken up by giving the command again; those that failed are
tried again. Each run is trained, and its weights that were best in validation are tested. A run's numbers do not
depend on --jobs, nor on --engine, nor on the order.
"""
MOST_AT_A_TIME = 4096
EXAMPLE = "example:  dropout-lab study dropin-table --quick"


def parse(words: list[str]) -> Namespace:
    """Parse the words after ``study``; ``command`` is all of them in one line, as a shell takes it."""
    parser = CommandParser("study", DESCRIPTION, EXAMPLE)
    here = ""
    if {"-h", "--help"} & set(words):
        here = f", here {_cpus()}"
    add = parser.add_argument
    # fmt: off
    add("file", type=Path, metavar="FILE",
        help="the study: a YAML file, or the name of a shipped one; `dropout-lab configs` lists them")
    add("--studies", type=local_path, default=Path("studies"), metavar="DIR",
        help="folder of all studies' results (default: studies)")
    add("--engine", choices=("pool", "ray"), default="pool",
        help="who does the runs: processes on this machine, or Ray, on this machine or, where RAY_ADDRESS=HOST:PORT "
             "is set, on that cluster (default: pool)")
    add("--jobs", type=int, metavar="N",
        help=f"runs at a time, each in a process (default: as many as CPUs that it may use{here}; "
             "on a cluster as many as it has room for)")
    add("--threads", type=int, default=1, metavar="N", help="threads of torch for each run (default: 1)")
    add("--gpus_per_run", type=float, metavar="N",
        help="with --engine ray: GPUs for each run, or a share of one, such as 0.25; must be given where there are "
             "GPUs")
    add("--timeout", type=float, metavar="SECONDS",
        help="stop a run that takes longer; it has then failed (default: never)")
    forms = parser.add_mutually_exclusive_group()
    for name, what in FORMS.items():
        forms.add_argument(f"--{name}", action="store_const", const=name, dest="form",
                           help=f"a short form, in the folder NAME-{name}; {what}")
    add("--only", nargs="+", action="extend", default=[], metavar="AXIS=LABEL",
        help="do the runs with these labels; seed=N too")
    add("--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE", dest="changes",
        help="settings that win over the study's, such as data.root=FOLDER")
    add("--known", type=local_path, metavar="FILE",
        help="take finished runs back from a results.csv of this study, as of another machine: their figures, not "
             "their curves or weights")
    add("--keep", choices=("best", "all", "none"), default="best",
        help="whose checkpoints stay: of the best run of each row of the report, of all runs, or of none "
             "(default: best)")
    add("--tensorboard", action="store_true", help="TensorBoard's events in each run's folder")
    add("--keep_failed", action="store_true", help="do not try failed runs again")
    add("--race", action="store_true",
        help="one seed for every candidate; those surely behind in validation are dropped, and further seeds go to "
             "those that may be best, until one is better than the baseline for sure, or the study's seeds are used")
    add("--minutes", type=float, metavar="M",
        help="with --race: end after so many minutes; what is saved goes on when the command is given again")
    add("--plan", action="store_true",
        help="say how long the study takes and what difference its seeds can show, by the spread of its finished runs; "
             "of rows without any, three seeds are run first, and kept")
    add("--dry_run", action="store_true", help="check, and list the runs to be done")
    # fmt: on
    options = parser.parse_args(words)
    # The end of a line within a word becomes a space.
    options.command = " ".join(shlex.join(["dropout-lab", "study", *words]).splitlines())
    check_workers(options)
    gpus = options.gpus_per_run
    if gpus is not None and not (0 <= gpus <= 1 or (gpus.is_integer() and gpus > 0)):
        raise UserError(f"--gpus_per_run must be a share between 0 and 1 or a whole number, got {gpus:g}")
    if options.minutes is not None and not options.race:
        raise UserError("--minutes is the time of a race: give --race too")
    if options.minutes is not None and not 0 < options.minutes < math.inf:
        raise UserError(f"--minutes must be above 0, got {options.minutes:g}; leave it out for no limit")
    if options.timeout is not None and not 0 < options.timeout < math.inf:
        raise UserError(
            f"--timeout must be above 0 seconds, got {options.timeout:g}; leave it out for no limit"
        )
    return options


def check_workers(options: Namespace) -> None:
    """Check how many runs are done at a time, and with how many threads."""
    for name, value in (("jobs", options.jobs), ("threads", options.threads)):
        if value is not None and not 1 <= value <= MOST_AT_A_TIME:
            allowed = "1 or more" if value < 1 else f"{MOST_AT_A_TIME} or less"
            raise UserError(f"--{name} must be {allowed}, got {value}")


def make_engine(options: Namespace) -> Engine:
    """Make who does the runs, whose own imports are made here."""
    if options.engine == "ray":
        from dropout_lab.app.study.ray_cluster import RayEngine

        return RayEngine(options.jobs, options.threads, options.timeout, options.gpus_per_run)
    from dropout_lab.app.study.local import PoolEngine

    if options.gpus_per_run is not None:
        raise UserError("--gpus_per_run shares GPUs out with --engine ray alone")
    return PoolEngine(options.jobs, options.threads, options.timeout)


def run(words: list[str]) -> None:
    """Do a study's runs; what is wrong in it is found before anything runs. The exit code is 1 if a run fails."""
    options = parse(words[1:])
    study = read_study(find_config(options.file, group="studies"), options.form, options.changes)
    if not do_study(study, options):
        raise SystemExit(1)


def do_study(study: Study, options: Namespace, tried: bool = False) -> bool:
    """Do a study's runs; return whether none has failed.

    Args:
        study: what is asked.
        options: how, as :func:`parse` returns them.
        tried: it is known that all of its runs can be built.
    """
    console = Terminal(soft_wrap=True, highlight=False, markup=False)
    runs = expand(study)
    wanted = only(study, runs, options.only)
    if not wanted:
        raise UserError(f"--only {' '.join(options.only)}: no run of the study has these labels together")
    rounds = make_rounds(study, wanted, options)
    folder = StudyFolder(expand_home(options.studies) / study.name)
    folder.check_links()
    known = [] if options.known is None else read_known(options.known, study, runs)
    outcomes = look(folder, wanted, options.keep_failed)
    check_same_data(folder, [run for run in wanted if outcomes.get(run.hash) is not None])
    engine = make_engine(options)
    engine.until = math.inf if options.minutes is None else monotonic() + 60 * options.minutes
    hashes = {run.hash for run in wanted}
    there = {row.run.hash: row.result for row in known if row.run.hash in hashes} | outcomes
    if not tried:
        check(options.file, study, [run for run in wanted if run.hash not in there])
    most = "at most " if options.race else ""
    console.print(f"study {study.name}: {most}{len(wanted):,} runs, {len(there):,} done before")
    if options.known is not None and options.dry_run:
        console.print(
            f"known    {options.known}: {len(known):,} runs, which would be taken where they are not here"
        )
    if options.dry_run:
        for run in rounds.todo(there):
            console.print(f"  {run.hash}  {run.title}")
        return True
    folder.write(study)
    folder.note(options.command)
    if options.known is not None:
        told = take(known, folder, options.known, options.command)
        console.print(f"known    {options.known}: {len(known):,} runs, {', '.join(told) or 'none taken'}")
        outcomes = look(folder, wanted, options.keep_failed)
    keeper = CheckpointKeeper(folder, study, options.keep)
    for run, result in finished(folder, runs):
        keeper.add(run, result)
    panels = PANELS in study.report.figures
    try:
        while todo := rounds.todo(outcomes):
            if not _has_time(engine, todo, outcomes, options.jobs):
                console.print(
                    f"the next {len(todo):,} runs would not end within the {options.minutes:g} minutes"
                )
                break
            for line in rounds.before(outcomes):
                console.print(line)
            tasks = [
                RunTask(run, folder.run(run), panels, options.command, options.tensorboard) for run in todo
            ]
            with progress(console, len(tasks)) as on_event:

                def tell_and_keep(task: RunTask, event: Event, tell: OnEvent = on_event) -> None:
                    tell(task, event)
                    if isinstance(event, RunResult):
                        keeper.add(task.run, event)
                    if not isinstance(event, Started):
                        outcomes[task.run.hash] = event if isinstance(event, RunResult) else None

                engine.run(tasks, tell_and_keep)
            if not outcomes.keys() >= {run.hash for run in todo}:
                break
    except KeyboardInterrupt:
        raise StoppedByUser("interrupted; what is done is kept: give the command again to go on") from None
    finally:
        write_results(folder.results_file, study.axes, finished(folder, runs))
        rounds.note(folder, outcomes)
    for line in rounds.after(outcomes):
        console.print(line)
    asked = [run for run in wanted if run.hash in outcomes] if options.race or options.plan else wanted
    return _report(console, folder, asked)


def make_rounds(study: Study, wanted: Sequence[Run], options: Namespace) -> Rounds:
    """Make what decides which runs are next."""
    if options.plan:
        from dropout_lab.app.study.plan import Plan

        return Plan(study, wanted, options.jobs or _cpus(), options.race)
    if options.race:
        from dropout_lab.app.study.race import StudyRace

        return StudyRace(study, wanted)
    return WholeGrid(wanted)


def _cpus() -> int:
    # What takes a moment to import.
    from joblib import cpu_count

    return int(cpu_count())


def look(folder: StudyFolder, wanted: Sequence[Run], keep_failed: bool) -> dict[str, RunResult | None]:
    """Return what has ended in the folder; what has failed is to be done again, unless it is kept."""
    outcomes: dict[str, RunResult | None] = {run.hash: result for run, result in finished(folder, wanted)}
    if keep_failed:
        missing = [run for run in wanted if run.hash not in outcomes]
        outcomes |= {run.hash: None for run in missing if folder.run(run).failure() is not None}
    return outcomes


def _has_time(engine: Engine, todo: Sequence[Run], outcomes: Outcomes, jobs: int | None) -> bool:
    """Return whether runs are likely to end in time; of the first ones that is not known."""
    seconds = [result.seconds for result in outcomes.values() if result is not None]
    if not seconds or engine.until == math.inf:
        return True
    turns = math.ceil(len(todo) / min(len(todo), jobs or _cpus()))
    return monotonic() + turns * sum(seconds) / len(seconds) <= engine.until


def check(file: Path, study: Study, runs: Sequence[Run]) -> None:
    """Build each combination once, with its data read, so that what is wrong is found before anything runs."""
    from dropout_lab.app.console import silence_lightning
    from dropout_lab.app.study.one_run import build_run

    silence_lightning()
    watched = [*study.report.metrics, *([study.select.by] if study.select else [])]
    watched += [metric for numbers in study.paper for metric in numbers.metrics]
    watched += [metric for curve in study.curves for metric in curve.series]
    for _, (run, *_) in groupby(runs, key=lambda run: run.labels):
        try:
            parts = build_run(run.settings)
        except UserError as error:
            raise UserError(f"{file}: run {run.title}: {error}") from error
        logged = parts.model.logged_metrics()
        logged += [name.replace("val/", "test/") for name in logged if name.startswith("val/")]
        # Without the moment of val/accuracy@5.
        for metric in (name.partition("@")[0] for name in watched):
            if metric.startswith(("train/", "val/", "test/")) and metric not in [*logged, "test/entropy"]:
                raise UserError(
                    f"{file}: no metric {metric!r} in run {run.title}; there are {', '.join(logged)}"
                )


@contextmanager
def progress(console: Console, total: int) -> Iterator[OnEvent]:
    """Show how many runs go on and have failed, and the time left: a bar on a terminal, a line a run elsewhere."""
    start, running, ended, failed = monotonic(), set[str](), 0, 0
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        row = bar.add_task("starting", total=total)

        def on_event(task: RunTask, event: Event) -> None:
            nonlocal ended, failed
            if isinstance(event, Started):
                running.add(task.run.hash)
            else:
                running.discard(task.run.hash)
                ended += 1
                failed += isinstance(event, Failed)
            state = f"{len(running)} running, {failed} failed"
            if ended:
                seconds = (monotonic() - start) / ended * (total - ended)
                state += f", {timedelta(seconds=round(seconds))} left"
            if console.is_terminal:
                if isinstance(event, Failed):
                    console.print(f"failed  {task.run.title}  {event.reason}")
                bar.update(row, completed=ended, description=state)
            elif not isinstance(event, Started):
                console.print(
                    f"{ended}/{total}  ({state})  {task.run.title}  {_outcome(event)}", markup=False
                )

        yield on_event


def _outcome(event: Failed | RunResult) -> str:
    """Say in a few words how a run has ended."""
    if isinstance(event, Failed):
        return f"failed: {event.reason}"
    metrics = [(name, event.metrics.get(name)) for name in ("val/accuracy", "test/accuracy")]
    shown = [f"{name} {value:.4f}" for name, value in metrics if value is not None]
    return "  ".join([*shown, f"{event.seconds:.1f} s", *([event.stopped] if event.stopped else [])])


def _report(console: Console, folder: StudyFolder, wanted: list[Run]) -> bool:
    done = finished(folder, wanted)
    stopped = sum(result.stopped is not None for _, result in done)
    failed = [(run, reason) for run in wanted if (reason := folder.run(run).failure()) is not None]
    for run, reason in failed:
        files = folder.run(run)
        console.print(f"\nfailed: {run.title}\n  {reason}\n  {files.log}")
        for line in files.log_end():
            console.print(f"  | {line}")
    notes = f", {stopped:,} of them stopped by CollapseDetector" if stopped else ""
    console.print(f"{len(done):,} of {len(wanted):,} runs are done{notes}, {len(failed):,} failed")
    console.print(f"results      {folder.results_file}")
    if done:
        console.print(f"look at it   dropout-lab report {shlex.quote(str(folder.path))}")
    return len(done) == len(wanted)
