"""What a command prints."""

import pytest

from dropout_lab.app.console import print_line


def test_a_line_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    print_line("runs/[bold]/[/x] 12")
    assert capsys.readouterr().out == "runs/[bold]/[/x] 12\n"
