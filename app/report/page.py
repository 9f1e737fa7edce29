"""The page of a report: what was asked, how it was run, tables, words, figures, and what is not there."""

import base64
import html
import re
from dataclasses import dataclass
from pathlib import Path

import rich.table
from rich.console import Console
from rich.text import Text

from dropout_lab.app.report.compare import Comparison, advice, against_baseline, paper_order
from dropout_lab.app.report.formatting import (
    highest_is_best,
    label_words,
    mean_and_half,
    metric_name,
    number,
    span,
)
from dropout_lab.app.report.results import Cells, Results, describe, versions_of
from dropout_lab.app.report.tables import NOTHING, Table, chosen_table, metric_table
from dropout_lab.app.study.spec import Labels


@dataclass(frozen=True)
class Heading:
    """A heading; level 1 is the page's title."""

    text: str
    level: int = 2


@dataclass(frozen=True)
class Paragraph:
    """A paragraph."""

    text: str


@dataclass(frozen=True)
class Command:
    """Command lines, one below the other."""

    lines: tuple[str, ...]


@dataclass(frozen=True)
class Bullets:
    """A list."""

    items: tuple[str, ...]


@dataclass(frozen=True)
class Picture:
    """A PNG file and what is seen on it."""

    file: Path
    caption: str


Block = Heading | Paragraph | Command | Bullets | Table | Picture

STYLE = """
body { font: 16px/1.5 system-ui, -apple-system, "Segoe UI", "Helvetica Neue", sans-serif; color: #1c1f26;
       background: #fff; max-width: 60rem; margin: 2.5rem auto 5rem; padding: 0 1.2rem; }
h1 { font-size: 1.75rem; line-height: 1.25; margin: 0 0 .6rem; }
h2 { font-size: 1.2rem; margin: 2.4rem 0 .6rem; padding-bottom: .25rem; border-bottom: 1px solid #dfe3ea; }
h3 { font-size: 1rem; margin: 1.6rem 0 .4rem; }
p, ul { max-width: 46rem; margin: .5rem 0; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .92rem; font-variant-numeric: tabular-nums; margin: .3rem 0; }
caption { text-align: left; font-weight: 600; padding: .3rem 0; white-space: nowrap; }
th, td { padding: .32rem .8rem .32rem 0; text-align: right; white-space: nowrap; border-bottom: 1px solid #eceff4; }
thead th { border-bottom: 1.5px solid #6b7280; font-weight: 600; vertical-align: bottom; }
th.name { text-align: left; font-weight: 500; }
.note, figcaption { color: #555c69; font-size: .86rem; max-width: 46rem; }
pre { background: #f4f6f9; padding: .6rem .8rem; border-radius: 4px; overflow-x: auto; font-size: .88rem; }
figure { margin: 1.4rem 0; }
figure img { width: 100%; max-width: 800px; height: auto; }
"""


def to_markdown(blocks: list[Block]) -> str:
    """Write blocks as Markdown; pictures are named, relative to the page's folder."""
    return "\n\n".join(_markdown(block) for block in blocks) + "\n"


def to_html(title: str, blocks: list[Block]) -> str:
    """Write blocks as one HTML file: pictures are within it, and nothing is fetched from elsewhere."""
    body = "\n".join(_html(block) for block in blocks)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def table_markdown(table: Table) -> str:
    """Write a table as Markdown; labels to the left, numbers to the right."""
    rule = ["---"] * table.names + ["---:"] * (len(table.header) - table.names)
    lines = [table.header, rule, *table.rows]
    text = "\n".join(f"| {' | '.join(_markup_cell(text) for text in line)} |" for line in lines)
    return "\n\n".join([f"**{_plain(table.title)}**", text, *(_plain(note) for note in table.notes)])


def table_html(table: Table) -> str:
    """Write a table as HTML."""
    head = "".join(_th(text, place < table.names) for place, text in enumerate(table.header))
    rows = "\n".join(
        "<tr>"
        + "".join(
            _th(text, True) if place < table.names else f"<td>{html.escape(text)}</td>"
            for place, text in enumerate(row)
        )
        + "</tr>"
        for row in table.rows
    )
    notes = f'<p class="note">{html.escape(" ".join(table.notes))}</p>' if table.notes else ""
    return (
        f'<div class="scroll"><table>\n<caption>{html.escape(table.title)}</caption>\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody>\n</table></div>\n{notes}"
    )


