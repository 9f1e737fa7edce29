"""A page shows hostile names as text."""

import re
from pathlib import Path

import pytest

from dropout_lab.app.report.page import Picture, to_html, to_markdown
from dropout_lab.app.report.results import read_results
from tests.data.studies import study, write_failure, write_study

SCRIPT = "<script>alert(1)</script>"
ATTRIBUTE = '" onerror="alert(1)'
FENCED = f"name\n```\n\n{SCRIPT}\n\n# [click](javascript:alert(1))"


def page(folder: Path, text: str) -> str:
    """Return the page of a study that has a text wherever one can stand."""
    content = study(title=text, source=text, deviations=[text], shortened=[text])
    content["grid"]["method"][text] = content["grid"]["method"].pop("dropout")
    content["paper"] = []
    content["report"]["recommend"] = True
    write_study(
        folder,
        content,
        lambda labels, seed: {"val/accuracy": 0.5 + (labels["method"] == text), "test/accuracy": 0.5},
        keep=lambda labels, seed: labels["layers"] == 2,
    )
    write_failure(folder, {"method": text, "layers": 3, "p": 0.5}, 1, text)
    return to_markdown(read_results(folder), text, [Picture("bars", "figure-bars.png", text)])


@pytest.mark.parametrize(
    "text", [SCRIPT, ATTRIBUTE, f"</title>{SCRIPT}", f"</pre>{SCRIPT}", f"</td>{SCRIPT}", FENCED]
)
def test_html(tmp_path: Path, text: str) -> None:
    (tmp_path / "figure-bars.png").touch()
    found = to_html(text, page(tmp_path / "s", text), tmp_path)
    assert "<script" not in found
    assert 'onerror="' not in found
    assert "<a " not in found
    assert found.count("<img ") == 1
    assert found.count("<h1>") == 1


def test_markdown(tmp_path: Path) -> None:
    found = page(tmp_path / "s", FENCED)
    fences = [match[0] for match in re.finditer(r"^(`{3,})console\n(.*)\n\1$", found, re.MULTILINE)]
    assert len(fences) == 2
    for fence in fences:
        assert "```" in fence.splitlines()[1]
        assert fence.startswith("````")
        found = found.replace(fence, "")
    assert not re.search(r"(?<!\\)<script|(?<!\\)\[click", found)
    assert "\n# [" not in found
    assert "\n# " not in found.removeprefix("# ")
