"""The fit with which those that are interrupted, killed or resumed are compared."""

from pathlib import Path

import pytest

from dropout_lab.app.main import main
from tests.app.run.runs import standing_in, write_fit


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder ``one`` of a fit that nobody disturbs: its images, its config and its run."""
    folder = tmp_path_factory.mktemp("undisturbed")
    with standing_in(folder):
        main(write_fit(Path("one")))
    return folder / "one"
