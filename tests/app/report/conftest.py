"""A made-up study, whole."""

from pathlib import Path

import pytest

from dropout_lab.app.report.results import Results, read_results
from tests.data.studies import write_study


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a finished study."""
    return write_study(tmp_path / "made-up")


@pytest.fixture
def results(folder: Path) -> Results:
    """Its runs, chosen by validation."""
    return read_results(folder)
