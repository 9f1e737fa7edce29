"""The command line of ``compare``: its help answers at once, so torch is imported when something is built."""

import json
import shlex
from argparse import Namespace
from itertools import count
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from dropout_lab.app.compare.budget import duration
from dropout_lab.app.compare.question import BASELINE, ask, title
from dropout_lab.app.config.settings import Settings, network_of, short_name
from dropout_lab.app.errors import CommandParser, StoppedByUser, UserError
from dropout_lab.app.files import expand_home, local_path
from dropout_lab.app.records import read_record, write_record
from dropout_lab.app.study.command import check_workers, do_study
from dropout_lab.app.study.command import parse as parse_study
from dropout_lab.app.study.folder import StudyFolder
from dropout_lab.app.study.read_spec import read_study
from dropout_lab.app.study.spec import Study
from dropout_lab.app.terminal import Terminal

if TYPE_CHECKING:
    from dropout_lab.app.compare.fitting import Fitting

DESCRIPTION = """\
Which dropout suits a network and images, and does it matter? Finds out what fits the network, says what it will do and
how long that takes, trains every variant at several rates over several seeds, goes on with those that may be best,
stops when the verdict is settled or the minutes are over, and reports. Nothing but --data must be given.

What is asked is written as a study, STUDIES/NAME/study.yaml, which can be kept, changed and run with `study`. Given
again, the command goes on where it was.
"""
EXAMPLE = """\
settings of the runs, as for `fit`; `fit --help` lists them:
  --data.…, --model.…, --trainer.…, --monitor METRIC

examples:
  dropout-lab compare --data digits
  dropout-lab compare --data FOLDER --network Backbone resnet18 --minutes 60
  dropout-lab compare --data mnist --data.root FOLDER --variants standard gaussian --trainer.max_epochs 5
  dropout-lab compare --data FOLDER --network mine.Net --plan
"""
MOST_MINUTES = 60 * 24 * 365
MOST_SEEDS = 1000
# Beside the study that has come of it.
QUESTION = "question.json"


def parse(words: list[str]) -> tuple[Namespace, list[str]]:
    """Parse the words after ``compare``; return options, and the words that are settings of the runs."""
    parser = CommandParser("compare", DESCRIPTION, EXAMPLE)
    add = parser.add_argument
    # fmt: off
    add("--data", metavar="DATA",
        help="a folder that holds a folder of images for each class, or train, val and test with such folders; a data "
             "set of `dropout-lab configs`, as digits, which need no download; or a class")
    add("--network", "--model.network", nargs="+", metavar="NETWORK",
        help="a class, or a network of `dropout-lab configs`; with a second word, its name, as in Backbone resnet18 "
             "(default: one that suits the data)")
    add("-c", "--config", nargs="+", action="extend", default=[], metavar="NAME",
        help="configs of a fit: data, network, training")
    add("--variants", nargs="+", metavar="VARIANT",
        help="compare these with none: names of the shipped study compare, or classes, with arguments as in Python "
             "(default: all that fit)")
    add("--rates", nargs="+", type=float, metavar="P",
        help="rates of each variant that has one (default: 0.1 0.25 0.5)")
    add("--seeds", type=int, default=10, metavar="N", help="seeds of a candidate at most (default: 10)")
    add("--minutes", type=float, default=20.0, metavar="M",
        help="how long it may take; runs are as long as fits, unless trainer.max_epochs says so (default: 20)")
    add("--plan", action="store_true", help="say what would be done and how long it takes, and end")
    add("--full", action="store_true", help="give every candidate all seeds, whatever the minutes")
    add("--jobs", type=int, metavar="N", help="runs at a time (default: as many as CPUs that it may use)")
    add("--threads", type=int, default=1, metavar="N", help="threads of torch for each run (default: 1)")
    add("--name", metavar="NAME", help="of the study (default: compare-DATA-NETWORK)")
    add("--studies", type=local_path, default=Path("studies"), metavar="DIR",
        help="folder of all studies' results (default: studies)")
    # fmt: on
    options, others = parser.parse_known_args(words)
    # The end of a line within a word becomes a space.
    options.command = " ".join(shlex.join(["dropout-lab", "compare", *words]).splitlines())
    _check(options)
    return options, others


