"""Writes a report's files."""

import shlex
from pathlib import Path

from app.errors import UserError
from app.report.cells import Cells
from app.report.figures import caption, draw
from app.report.markup import Picture, to_html, to_markdown
from app.report.page import blocks
from app.report.reading import Results, read_results
from app.report.style import save
from app.report.terminal import console, show
from app.study.folders import StudyFolder
from app.study.grid import expand
from app.study.results import write_results


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
        target.mkdir(parents=True, exist_ok=True)
        for old in target.glob("figure-*.png"):
            old.unlink()
        command = f"dropout-lab report {shlex.quote(str(folder))}"
        pictures = _draw_all(results, target)
        page = blocks(results, command, pictures)
        write_results(StudyFolder(folder), expand(results.study), to=target / "results.csv")
        (target / "report.md").write_text(to_markdown(page))
        (target / "report.html").write_text(to_html(title, page))
    except OSError as error:
        raise UserError(
            f"cannot write the report into {target}: {error.strerror}; choose another --out"
        ) from error
    counts = [f"{len(results.runs)} of {results.planned} runs finished"]
    counts += [f"{len(results.failed)} failed"] if results.failed else []
    counts += [f"{len(results.missing)} missing"] if results.missing else []
    terminal = console()
    terminal.print(f"study    {folder}: {', '.join(counts)}", markup=False)
    show(Cells(results, results.study.select), terminal)
    terminal.print(f"report   {target / 'report.html'}", markup=False)


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
