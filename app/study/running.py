"""Does a study: checks it, does what is missing, and says what has come of it."""

import importlib
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

from app.console import silence_lightning
from app.errors import StoppedByUser, UserError
from app.study.building import build
from app.study.command import ENGINES, Options
from app.study.engine import Engine
from app.study.folders import StudyFolder
from app.study.grid import Run, expand, only, run_settings
from app.study.one_run import RunTask
from app.study.progress import progress
from app.study.reading import read_study
from app.study.results import finished, write_results
from app.study.same_data import check_same_data
from app.study.settings import settings_hash
from app.study.spec import PANELS, Study


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
            parts = build(run.settings, Path())
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
