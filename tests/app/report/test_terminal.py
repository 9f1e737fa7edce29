"""What the terminal says of a study."""

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from dropout_lab.app.report.answer import answers
from dropout_lab.app.report.results import read_results
from dropout_lab.app.report.write import print_summary


def printed(folder: Path) -> str:
    results = read_results(folder)
    stream = StringIO()
    print_summary(results, answers(results), Console(soft_wrap=True, file=stream))
    return stream.getvalue()


def test_means_with_the_source_s_numbers(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    text = printed(folder)
    (row,) = (line for line in text.splitlines() if "│ dropin" in line)
    assert [word.strip() for word in row.split("│")[1:-1]] == [
        "dropin",
        "45.00 ± 5.50 (42.00)",
        "50.00 ± 5.50 (45.00)",
    ]
    assert "Mean over seeds ± half its 95 % interval; in brackets the source's number." in text


def test_the_answer_of_each_column(folder: Path) -> None:
    text = printed(folder)
    assert (
        "layers 2: Use dropin (p 0.5): dropin, p 0.5 − none +5.00 points (95 % interval +4.71 to +5.29)"
        in text
    )
    assert "layers 3: Use dropin" in text


def test_a_narrow_terminal_cuts_no_number(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    text = printed(folder)
    assert "…" not in text
    assert "45.00" in text
