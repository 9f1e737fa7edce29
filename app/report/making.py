"""Writes a report's files."""

import shlex
from errno import EISDIR
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console

from app.errors import UserError
from app.report.cells import Cells
from app.report.figures import caption, draw
from app.report.markup import Picture, to_html, to_markdown
from app.report.page import blocks
from app.report.reading import Results, read_results
from app.report.style import save
from app.report.terminal import show
from app.study.folders import StudyFolder
from app.study.grid import expand
from app.study.results import write_results
from app.whole_file import folder_for, naming


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
