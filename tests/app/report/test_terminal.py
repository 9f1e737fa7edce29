"""What the terminal says of a study."""

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from dropout_lab.app.report.results import read_results
from dropout_lab.app.report.write import print_summary
from tests.data.studies import study, write_study


def printed(folder: Path) -> str:
    results = read_results(folder)
    stream = StringIO()
    print_summary(results, Console(soft_wrap=True, file=stream))
    return stream.getvalue()


def test_means_with_the_source_s_numbers(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    text = printed(folder)
    (row,) = (line for line in text.splitlines() if "dropin" in line)
    assert [word.strip() for word in row.split("│")[1:-1]] == [
        "dropin",
        "45.00 ± 4.72 (42.00)",
        "50.00 ± 4.72 (45.00)",
    ]
    assert "Mean over seeds ± half its 95 % interval; in brackets the source's number." in text
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
    assert "45.00" in text
