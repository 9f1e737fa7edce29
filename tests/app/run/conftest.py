"""The fit with which those that are interrupted, killed or resumed are compared."""

from pathlib import Path

import pytest

from dropout_lab.app.main import main
from tests.app.run.runs import write_fit


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder ``one`` of a fit that nobody disturbs: its images, its config and its run."""
    folder = tmp_path_factory.mktemp("undisturbed")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("DROPOUT_LAB_CACHE", str(folder / "cache"))
        main(write_fit(Path("one")))
        patch.delenv("PL_GLOBAL_SEED")
    return folder / "one"
