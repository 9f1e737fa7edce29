"""Blocks as Markdown and as HTML."""

import base64
from pathlib import Path

from dropout_lab.app.report.page import (
    Block,
    Bullets,
    Command,
    Heading,
    Paragraph,
    Picture,
    to_html,
    to_markdown,
)
from dropout_lab.app.report.tables import Table

TABLE = Table("accuracy (%)", ("method", "here"), (("none", "40.00 ± 1.00"), ("drop_in", "–")), ("A note.",))


def test_markdown() -> None:
    blocks: list[Block] = [
        Heading("A <b>", 1),
        Paragraph("2 * 3"),
        Command(("run x", "run y")),
        Bullets(("a", "b_c")),
        TABLE,
    ]
    assert to_markdown(blocks) == (
        "# A \\<b>\n\n2 \\* 3\n\n```console\n$ run x\n$ run y\n```\n\n- a\n- b\\_c\n\n**accuracy (%)**\n\n"
        "| method | here |\n| --- | ---: |\n| none | 40.00 ± 1.00 |\n| drop\\_in | – |\n\nA note.\n"
    )


def test_html_escapes_and_holds_its_pictures(tmp_path: Path) -> None:
    file = tmp_path / "figure-bars.png"
    file.write_bytes(b"\x89PNG")
    blocks: list[Block] = [
        Heading("A <b>", 1),
        Paragraph("a & b"),
        Bullets(("<i>",)),
        TABLE,
        Picture(file, 'Say "it"'),
    ]
    page = to_html("A <b>", blocks)
    assert "<title>A &lt;b&gt;</title>" in page
    assert "<p>a &amp; b</p>" in page
    assert "<li>&lt;i&gt;</li>" in page
    assert '<th class="name" scope="row">drop_in</th><td>–</td>' in page
    assert f'src="data:image/png;base64,{base64.b64encode(file.read_bytes()).decode()}"' in page
    assert 'alt="Say &quot;it&quot;"' in page
    assert to_markdown(blocks).count("](figure-bars.png)") == 1
