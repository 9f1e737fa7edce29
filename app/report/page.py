"""The page of a report, as Markdown and as one HTML file; its words stand in ``page.md.j2``."""

import base64
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markdown_it import MarkdownIt
from markupsafe import Markup

from dropout_lab.app.report.compare import rankings, recommendations
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


def to_markdown(results: Results, command: str, pictures: Sequence[Picture]) -> str:
    """Return the page that ``command`` makes."""
    lines = [" ".join(line.split()) for line in (*results.commands, command)]
    longest = max((len(ticks) for line in lines for ticks in re.findall("`+", line)), default=0)
    metrics, tables = results.study.report.metrics, results.tables
    versions = pd.DataFrame([result.versions for _, result in results.finished.values()])
    return _template("page.md.j2", finalize=escape).render(
        study=results.study,
        results=results,
        progress=progress(results),
        run_words=run_words,
        label_words=label_words,
        taken=taken(results),
        lines=lines,
        # Longer than any in the lines, so that none of them ends it.
        fence="`" * max(3, longest + 1),
        recommendations=recommendations(results),
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
    options |= {"undefined": StrictUndefined, "trim_blocks": True, "keep_trailing_newline": True}
    return Environment(loader=loader, **options).get_template(name)
