"""A page shows hostile names as text."""

import re

from dropout_lab.app.report.page import Block, Bullets, Command, Heading, Paragraph, to_html, to_markdown
from dropout_lab.app.report.tables import Table

SCRIPT = "<script>alert(1)</script>"
ATTRIBUTE = '" onerror="alert(1)'


def page(text: str) -> list[Block]:
    table = Table(text, (text, "a"), ((text, text),), (text,))
    return [Heading(text), Paragraph(text), Bullets((text,)), Command((text,)), table]


def test_html() -> None:
    for text in (SCRIPT, ATTRIBUTE, f"</title>{SCRIPT}", f"</pre>{SCRIPT}"):
        found = to_html(text, page(text))
        assert "<script" not in found
        assert 'onerror="' not in found


def test_markdown() -> None:
    text = f"name\n```\n\n{SCRIPT}\n\n# [click](javascript:alert(1))"
    found = to_markdown(page(text))
    fence = re.search(r"^(`{3,})console\n(.*)\n\1$", found, re.MULTILINE)
    assert fence is not None
    rest = found.replace(fence[0], "")
    assert not re.search(r"(?<!\\)<script|(?<!\\)\[click", rest)
    assert "\n# " not in rest
    assert "```" in fence[2]
    assert len(fence[1]) > 3