def _check(options: Namespace) -> None:
    if not 0 < options.minutes <= MOST_MINUTES:
        raise UserError(f"--minutes must be above 0 and at most a year, got {options.minutes:g}")
    if not 1 <= options.seeds <= MOST_SEEDS:
        raise UserError(f"--seeds must be from 1 to {MOST_SEEDS}, got {options.seeds}")
    check_workers(options)
    for rate in options.rates or ():
        if not 0 < rate < 1:
            raise UserError(f"--rates must be between 0 and 1, got {rate:g}")
    if options.rates and len({*options.rates}) < len(options.rates):
        raise UserError(f"--rates: each once, got {' '.join(map(str, options.rates))}")


def run(words: list[str]) -> None:
    """Find out what fits, say what will be done, do it, report it. The exit code is 1 if a run fails."""
    options, settings = parse(words[1:])
    console = Terminal(soft_wrap=True, highlight=False, markup=False)
    question = ask(options, settings)
    folder = folder_of(options, question)
    start = perf_counter()
    begun = folder.study_file.exists()
    if begun:
        console.print(f"study      {folder.study_file}, which is gone on with")
        study = with_seeds(read_study(folder.study_file), options.seeds)
    else:
        study = _new(options, question, folder.path.name, console)
    if options.plan:
        return
    folder.write(study)
    write_record(folder.path / QUESTION, _same(question))
    console.print(f"written    {folder.study_file}")
    try:
        done = _do(options, folder, study, 60 * options.minutes - (perf_counter() - start), tried=not begun)
    except StoppedByUser as stop:
        again = "give the command again to go on"
        raise StoppedByUser(
            f"interrupted; {again}, or see what there is: {_report_command(folder)}"
        ) from stop
    _report(options, folder, console)
    if not done:
        raise SystemExit(1)


def folder_of(options: Namespace, question: Settings) -> StudyFolder:
    """Return the folder of the same question, or a new one; UserError if that of --name is of another question."""
    studies = expand_home(options.studies)
    name = options.name or f"compare-{title(question['base']['settings'])}"
    for number in count(1):
        folder = StudyFolder(studies / (name if number == 1 else f"{name}-{number}"))
        known = _asked(folder)
        if not folder.study_file.exists() or known == _same(question):
            return folder
        if options.name is not None:
            raise UserError(
                f"--name {name}: {folder.path} answers another question; choose another name, or go on with it: "
                f"dropout-lab study {folder.study_file}"
            )
    raise AssertionError("count has no end")


def _asked(folder: StudyFolder) -> Any:
    """Return what a folder's study was asked, without its seeds; None where nothing was."""
    return read_record(
        folder.path / QUESTION, TypeAdapter(dict[str, Any]), "remove it, and give the command again"
    )


def _same(question: Settings) -> Any:
    """Return a question as its record has it: more seeds of the same candidates are the same question."""
    return json.loads(json.dumps({**question, "seeds": question["seeds"]["vary"]}))


def _new(options: Namespace, question: Settings, name: str, console: Terminal) -> Study:
    """Return a study whose runs fit the network and the minutes, and print what it is."""
    # It imports torch.
    from joblib import cpu_count

    from dropout_lab.app.compare.fitting import Room, fit_to_network, study_of
    from dropout_lab.app.run.signals import Interrupts
    from dropout_lab.app.study.one_run import prepare

    prepare(options.threads)
    jobs = options.jobs or cpu_count()
    room = Room(options.minutes, jobs, options.seeds, options.rates is None and not options.full)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with (
        Interrupts(),
        Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar,
    ):
        row = bar.add_task("trying what fits", total=None)
        fitting = fit_to_network(
            {**question, "name": name}, room, lambda done, all_: bar.update(row, completed=done, total=all_)
        )
    for line in [*_subject(fitting), *_planned(options, fitting, jobs)]:
        console.print(line)
    return study_of(fitting.content)