def _markdown(block: Block) -> str:
    match block:
        case Heading(text, level):
            return f"{'#' * level} {_plain(text)}"
        case Paragraph(text):
            return _plain(text)
        case Command(lines):
            # A fence longer than any in the lines, so that none of them ends it.
            longest = max((len(found) for line in lines for found in re.findall("`+", line)), default=0)
            fence = "`" * max(3, longest + 1)
            return "\n".join([f"{fence}console", *(f"$ {' '.join(line.split())}" for line in lines), fence])
        case Bullets(items):
            return "\n".join(f"- {_plain(item)}" for item in items)
        case Picture(file, caption):
            return f"![{_plain(caption)}]({file.name})\n\n*{_plain(caption)}*"
        case Table():
            return table_markdown(block)


def _html(block: Block) -> str:
    match block:
        case Heading(text, level):
            return f"<h{level}>{html.escape(text)}</h{level}>"
        case Paragraph(text):
            return f"<p>{html.escape(text)}</p>"
        case Command(lines):
            return "<pre>" + "\n".join(f"$ {html.escape(line)}" for line in lines) + "</pre>"
        case Bullets(items):
            return "<ul>" + "".join(f"<li>{html.escape(item)}</li>" for item in items) + "</ul>"
        case Picture(file, caption):
            data = base64.b64encode(file.read_bytes()).decode()
            words = html.escape(caption)
            return (
                f'<figure><img src="data:image/png;base64,{data}" alt="{words}">'
                f"<figcaption>{words}</figcaption></figure>"
            )
        case Table():
            return table_html(block)


def _th(text: str, name: bool) -> str:
    return (
        f'<th class="name" scope="row">{html.escape(text)}</th>' if name else f"<th>{html.escape(text)}</th>"
    )


def _plain(text: str) -> str:
    """Keep Markdown from reading marks into a text, and the text on its line."""
    text = " ".join(text.splitlines())
    for mark in ("\\", "*", "_", "`", "<", "[", "|"):
        text = text.replace(mark, f"\\{mark}")
    return text


def _markup_cell(text: str) -> str:
    return _plain(text) if text.strip("-: ") else text


LISTED = 20
"""Of failed or stopped runs so many are listed; the rest are counted."""


def blocks(results: Results, command: str, pictures: dict[str, list[Picture]]) -> list[Block]:
    """Return the page.

    Args:
        results: the study's.
        command: that makes this page.
        pictures: its figures by kind, written already; empty where the runs have nothing to show.
    """
    cells = Cells(results, results.study.select)
    return [
        *_opening(results, command),
        *(_advice(cells) if results.study.report.recommend else []),
        *_tables(cells),
        *_ranking(cells),
        *_figures(pictures),
        *_unfinished(results),
        *_making(results, command),
    ]


def _opening(results: Results, command: str) -> list[Block]:
    study = results.study
    opening: list[Block] = [Heading(study.title or study.name, level=1)]
    if study.source:
        opening.append(Paragraph(f"Source: {study.source}"))
    runs = f"{len(results.runs)} of {results.planned} runs are finished"
    parts = [
        f"{len(results.failed)} failed" if results.failed else "",
        f"{len(results.missing)} missing" if results.missing else "",
    ]
    rest = ", ".join(part for part in parts if part)
    if rest:
        opening.append(Paragraph(f"{runs}; {rest}. All below is of the finished ones and may change."))
    else:
        opening.append(Paragraph(f"All {results.planned} runs are finished."))
    if results.left_over:
        opening.append(
            Paragraph(
                f"{results.left_over} runs in the folder are of other settings, and left out of all below."
            )
        )
    opening.append(Command((*results.commands, command)))
    if study.shortened:
        words = "These runs are not the whole study. What they have, and what the whole study has:"
        opening += [Heading("What was reduced"), Paragraph(words), Bullets(study.shortened)]
    if study.deviations:
        opening += [Heading("Departures from the source"), Bullets(study.deviations)]
    return opening


def _advice(cells: Cells) -> list[Block]:
    metric = cells.study.report.metrics[0]
    places = [(table, column) for table in cells.others() for column in cells.columns()]
    return [
        Heading("What to take"),
        *(Paragraph(" ".join(advice(cells, metric, table, column))) for table, column in places),
    ]


