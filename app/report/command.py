"""The command line of ``report``: from a study's folder to a page. Nothing here imports torch."""

import importlib
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from errno import EISDIR
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console

from dropout_lab.app.errors import CommandParser, UserError
from dropout_lab.app.files import folder_for, naming
from dropout_lab.app.plotting import save
from dropout_lab.app.report.figures.kinds import caption, draw
from dropout_lab.app.report.page import Picture, blocks, show, to_html, to_markdown
from dropout_lab.app.report.results import Cells, Results, read_results
from dropout_lab.app.study.folder import StudyFolder, write_results
from dropout_lab.app.study.grid import expand

DESCRIPTION = """\
Make a study's report of the runs that are finished: results.csv, report.md, figures (PNG), and report.html,
one file that opens anywhere without a network. The first table is printed too. Nothing is trained; an unfinished
study is reported as far as it is.
"""
EXAMPLE = "example:  dropout-lab report studies/dropin-table"


@dataclass(frozen=True)
class Options:
    """What ``report`` is asked for.

    Attributes:
        folders: of studies.
        out: holds the reports; None puts each into its study's folder, under ``report``.
    """

    folders: tuple[Path, ...]
    out: Path | None

    def target(self, folder: Path) -> Path:
        """Return the folder of a study's report."""
        if self.out is None:
            return folder / "report"
        return self.out if len(self.folders) == 1 else self.out / folder.resolve().name


def parse(words: list[str]) -> Options:
    """Parse the words after ``report``.

    Raises:
        UserError: an option is wrong.
        SystemExit: help was asked for and given.
    """
    parser = CommandParser("report", DESCRIPTION, EXAMPLE)
    parser.add_argument("folders", nargs="+", type=Path, metavar="STUDY_FOLDER", help="what `study` has made")
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="folder of the report (default: STUDY_FOLDER/report); of several studies, a folder each in it",
    )
    given = parser.parse_args(words)
    options = Options(tuple(given.folders), given.out)
    names = [options.target(folder).resolve() for folder in options.folders]
    for place, name in enumerate(names):
        if name in names[:place]:
            raise UserError(
                f"two studies would be reported in {name}; give them one at a time, each with its --out"
            )
    return options


def run(words: list[str]) -> None:
    """Make the reports.

    Raises:
        UserError: an option, a study's folder or a file in it is wrong.
    """
    options = parse(words[1:])
    # What draws takes a second to import; help does not wait for it.
    make: Callable[[Path, Path], None] = importlib.import_module("dropout_lab.app.report.command").make_report
    for folder in options.folders:
        make(folder, options.target(folder))


def make_report(folder: Path, target: Path) -> None:
    """Write a study's report, and print the gist of it.

    Args:
        folder: the study's.
        target: the report's; files of an earlier report are replaced.

    Raises:
        UserError: the study cannot be read, or the report cannot be written.
    """
    results = read_results(folder)
    title = results.study.title or results.study.name
    try:
        # All of it or nothing: an earlier report stays as it is until this one is whole.
        with (
            folder_for(target),
            TemporaryDirectory(dir=target, prefix=".making-") as name,
            naming(target),
        ):
            made = Path(name)
            command = f"dropout-lab report {shlex.quote(str(folder))}"
            page = blocks(results, command, _draw_all(results, made))
            write_results(StudyFolder(folder), expand(results.study), to=made / "results.csv")
            (made / "report.md").write_text(to_markdown(page))
            (made / "report.html").write_text(to_html(title, page))
            for new in made.iterdir():
                if (target / new.name).is_dir():
                    raise IsADirectoryError(EISDIR, f"{new.name} is a folder there", str(target / new.name))
            for old in target.glob("figure-*.png"):
                if not (made / old.name).exists():
                    old.unlink()
            for new in sorted(made.iterdir()):
                new.replace(target / new.name)
    except OSError as error:
        raise UserError(
            f"cannot write the report into {target}: {error.strerror}; choose another --out"
        ) from error
    counts = [f"{len(results.runs)} of {results.planned} runs finished"]
    counts += [f"{len(results.failed)} failed"] if results.failed else []
    counts += [f"{len(results.missing)} missing"] if results.missing else []
    console = Console(soft_wrap=True, highlight=False)
    console.print(f"study    {folder}: {', '.join(counts)}", markup=False)
    show(Cells(results, results.study.select), console)
    console.print(f"report   {target / 'report.html'}", markup=False)


def _draw_all(results: Results, target: Path) -> dict[str, list[Picture]]:
    """Draw each kind of figure for each table; a figure with nothing to show is left out."""
    cells = Cells(results, results.study.select)
    report, tables = results.study.report, cells.others()
    pictures: dict[str, list[Picture]] = {}
    for kind in report.figures:
        pictures[kind] = []
        for place, table in enumerate(tables):
            figure = draw(kind, cells, report.metrics[0], table)
            if figure is not None:
                number = f"-{place + 1}" if len(tables) > 1 else ""
                file = save(figure, target / f"figure-{kind}{number}.png")
                pictures[kind].append(Picture(file, caption(kind, table)))
    return pictures
