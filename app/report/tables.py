"""The tables of a report: numbers here, the paper's beside them, and how far they are apart."""

from dataclasses import dataclass

from dropout_lab.app.report.formatting import (
    label_word,
    label_words,
    mean_and_half,
    metric_name,
    number,
    ratio,
)
from dropout_lab.app.report.results import Cells
from dropout_lab.app.report.statistics import Estimate
from dropout_lab.app.study.spec import Labels

NOTHING = "–"


@dataclass(frozen=True)
class Table:
    """A table as it is written.

    Attributes:
        title: what it shows.
        header: names of the columns; the first ones are those of the rows' labels.
        rows: texts, as many as the header has.
        notes: what a reader must know beside it.
        names: how many columns from the left are labels.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    names: int = 1


def metric_table(cells: Cells, metric: str, table: Labels) -> Table:
    """Return a metric by rows and columns: mean ± half the 95 % interval, the paper's number, the deviation, time.

    Args:
        cells: the runs.
        metric: that is shown.
        table: labels that all of its cells share.
    """
    report, columns = cells.study.report, cells.columns()
    # It is the same for every metric, and told with the first.
    timed = report.time and metric == report.metrics[0]
    with_paper = [
        any(cells.paper(table | row | column, metric) is not None for row in cells.rows())
        for column in columns
    ]
    header = list(report.rows)
    for column, paper in zip(columns, with_paper, strict=True):
        header.append(label_words(column) or ("here" if paper else metric_name(metric)))
        header += ["paper", "here − paper"] if paper else []
        header += ["time a step"] if timed else []
    rows, counts = [], set()
    for row in cells.rows():
        texts = [str(label) for label in row.values()]
        seeds = set()
        for column, paper in zip(columns, with_paper, strict=True):
            labels = table | row | column
            found = cells.estimate(labels, metric)
            texts.append(NOTHING if found is None else mean_and_half(metric, found))
            if found is not None:
                seeds.add(found.count)
            if paper:
                texts += _beside(metric, cells.paper(labels, metric), found)
            if timed:
                time = cells.time_ratio(labels)
                texts.append(NOTHING if time is None else ratio(time))
        counts |= seeds
        rows.append((*texts, _range(seeds)))
    title = metric_name(metric) + (f": {label_words(table)}" if table else "")
    return Table(
        title, (*header, "seeds"), tuple(rows), tuple(_notes(cells, counts, timed)), len(report.rows)
    )


def chosen_table(cells: Cells, table: Labels) -> Table | None:
    """Return which value of the selected axis was chosen, for each seed; None where nothing is selected.

    Args:
        cells: the chosen runs.
        table: labels that all cells of the table share.
    """
    select = cells.study.select
    if select is None:
        return None
    report, columns = cells.study.report, cells.columns()
    axes = ", ".join(select.over)
    rows = []
    for row in cells.rows():
        texts = [str(label) for label in row.values()]
        for column in columns:
            labels = table | row | column
            group = cells.of(labels)
            free = any(len(cells.candidates(labels, seed)) > 1 for seed in group)
            values = [
                "/".join(str(group[seed].labels[axis]) for axis in select.over) for seed in sorted(group)
            ]
            texts.append(", ".join(values) if free else NOTHING)
        rows.append(tuple(texts))
    title = f"{axes} chosen by {metric_name(select.by)}" + (f": {label_words(table)}" if table else "")
    header = (*report.rows, *(label_words(column) or axes for column in columns))
    note = f"One value a seed, in their order; {NOTHING} where {axes} makes no difference."
    return Table(title, header, tuple(rows), (note,), len(report.rows))


def _beside(metric: str, paper: float | None, here: Estimate | None) -> list[str]:
    if paper is None:
        return [NOTHING, NOTHING]
    deviation = NOTHING if here is None else number(metric, here.mean - paper, signed=True)
    return [number(metric, paper), deviation]


def _range(counts: set[int]) -> str:
    if not counts:
        return "0"
    low, high = min(counts), max(counts)
    return str(low) if low == high else f"{low}–{high}"


def _notes(cells: Cells, counts: set[int], timed: bool) -> list[str]:
    report, notes = cells.study.report, []
    if any(count > 1 for count in counts):
        notes.append("Mean over seeds ± half the 95 % interval of that mean (Student's t).")
    if 1 in counts:
        notes.append("Where there is one seed only, there is no interval.")
    if cells.study.select:
        by = metric_name(cells.study.select.by)
        axes = ", ".join(cells.study.select.over)
        notes.append(f"{axes} is chosen by {by}, for each seed, never on the test split.")
    if timed and report.baseline:
        baseline = ", ".join(label_word(axis, label) for axis, label in report.baseline.items())
        notes.append(f"Time of a training step relative to {baseline} of the same seed.")
    return notes