def _subject(fitting: "Fitting") -> list[str]:
    """Say what is compared, in which network, on which images, and what does not fit."""
    splits = fitting.parts.data.splits
    sizes = (
        f"{len(split.labels):,} {name}"
        for name, split in zip(("training", "validation", "test"), splits, strict=True)
    )
    settings = fitting.content["base"]["settings"]
    network = network_of(settings)
    name = " ".join(filter(None, (short_name(network), network["init_args"].get("name"))))
    batch = f"batches of {fitting.parts.data.batch_size}"
    return [
        f"data       {short_name(settings['data'])}: {', '.join(sizes)} images, "
        f"{fitting.parts.data.num_classes} classes, {batch}",
        f"network    {name}: {sum(each.numel() for each in fitting.parts.model.network.parameters()):,} weights",
        *(f"left out   {line}" for line in fitting.left_out),
    ]


def _planned(options: Namespace, fitting: "Fitting", jobs: int) -> list[str]:
    """Say what will be done and how long it takes."""
    budget, grid = fitting.budget, fitting.content["grid"]
    others, rates = [each for each in grid["variant"] if each != BASELINE], grid.get("rate", {})
    step = fitting.costs[BASELINE].step
    at = f" at {'rates' if len(rates) > 1 else 'rate'} {', '.join(map(str, rates))}" if rates else ""
    lines = [
        f"candidates {budget.first}: {BASELINE}, and {len(others)} variants{at}",
        f"plan       a run of each; then further seeds, {options.seeds} at most, for those that may be best: "
        f"{budget.planned} runs or so",
    ]
    lines.append(
        f"a run      {budget.epochs:.3g} epochs, a step takes {1000 * step:,.1f} ms without dropout; "
        "--trainer.max_epochs gives it another length"
    )
    end = "no end is set" if options.full else f"it ends after {options.minutes:g} minutes"
    lines.append(
        f"time       {duration(budget.first_seconds)} for the first round, {duration(budget.seconds)} in all, "
        f"{jobs} runs at a time; {end}"
    )
    if len(rates) == 1 and options.rates is None:
        lines.append(
            "note       one rate each, as more do not fit into the minutes: --rates or more --minutes"
        )
    if not budget.fits and not options.full:
        lines.append(
            f"note       that is more than {options.minutes:g} minutes, so that there may be no verdict: give more "
            "--minutes, fewer --variants, or a smaller --data.image_size"
        )
    return lines


def with_seeds(study: Study, count: int) -> Study:
    """Return a study with so many seeds, or as many as it has."""
    values = tuple(range(max(count, len(study.seeds))))
    return study.model_copy(update={"seeding": study.seeding.model_copy(update={"values": values})})


def _do(options: Namespace, folder: StudyFolder, study: Study, seconds: float, tried: bool) -> bool:
    """Do the study's runs; return whether none has failed."""
    words = [str(folder.study_file), "--studies", str(folder.path.parent), "--threads", str(options.threads)]
    words += [] if options.jobs is None else ["--jobs", str(options.jobs)]
    words += [] if options.full else ["--race", "--minutes", f"{max(seconds, 1) / 60:.6f}"]
    asked = parse_study(words)
    asked.command = options.command
    return do_study(study, asked, tried)


def _report_command(folder: StudyFolder) -> str:
    return f"dropout-lab report {shlex.quote(str(folder.path))}"


def _report(options: Namespace, folder: StudyFolder, console: Terminal) -> None:
    """Write the report, and print the verdict and what can be done next."""
    # What draws takes a second to import.
    from dropout_lab.app.report.answer import Word
    from dropout_lab.app.report.cards import card
    from dropout_lab.app.report.write import make_report

    if not any(folder.runs.glob("*/result.json")):
        raise UserError(
            f"no run has ended within {options.minutes:g} minutes: the same command with more --minutes goes on"
        )
    results, found = make_report(folder.path, folder.report)
    console.print(f"the study  {folder.study_file}: change it, and `dropout-lab study` does the rest")
    for answer in found:
        texts = {each.name: each.text.strip() for each in card(results, answer).snippets}
        if answer.word is Word.USE and "flags" in texts:
            console.print(f"to use it  dropout-lab fit … {texts['flags']}")
        elif answer.word is Word.NOTHING_LEARNED:
            console.print("next       longer runs, --trainer.max_epochs N, or another --model.optimizer.lr")
        elif answer.word is Word.NOT_SETTLED:
            console.print(f"next       further seeds: {options.command}, with more --minutes or --seeds")