def _tables(cells: Cells) -> list[Block]:
    found: list[Table] = [
        metric_table(cells, metric, table)
        for metric in cells.study.report.metrics
        for table in cells.others()
    ]
    found += [chosen for table in cells.others() if (chosen := chosen_table(cells, table)) is not None]
    return [Heading("Results"), *found]


def _ranking(cells: Cells) -> list[Block]:
    """Say of each pair, and of the order of all, whether the paper's ranking holds."""
    found: list[Block] = []
    for metric in cells.study.report.metrics:
        lines = []
        for table in cells.others():
            lines += [_sentence(cells, metric, each) for each in against_baseline(cells, metric, table)]
            for column in cells.columns():
                order = paper_order(cells, metric, table | column, highest_is_best(metric))
                if order is not None:
                    methods = ", ".join(label_words(_rows_only(cells, labels)) for labels, _ in order.methods)
                    where = f"{label_words(order.column)}: " if order.column else ""
                    lines.append(
                        f"Order of all, {where}in the paper, best first, {methods}; {order.words()}."
                    )
        if lines:
            found += [Heading(metric_name(metric), level=3), Bullets(tuple(lines))]
    if not found:
        return []
    words = (
        "Differences are paired: of runs with the same seed. Where the 95 % interval of a difference includes 0, the "
        "two cannot be told apart. Each interval is for its own pair: of twenty pairs that do not differ, one is "
        "expected to look as if it did."
    )
    return [Heading("Who is ahead"), Paragraph(words), *found]


def _sentence(cells: Cells, metric: str, pair: Comparison) -> str:
    rest = {axis: label for axis, label in pair.labels.items() if axis not in cells.study.report.baseline}
    name = {axis: label for axis, label in pair.labels.items() if axis in cells.study.report.baseline}
    where = f" ({label_words(rest)})" if rest else ""
    here = f"{number(metric, pair.here.mean, signed=True)}, {span(metric, pair.here)}"
    start = f"{label_words(name)} against {label_words(cells.study.report.baseline)}{where}: {here}"
    if pair.paper is None or pair.verdict is None:
        return f"{start}; {_alone(pair)}."
    return f"{start}; in the paper {number(metric, pair.paper, signed=True)}: {pair.verdict.value}."


def _alone(pair: Comparison) -> str:
    """Say what a difference shows where the paper has none."""
    if pair.here.interval is None:
        return "no verdict"
    low, high = pair.here.interval
    return "cannot be told apart" if low <= 0 <= high else "they differ"


def _rows_only(cells: Cells, labels: Labels) -> Labels:
    return {axis: labels[axis] for axis in cells.study.report.rows}


def _figures(pictures: dict[str, list[Picture]]) -> list[Block]:
    drawn = [picture for several in pictures.values() for picture in several]
    empty = [kind for kind, several in pictures.items() if not several]
    words = f"Not drawn, since the runs hold nothing to show there: {', '.join(empty)}."
    note: list[Block] = [Paragraph(words)] if empty else []
    return [Heading("Figures"), *drawn, *note] if pictures else []


def _unfinished(results: Results) -> list[Block]:
    found: list[Block] = []
    failed = [f"{describe(run.labels, run.seed)} ({run.hash}): {run.reason}" for run in results.failed]
    stopped = [
        f"{describe(run.labels, run.seed)} ({run.hash}): {run.stopped}" for run in results.runs if run.stopped
    ]
    missing = [describe(run.labels, run.seed) for run in results.missing]
    for title, lines in (
        ("Failed runs", failed),
        ("Runs that were stopped early; their figures until then count", stopped),
        ("Missing runs", missing),
    ):
        if lines:
            more = [f"and {len(lines) - LISTED} more"] if len(lines) > LISTED else []
            found += [Heading(title), Bullets((*lines[:LISTED], *more))]
    return found


def _making(results: Results, command: str) -> list[Block]:
    made = (
        "The runs were made by the first, "
        if len(results.commands) == 1
        else f"The runs were made by the first {len(results.commands)}, in this order, "
    )
    versions = ", ".join(versions_of(results.runs)) or "versions unknown"
    return [
        Heading("How it was made"),
        *([Paragraph(f"{made}and this page by the last of these commands:")] if results.commands else []),
        Command((*results.commands, command)),
        Paragraph(
            f"Trained with {versions}. Seeds {', '.join(map(str, results.study.seeds))}. Every run's figures are in "
            "results.csv; its settings are in its folder under runs. Times depend on the machine, their ratios less so."
        ),
    ]


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
