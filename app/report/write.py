"""Writes a study's report: page, figures, results.csv, and the gist of it in the terminal."""

import re
import shlex
from collections.abc import Callable, Sequence
from errno import EISDIR
from functools import partial
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

from matplotlib.figure import Figure
from rich.console import Console

from dropout_lab.app.errors import UserError
from dropout_lab.app.files import folder_for
from dropout_lab.app.plotting import save, styled
from dropout_lab.app.report.answer import Answer, answers
from dropout_lab.app.report.cards import card
from dropout_lab.app.report.figures.cost import cost
from dropout_lab.app.report.figures.curves import bars, sweep, time, training
from dropout_lab.app.report.figures.distributions import distributions
from dropout_lab.app.report.figures.panels import panels
from dropout_lab.app.report.figures.schedules import schedules
from dropout_lab.app.report.formatting import label_words
from dropout_lab.app.report.latex import to_latex
from dropout_lab.app.report.page import Picture, progress, to_html, to_markdown
from dropout_lab.app.report.results import Results, read_results
from dropout_lab.app.report.tables import terminal_table
from dropout_lab.app.run.folder import refuse_link
from dropout_lab.app.study.folder import StudyFolder, write_results
from dropout_lab.app.study.spec import PANELS, Labels
from dropout_lab.app.terminal import Terminal
from dropout_lab.ground import naming

# What a study can ask for; page.md.j2 says what is seen in each.
KINDS: dict[str, Callable[[Results, str, Labels], Figure | None]] = {
    "curves": partial(training, name="accuracy"),
    "loss": partial(training, name="loss"),
    "top5": partial(training, name="top5"),
    "sweep": sweep,
    "time": time,
    "cost": cost,
    "bars": bars,
    "distributions": distributions,
    PANELS: panels,
    "schedules": schedules,
}

OURS = re.compile(rf"figure-({'|'.join(KINDS)})(-\d+)?\.png")


def make_report(folder: Path, target: Path, latex: bool = False) -> tuple[Results, list[Answer]]:
    """Write the report of a study's folder, and print the gist of it; return what it is of and what it says."""
    if target == StudyFolder(folder).report:
        refuse_link(target)
    words = f"dropout-lab report {shlex.quote(str(folder))}{' --latex' if latex else ''}"
    results = read_results(folder)
    return results, write_report(results, target, words, f"study    {folder}", latex)


def write_report(
    results: Results, target: Path, command: str, about: str, latex: bool = False
) -> list[Answer]:
    """Write a report that ``command`` has asked for, whose files replace those of an earlier one, and print the gist.

    What is reported is told in ``about``. Returns what the report says.
    """
    found = answers(results)
    try:
        # All of it or nothing: an earlier report stays as it is until this one is whole.
        with folder_for(target), TemporaryDirectory(dir=target, prefix=".making-") as name, naming(target):
            made = Path(name)
            pictures = _draw_all(results, made)
            if results.elsewhere is None:
                write_results(made / "results.csv", results.study.axes, results.with_moments())
            else:
                results.elsewhere.rows.to_csv(made / "results.csv", index=False, lineterminator="\n")
            folded = to_markdown(results, found, command, pictures, folded=True)
            texts = {
                "report.md": to_markdown(results, found, command, pictures),
                "report.html": to_html(results, found, folded, made),
                **({"report.tex": to_latex(results, found)} if latex else {}),
            }
            for file, text in texts.items():
                (made / file).write_text(text, "utf-8", errors="backslashreplace")
            for new in made.iterdir():
                if (target / new.name).is_dir():
                    raise IsADirectoryError(EISDIR, f"{new.name} is a folder there", str(target / new.name))
            for old in target.glob("figure-*.png"):
                # Figures of one's own stay.
                if OURS.fullmatch(old.name) and not (made / old.name).exists():
                    old.unlink()
            for new in sorted(made.iterdir()):
                new.replace(target / new.name)
    except OSError as error:
        raise UserError(
            f"cannot write the report into {target}: {error.strerror}; choose another --out"
        ) from error
    console = Terminal(soft_wrap=True, highlight=False, markup=False)
    runs, unfinished = progress(results)
    console.print(f"{about}: {runs} finished{f', {unfinished}' if unfinished else ''}")
    print_summary(results, found, console)
    console.print(f"report   {target / 'report.html'}")
    return found


def draw(kind: str, results: Results, metric: str, table: Labels) -> Figure | None:
    """Draw a figure of the metric that a study reports and of a table's runs; None where they have nothing to show."""
    with styled():
        return KINDS[kind](results, metric, table)


def _draw_all(results: Results, target: Path) -> list[Picture]:
    tables, pictures = results.tables, []
    for kind, (place, table) in product(results.study.report.figures, enumerate(tables, start=1)):
        figure = draw(kind, results, results.study.report.metrics[0], table)
        if figure is not None:
            file = target / f"figure-{kind}{f'-{place}' if len(tables) > 1 else ''}.png"
            pictures.append(Picture(kind, save(figure, file).name, label_words(table)))
    return pictures


def print_summary(results: Results, found: Sequence[Answer], console: Console) -> None:
    """Print the metric that the study compares, and its answers."""
    metric = results.study.report.metrics[0]
    for table in results.tables:
        console.print(terminal_table(results, metric, table))
    papers = any(metric in numbers.metrics for numbers in results.study.paper)
    beside = "; in brackets the source's number" if papers else ""
    gist = f"Mean over seeds ± half its 95 % interval{beside}. The report has all of it."
    cards = [card(results, answer) for answer in found]
    for text in (gist, *(f"{each.title}: {each.summary}" for each in cards)):
        console.print(text, markup=False)
