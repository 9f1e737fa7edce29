"""Writes a study's report: page, figures, results.csv, and the gist of it in the terminal."""

import shlex
from errno import EISDIR
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console

from dropout_lab.app.errors import UserError
from dropout_lab.app.files import folder_for, naming
from dropout_lab.app.plotting import save
from dropout_lab.app.report.compare import recommendations
from dropout_lab.app.report.figures.kinds import draw
from dropout_lab.app.report.formatting import label_words
from dropout_lab.app.report.page import Picture, progress, to_html, to_markdown
from dropout_lab.app.report.results import Results, read_results
from dropout_lab.app.report.tables import terminal_table


def make_report(folder: Path, target: Path) -> None:
    """Write a study's report, whose files replace those of an earlier one, and print the gist of it.

    Raises:
        UserError: the study cannot be read, or the report cannot be written.
    """
    results = read_results(folder)
    try:
        # All of it or nothing: an earlier report stays as it is until this one is whole.
        with (
            folder_for(target),
            TemporaryDirectory(dir=target, prefix=".making-") as name,
            naming(target),
        ):
            made = Path(name)
            command = f"dropout-lab report {shlex.quote(str(folder))}"
            page = to_markdown(results, command, _draw_all(results, made))
            results.write_csv(made / "results.csv")
            (made / "report.md").write_text(page)
            (made / "report.html").write_text(to_html(results.study.title or results.study.name, page, made))
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
    console = Console(soft_wrap=True, highlight=False)
    runs, unfinished = progress(results)
    rest = f", {unfinished}" if unfinished else ""
    console.print(f"study    {folder}: {runs} finished{rest}", markup=False)
    print_summary(results, console)
    console.print(f"report   {target / 'report.html'}", markup=False)


def _draw_all(results: Results, target: Path) -> list[Picture]:
    """Draw each kind of figure for each table; one with nothing to show is left out."""
    metric, tables = results.study.report.metrics[0], results.tables
    pictures = []
    for kind, (place, table) in product(results.study.report.figures, enumerate(tables, start=1)):
        figure = draw(kind, results, metric, table)
        if figure is not None:
            file = target / f"figure-{kind}{f'-{place}' if len(tables) > 1 else ''}.png"
            pictures.append(Picture(kind, save(figure, file).name, label_words(table)))
    return pictures


def print_summary(results: Results, console: Console) -> None:
    """Print the metric that the study compares, and which row to take where the study asks for it."""
    metric = results.study.report.metrics[0]
    for table in results.tables:
        console.print(terminal_table(results, metric, table))
    papers = any(metric in numbers.metrics for numbers in results.study.paper)
    beside = "; in brackets the source's number" if papers else ""
    console.print(
        f"Mean over seeds ± half its 95 % interval{beside}. The report has all of it.", markup=False
    )
    for advice in recommendations(results):
        console.print(advice, markup=False)
