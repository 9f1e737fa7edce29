"""The page of a report, as Markdown and as one HTML file; its words stand in ``page.md.j2``."""

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markdown_it import MarkdownIt
from markupsafe import Markup

from dropout_lab.app.report.compare import rankings, recommendations
from dropout_lab.app.report.formatting import run_words
from dropout_lab.app.report.results import Results
from dropout_lab.app.report.tables import chosen_table, metric_table

LISTED = 20
"""Of failed or stopped runs so many are listed; the rest are counted."""

MARKS = re.compile(
    r"""
    ^(\d{1,9})(?=[.)](?:\s|$))                                # a numbered list's item
    | ^(?=\#{1,6}(?:\s|$) | [-+](?:\s|$) | [-\s]+$ | > | ~~~)  # a heading, a list's item, a rule, a quotation, a fence
    | (?=[\\*_`<\[|] | &\#?\w+;)
    """,
    re.VERBOSE,
)


@dataclass(frozen=True)
class Picture:
    """A PNG file and what is seen on it."""

    file: Path
    caption: str


def escape(value: Any) -> str:
    """Keep Markdown from reading marks into a text, and the text on its line; what is marked as safe stays."""
    if isinstance(value, Markup):
        return value
    return MARKS.sub(r"\g<1>\\", " ".join(str(value).splitlines()).strip())


def to_markdown(results: Results, command: str, pictures: Mapping[str, Sequence[Picture]]) -> str:
    """Return the page.

    Args:
        results: of the study.
        command: that makes this page.
        pictures: its figures by kind, in the page's folder; empty where the runs have nothing to show.
    """
    lines = [" ".join(line.split()) for line in (*results.commands, command)]
    longest = max((len(ticks) for line in lines for ticks in re.findall("`+", line)), default=0)
    metrics = results.study.report.metrics
    tables = [metric_table(results, metric, table) for metric in metrics for table in results.tables]
    chosen = [chosen_table(results, table) for table in results.tables]
    finished = results.finished.values()
    runs, unfinished = results.progress()
    return _template("page.md.j2", finalize=escape).render(
        runs=runs,
        unfinished=unfinished,
        results=results,
        study=results.study,
        lines=lines,
        # Longer than any in the lines, so that none of them ends it.
        fence="`" * max(3, longest + 1),
        recommendations=recommendations(results),
        tables=[*tables, *filter(None, chosen)],
        rankings=rankings(results),
        pictures=pictures,
        empty=[kind for kind, several in pictures.items() if not several],
        lists={
            "Failed runs": [f"{run_words(run)} ({run.hash}): {reason}" for run, reason in results.failed],
            "Runs that were stopped early; their figures until then count": [
                f"{run_words(run)} ({run.hash}): {result.stopped}"
                for run, result in finished
                if result.stopped
            ],
            "Missing runs": list(map(run_words, results.missing)),
        },
        listed=LISTED,
    )


def to_html(title: str, markdown: str, folder: Path) -> str:
    """Return a page as one HTML file: its pictures, which are in ``folder``, are within it."""
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = parser.parse(markdown)
    for image in (child for token in tokens for child in token.children or () if child.type == "image"):
        data = base64.b64encode((folder / str(image.attrs["src"])).read_bytes()).decode()
        image.attrs["src"] = f"data:image/png;base64,{data}"
    body = parser.renderer.render(tokens, parser.options, {})
    # Numbers are aligned, so what has no style are the labels of the rows.
    body = re.sub("<td>(.*)</td>", r'<th scope="row">\1</th>', body)
    return _template("page.html.j2", autoescape=True).render(title=title, body=Markup(body))


def _template(name: str, **options: Any) -> Template:
    loader = FileSystemLoader(Path(__file__).parent)
    return Environment(
        loader=loader, undefined=StrictUndefined, trim_blocks=True, keep_trailing_newline=True, **options
    ).get_template(name)
