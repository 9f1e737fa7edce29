"""What a report says in the terminal: its first table, and the advice."""

from typing import IO

import rich.table
from rich.console import Console
from rich.text import Text

from app.report.advice import advice
from app.report.cells import Cells
from app.report.table import Table, metric_table

WIDEST = 1000
"""Letters; no table is as wide."""


def console(file: IO[str] | None = None) -> Console:
    """Return a console on which no number is cut: a terminal that is narrower than a table wraps its lines.

    Args:
        file: None is stdout.
    """
    return Console(soft_wrap=True, highlight=False, width=WIDEST, file=file)


def show(cells: Cells, console: Console) -> None:
    """Print the tables of the metric that the study compares, and which row to take where the study asks for it.

    Args:
        cells: the chosen runs.
        console: where.
    """
    report = cells.study.report
    metric = report.metrics[0]
    for labels in cells.others():
        table = metric_table(cells, metric, labels)
        console.print(_drawn(table))
        for note in table.notes:
            console.print(note, markup=False)
        for column in cells.columns() if report.recommend else ():
            console.print(" ".join(advice(cells, metric, labels, column)), markup=False)


def _drawn(table: Table) -> rich.table.Table:
    drawn = rich.table.Table(title=Text(table.title), title_justify="left")
    for place, name in enumerate(table.header):
        drawn.add_column(Text(name), justify="left" if place < table.names else "right", no_wrap=True)
    for row in table.rows:
        drawn.add_row(*(Text(text) for text in row))
    return drawn
