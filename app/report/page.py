"""The page of a report: what was asked, how it was run, tables, words, figures, and what is not there."""

from app.report.advice import advice
from app.report.cells import Cells
from app.report.markup import Block, Bullets, Command, Heading, Paragraph, Picture
from app.report.numbers import highest_is_best, label_words, metric_name, number, span
from app.report.reading import Results, describe, versions_of
from app.report.table import Table, chosen_table, metric_table
from app.report.verdicts import Comparison, against_baseline, paper_order
from app.study.spec import Labels

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
