"""A page shows hostile names as text."""

import re
from pathlib import Path

import pytest

from dropout_lab.app.report.answer import Word, answers
from dropout_lab.app.report.latex import escape_latex, to_latex
from dropout_lab.app.report.page import Picture, to_html, to_markdown
from dropout_lab.app.report.results import Results, read_results
from tests.data.studies import study, write_failure, write_study

SCRIPT = "<script>alert(1)</script>"
ATTRIBUTE = '" onerror="alert(1)'
FENCED = f"name\n```\n\n{SCRIPT}\n\n# [click](javascript:alert(1))"


def write(folder: Path, text: str) -> Results:
    """Return the runs of a study that has a text wherever one can stand."""
    content = study(title=text, source=text, deviations=[text], shortened=[text])
    content["grid"]["method"][text] = {
        "model": {"network": {"init_args": {"dropout": {"class_path": text, "init_args": {text: [text]}}}}}
    }
    del content["grid"]["method"]["dropout"]
    content["paper"] = []
    write_study(
        folder,
        content,
        lambda labels, seed: {
            "val/accuracy": 0.5 + 0.1 * (labels["method"] == text),
            "test/accuracy": 0.5 + (0.1 + seed / 1000) * (labels["method"] == text),
        },
        keep=lambda labels, seed: labels["layers"] == 2,
    )
    write_failure(folder, {"method": text, "layers": 3, "p": 0.5}, 1, text)
    return read_results(folder)


@pytest.mark.parametrize(
    "text", [SCRIPT, ATTRIBUTE, f"</title>{SCRIPT}", f"</pre>{SCRIPT}", f"</td>{SCRIPT}", FENCED]
)
def test_html(tmp_path: Path, text: str) -> None:
    (tmp_path / "figure-bars.png").touch()
    results = write(tmp_path / "s", text)
    found = answers(results)
    assert found[0].word is Word.USE
    folded = to_markdown(results, found, text, [Picture("bars", "figure-bars.png", text)], folded=True)
    page = to_html(results, found, folded, tmp_path)
    # The page's own script, links and headings alone.
    assert len(re.findall("<script", page)) == 1
    assert 'onerror="' not in page
    assert re.findall('<a href="(.*?)"', page) == ["results.csv", "report.md"]
    assert page.count("<img ") == 1
    assert page.count("<h1>") == 1


def test_markdown(tmp_path: Path) -> None:
    results = write(tmp_path / "s", FENCED)
    found = to_markdown(results, answers(results), FENCED, [Picture("bars", "figure-bars.png", FENCED)])
    fences = [
        match[0] for match in re.finditer(r"^(`{3,})(?:console|yaml)\n(?:.*\n)*?\1$", found, re.MULTILINE)
    ]
    assert len(fences) == 3
    for fence in fences:
        assert "```" in "".join(fence.splitlines()[1:-1])
        assert fence.startswith("````")
        found = found.replace(fence, "")
    assert not re.search(r"(?<!\\)<script|(?<!\\)\[click", found)
    assert "\n# [" not in found
    assert "\n# " not in found.removeprefix("# ")


@pytest.mark.parametrize("text", [r"\input{/etc/passwd}", "50 % of $x_1$ & more", "a\nb ~ ^ # {}"])
def test_latex(tmp_path: Path, text: str) -> None:
    results = write(tmp_path / "s", text)
    page = to_latex(results, answers(results))
    assert r"\input" not in page
    for mark in "%$&_#{}~^":
        kept = re.findall(rf"(?<!\\){re.escape(mark)}", escape_latex(text.replace("\\", "")))
        assert not kept or mark in "{}$", (mark, kept)
