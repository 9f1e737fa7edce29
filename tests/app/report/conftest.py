"""A made-up study, whole."""

import shutil
from copy import deepcopy
from pathlib import Path

import pytest

from dropout_lab.app.report.results import Results, read_results
from tests.data.studies import write_study


@pytest.fixture(scope="session")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished study, written once; nothing in it is changed."""
    return write_study(tmp_path_factory.mktemp("studies") / "made-up")


@pytest.fixture(scope="session")
def read(made_up: Path) -> Results:
    """Its runs, read once."""
    return read_results(made_up)


@pytest.fixture
def folder(made_up: Path, tmp_path: Path) -> Path:
    """The folder of a finished study, for one test alone."""
    return Path(shutil.copytree(made_up, tmp_path / "made-up"))


@pytest.fixture
def results(read: Results) -> Results:
    """Its runs, chosen by validation, for one test alone."""
    return deepcopy(read)
