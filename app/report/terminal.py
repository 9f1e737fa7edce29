"""What a report says in the terminal: its first table in short, and the advice."""

import rich.table
from rich.console import Console
from rich.text import Text

from app.report.advice import advice
from app.report.cells import Cells
from app.report.numbers import label_words, mean_and_half, metric_name, number
from app.report.table import NOTHING
from app.study.spec import Labels


def show(cells: Cells, console: Console) -> None:
    """Print the metric that the study compares, and which row to take where the study asks for it.

    Args:
        cells: the chosen runs.
        console: where.
    """
    report = cells.study.report
    metric = report.metrics[0]
    for table in cells.others():
        console.print(_short(cells, metric, table))
    papers = any(metric in numbers.metrics for numbers in cells.study.paper)
    beside = "; in brackets the source's number" if papers else ""
    console.print(
        f"Mean over seeds ± half its 95 % interval{beside}. The report has all of it.", markup=False
    )
    for table in cells.others() if report.recommend else ():
        for column in cells.columns():
            console.print(" ".join(advice(cells, metric, table, column)), markup=False)


def _short(cells: Cells, metric: str, table: Labels) -> rich.table.Table:
    """Return means and the source's numbers alone, so that the columns have room."""
    title = metric_name(metric) + (f": {label_words(table)}" if table else "")
    drawn = rich.table.Table(title=Text(title), title_justify="left")
    for name in cells.study.report.rows:
        drawn.add_column(Text(name), overflow="fold")
    for column in cells.columns():
        # In a narrow terminal a cell takes several lines: nothing is cut.
        drawn.add_column(Text(label_words(column) or "here"), justify="right", overflow="fold")
    for row in cells.rows():
        words = [_cell(cells, metric, table | row | column) for column in cells.columns()]
        drawn.add_row(*(Text(word) for word in (*map(str, row.values()), *words)))
    return drawn


def _cell(cells: Cells, metric: str, labels: Labels) -> str:
    found, paper = cells.estimate(labels, metric), cells.paper(labels, metric)
    here = NOTHING if found is None else mean_and_half(metric, found)
    return here if paper is None else f"{here} ({number(metric, paper)})"
