"""A page as blocks, written as Markdown or as one HTML file that needs nothing else."""

import base64
import html
import re
from dataclasses import dataclass
from pathlib import Path

from app.report.table import Table


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
    text = "\n".join(f"| {' | '.join(_cell(text) for text in line)} |" for line in lines)
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


def _cell(text: str) -> str:
    return _plain(text) if text.strip("-: ") else text
