"""What a command prints."""

import pytest
from rich.table import Table

from dropout_lab.app.console import console, print_line


def test_a_line_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    print_line("runs/[bold]/[/x] 12")
    assert capsys.readouterr().out == "runs/[bold]/[/x] 12\n"


def test_a_log_has_a_row_of_a_table_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    folder = "runs/" + "a long name " * 20
    table = Table.grid(padding=(0, 2))
    table.add_row("run", folder)
    console.print(table)
    assert folder.strip() in capsys.readouterr().out.splitlines()[0]
