"""Marks in texts, and the page as HTML."""

import base64
from dataclasses import replace
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from dropout_lab.app.report.page import escape, to_html
from dropout_lab.app.report.results import Results

PAGE = (
    "a & b\n\n## What was reduced\n\n- \\<i>\n- b\\_c\n\n## Results\n\n```console\n$ run x\n$ run y\n```\n\n"
    "**accuracy (%)**\n\n| method | here |\n| --- | ---: |\n| drop\\_in | – |\n\nA note.\n"
)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("A <b>", "A \\<b>"),
        ("2 * 3", "2 \\* 3"),
        ("b_c", "b\\_c"),
        ("two\nlines", "two lines"),
        ("a | b", "a \\| b"),
        ("a & b", "a & b"),
        ("a](b)", "a\\](b)"),
        ("&lt;b", "\\&lt;b"),
        ("+3.00", "+3.00"),
        ("40.00 ± 1.00", "40.00 ± 1.00"),
        ("10 epochs instead of 100", "10 epochs instead of 100"),
        ("1. first", "1\\. first"),
        ("12) first", "12\\) first"),
        ("- first", "\\- first"),
        ("---", "\\---"),
        ("# first", "\\# first"),
        ("    code", "code"),
    ],
)
def test_a_text_is_read_as_it_is_written(text: str, written: str) -> None:
    assert escape(text) == written
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    for block, before, after in (("", "<p>", "</p>\n"), ("- ", "<ul>\n<li>", "</li>\n</ul>\n")):
        words = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        assert parser.render(f"{block}{escape(text)}\n") == f"{before}{words}{after}"


def test_html_escapes_and_holds_its_pictures(results: Results, tmp_path: Path) -> None:
    file = tmp_path / "figure-bars.png"
    file.write_bytes(b"\x89PNG")
    named = replace(results, study=results.study.model_copy(update={"title": "A <b>"}))
    page = to_html(named, [], f'{PAGE}\n![Say "it"](figure-bars.png)\n\n*Say "it"*\n', tmp_path)
    assert "<title>A &lt;b&gt;</title>" in page
    assert "<h1>A &lt;b&gt;</h1>" in page
    assert "<p>a &amp; b</p>" in page
    assert "<details open><summary>What was reduced</summary>\n<ul>\n<li>&lt;i&gt;</li>" in page
    assert "<details><summary>Results</summary>" in page
    assert "$ run x\n$ run y\n</code></pre>" in page
    assert '<th scope="row">drop_in</th>\n<td style="text-align:right">–</td>' in page
    assert f'src="data:image/png;base64,{base64.b64encode(file.read_bytes()).decode()}"' in page
    assert 'alt="Say &quot;it&quot;"' in page
