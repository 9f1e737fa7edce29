"""What the terminal says of a study."""

from io import StringIO
from pathlib import Path

import pytest

from app.report.cells import Cells
from app.report.reading import read_results
from app.report.terminal import console, show
from tests.data.studies import study, write_study


def printed(folder: Path) -> str:
    results = read_results(folder)
    stream = StringIO()
    show(Cells(results, results.study.select), console(stream))
    return stream.getvalue()


def test_the_first_table_with_the_papers_numbers(folder: Path) -> None:
    text = printed(folder)
    (row,) = (line for line in text.splitlines() if "dropin" in line)
    assert [text.strip() for text in row.split("│")[1:5]] == ["dropin", "45.00 ± 4.72", "42.00", "+3.00"]
    assert "Mean over seeds ± half the 95 % interval" in text
    assert "Take" not in text


def test_the_advice_where_the_study_asks_for_it(tmp_path: Path) -> None:
    content = study()
    content["report"]["recommend"] = True
    text = printed(write_study(tmp_path / "made-up", content))
    assert "For layers 2: dropin with p 0.5 (3 of 3 seeds) is best by validation accuracy" in text
    assert "Take dropin: +5.00 against none" in text


def test_a_narrow_terminal_cuts_no_number(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    text = printed(folder)
    assert "…" not in text
    assert max(map(len, text.splitlines())) < 200, "nothing is padded"
