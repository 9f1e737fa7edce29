"""The page of a report, as Markdown and as one HTML file; its words stand in ``page.md.j2`` and ``page.html.j2``."""

import base64
import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markdown_it import MarkdownIt
from markupsafe import Markup

from dropout_lab.app.report.answer import Answer
from dropout_lab.app.report.cards import card, curves, table
from dropout_lab.app.report.compare import rankings
from dropout_lab.app.report.formatting import label_words, run_words
from dropout_lab.app.report.results import Results
from dropout_lab.app.report.tables import chosen_table, metric_table

MARKS = re.compile(
    r"""
    ^(\d{1,9})(?=[.)](?:\s|$))                                # a numbered list's item
    | ^(?=\#{1,6}(?:\s|$) | [-+](?:\s|$) | [-\s]+$ | > | ~~~)  # a heading, a list's item, a rule, a quotation, a fence
    | (?=[\\*_`<\[\]|] | &\#?\w+;)
    """,
    re.VERBOSE,
)


# What a reader must not miss.
OPEN = {"What was reduced", "Departures from the source", "Where the runs are from"}


class Picture(NamedTuple):
    """A figure in the page's folder, and the labels that it is of, in words."""

    kind: str
    name: str
    where: str


def escape(value: Any) -> str:
    """Keep Markdown from reading marks into a text, and the text on its line; what is marked as safe stays."""
    if isinstance(value, Markup):
        return value
    return MARKS.sub(r"\g<1>\\", " ".join(str(value).splitlines()).strip())


def progress(results: Results) -> tuple[str, str]:
    """Return ``24 of 42 runs``, and ``1 failed, 17 missing``; the latter is empty where all are finished."""
    rest = {"failed": len(results.failed), "missing": len(results.missing)}
    words = ", ".join(f"{count} {what}" for what, count in rest.items() if count)
    return f"{len(results.finished)} of {len(results.finished) + sum(rest.values())} runs", words


def taken(results: Results) -> str:
    """Say which runs were made elsewhere, and are known by a table; empty where all were made here."""
    tables = Counter(result.known for _, result in results.finished.values() if result.known)
    words = ", ".join(f"{count} from {table}" for table, count in tables.items())
    return (
        f"Of these, {tables.total()} were run elsewhere and taken over as figures: {words}." if tables else ""
    )


def to_markdown(
    results: Results, found: Sequence[Answer], command: str, pictures: Sequence[Picture], folded: bool = False
) -> str:
    """Return the page that ``command`` makes; ``folded`` is what an HTML page folds away, without title and verdict."""
    lines = [" ".join(line.split()) for line in (*results.commands, command)]
    metrics, tables = results.study.report.metrics, results.tables
    versions = pd.DataFrame([result.versions for _, result in results.finished.values()])
    return _template("page.md.j2", finalize=escape).render(
        study=results.study,
        results=results,
        folded=folded,
        verdicts=[card(results, answer) for answer in found],
        candidates=table(results, found) if found else None,
        progress=progress(results),
        run_words=run_words,
        label_words=label_words,
        taken=taken(results),
        lines=lines,
        ticks=_fence,
        fence=_fence("".join(lines)),
        tables=[metric_table(results, metric, table) for metric in metrics for table in tables]
        + [chosen for table in tables if (chosen := chosen_table(results, table)) is not None],
        rankings=rankings(results),
        pictures=pictures,
        lists={
            "Failed runs": results.failed,
            "Runs that were stopped early; their figures until then count": [
                (run, result.stopped) for run, result in results.finished.values() if result.stopped
            ],
            "Missing runs": [(run, None) for run in results.missing],
        },
        # Of each library the commonest first.
        versions=[
            f"{name} {', '.join(versions[name].value_counts().index)}" for name in sorted(map(str, versions))
        ],
    )


def _fence(text: str) -> str:
    """Return the marks of a block of code, longer than any in its text, so that none of them ends it."""
    longest = max((len(ticks) for ticks in re.findall("`+", text)), default=0)
    return "`" * max(3, longest + 1)


class Fold(NamedTuple):
    """A part of the page that is folded."""

    title: Markup
    body: Markup
    open: bool


def to_html(results: Results, found: Sequence[Answer], markdown: str, folder: Path) -> str:
    """Return a page as one HTML file: verdict, table and curves, and below them a page of Markdown, section by section.

    Its pictures, which are in ``folder``, are within it.
    """
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = parser.parse(markdown)
    for image in (child for token in tokens for child in token.children or () if child.type == "image"):
        data = base64.b64encode((folder / str(image.attrs["src"])).read_bytes()).decode()
        image.attrs["src"] = f"data:image/png;base64,{data}"
    body = parser.renderer.render(tokens, parser.options, {})
    # Numbers are aligned, so what has no style are the labels of the rows.
    body = re.sub("<td>(.*)</td>", r'<th scope="row">\1</th>', body)
    intro, *parts = re.split("<h2>(.*)</h2>\n", body)
    sections = [
        Fold(Markup(title), Markup(text), title in OPEN)
        for title, text in zip(parts[::2], parts[1::2], strict=True)
    ]
    lines = curves(results, found)
    runs, unfinished = progress(results)
    script = Path(__file__).with_name("page.js").read_text("utf-8")
    return _template("page.html.j2", autoescape=True).render(
        title=results.study.title or results.study.name,
        source=results.study.source,
        progress=f"{runs} are finished{f'; {unfinished}' if unfinished else ''}.",
        cards=[card(results, answer) for answer in found],
        table=table(results, found) if found else None,
        curves=lines,
        colors={place: color for place, _, color in lines.legend} if lines else {},
        intro=Markup(intro),
        sections=sections,
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def _template(name: str, **options: Any) -> Template:
    loader = FileSystemLoader(Path(__file__).parent)
    options |= {"undefined": StrictUndefined, "trim_blocks": True, "keep_trailing_newline": True}
    return Environment(loader=loader, **options).get_template(name)
