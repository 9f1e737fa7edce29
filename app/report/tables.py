"""The tables of a report: numbers here, the paper's beside them, and how far they are apart."""

from collections.abc import Sequence
from dataclasses import dataclass

import rich.table
from rich.text import Text

from dropout_lab.app.report.formatting import NOTHING, label_words, mean_and_half, metric_name, number, ratio
from dropout_lab.app.report.identical import joined
from dropout_lab.app.report.results import Results
from dropout_lab.app.study.spec import Labels


@dataclass(frozen=True)
class Table:
    """A table as it is written: texts, the first ``names`` columns of which are labels, and notes below it."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str]
    names: int


def metric_table(results: Results, metric: str, table: Labels) -> Table:
    """Return a metric by rows and columns: mean ± half the 95 % interval, the paper's number, the deviation, time."""
    report = results.study.report
    # What is the same for every metric is told with the first.
    first = metric == report.metrics[0]
    timed = bool(report.time) and first
    columns = [results.cells(metric, table, column) for column in results.columns]
    papers = [any(cell.paper is not None for cell in cells) for cells in columns]
    header = list(report.rows)
    for column, with_paper in zip(results.columns, papers, strict=True):
        header.append(results.words(column) or ("here" if with_paper else metric_name(metric)))
        header += ["paper", "here − paper"] * with_paper + ["time a step"] * timed
    rows, seeds = [], set()
    for row, *cells in zip(results.rows, *columns, strict=True):
        texts = list(map(str, results.shown(row).values()))
        for cell, with_paper in zip(cells, papers, strict=True):
            apart = None if cell.here is None or cell.paper is None else cell.here.mean - cell.paper
            texts.append(mean_and_half(metric, cell.here))
            texts += [number(metric, cell.paper), number(metric, apart, signed=True)] * with_paper
            texts += [ratio(cell.time)] * timed
        counts = {cell.here.count for cell in cells if cell.here}
        ends = sorted({min(counts, default=0), max(counts, default=0)})
        rows.append([*texts, "–".join(map(str, ends))])
        seeds |= counts
    return Table(
        _title(metric, table),
        [*header, "seeds"],
        rows,
        _notes(results, seeds, timed, first),
        len(report.rows),
    )


def chosen_table(results: Results, table: Labels) -> Table | None:
    """Return which value of the selected axis was chosen, for each seed; None where nothing is selected."""
    select = results.study.select
    if select is None:
        return None
    axes, rows = ", ".join(select.over), []
    for row in results.rows:
        every = (results.chosen(table | row | column) for column in results.columns)
        texts = ("/".join(map(str, chosen.values())) for chosen in every)
        rows.append([*map(str, results.shown(row).values()), *(text or NOTHING for text in texts)])
    header = [*results.study.report.rows, *(results.words(column) or axes for column in results.columns)]
    note = f"{NOTHING} where {axes} makes no difference."
    title = f"{axes} chosen by {_title(select.by, table)}"
    return Table(title, header, rows, [note], len(results.study.report.rows))


def terminal_table(results: Results, metric: str, table: Labels) -> rich.table.Table:
    """Return means and the source's numbers alone, so that the columns have room; in a narrow terminal they fold."""
    drawn = rich.table.Table(title=Text(_title(metric, table)), title_justify="left")
    for name in results.study.report.rows:
        drawn.add_column(Text(name), overflow="fold")
    for column in results.columns:
        drawn.add_column(Text(results.words(column) or "here"), justify="right", overflow="fold")
    columns = [results.cells(metric, table, column) for column in results.columns]
    for row, *cells in zip(results.rows, *columns, strict=True):
        papers = ["" if cell.paper is None else f" ({number(metric, cell.paper)})" for cell in cells]
        texts = [mean_and_half(metric, cell.here) + paper for cell, paper in zip(cells, papers, strict=True)]
        drawn.add_row(*map(Text, map(str, results.shown(row).values())), *map(Text, texts))
    return drawn


def _title(metric: str, table: Labels) -> str:
    return metric_name(metric) + (f": {label_words(table)}" if table else "")


def _notes(results: Results, counts: set[int], timed: bool, first: bool) -> list[str]:
    notes = []
    if any(count > 1 for count in counts):
        notes.append("Mean over seeds ± half the 95 % interval of that mean (Student's t).")
    if 1 in counts:
        notes.append("Where there is one seed only, there is no interval.")
    if select := results.study.select:
        by, axes = metric_name(select.by), ", ".join(select.over)
        notes.append(
            f"{axes} is chosen by {by}, once for all seeds. What the test split says of a seed is of the choice by the "
            "other seeds, so that no run is judged by its own luck."
        )
    if timed and results.time_reference:
        reference = label_words(results.time_reference)
        notes.append(f"Time of a training step relative to {reference} of the same seed.")
    for group in results.identical if first else ():
        notes.append(
            f"{label_words(joined(group))}: the runs are the same to the last digit in every seed and curve; what sets "
            "them apart never acted."
        )
    return notes
