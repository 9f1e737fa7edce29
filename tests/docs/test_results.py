"""The reports of studies that were run are whole, and of the studies as they stand."""

import csv
import re
from pathlib import Path

import pytest

from dropout_lab.app.study.read_spec import read_study
from dropout_lab.app.study.spec import FORMS

REPOSITORY = Path(__file__).parents[2]
RESULTS = REPOSITORY / "docs" / "results"
REPORTS = sorted(path.parent for path in RESULTS.glob("*/report.md"))


def test_there_are_reports() -> None:
    assert REPORTS


@pytest.mark.parametrize("folder", REPORTS, ids=lambda folder: folder.name)
def test_a_report_is_whole(folder: Path) -> None:
    text = (folder / "report.md").read_text()
    figures = {path.name for path in folder.glob("*.png")}
    assert set(re.findall(r"\]\(([\w.-]+\.png)\)", text)) == figures
    form = next((form for form in FORMS if folder.name.endswith(f"-{form}")), None)
    name = folder.name.removesuffix(f"-{form}")
    command = f"$ dropout-lab study configs/studies/{name}.yaml" + (f" --{form}" if form else "")
    # With other options too, such as where the data are.
    assert any(line.startswith(command) for line in text.splitlines())
    assert ("## What was reduced" in text) == (form is not None)
    study = read_study(REPOSITORY / "configs" / "studies" / f"{name}.yaml", form)
    assert (study.name, study.title) == (folder.name, text.splitlines()[0].removeprefix("# "))
    plain = text.replace("\\", "")
    for said in (*study.deviations, *study.shortened):
        assert f"- {said}" in plain


@pytest.mark.parametrize("folder", REPORTS, ids=lambda folder: folder.name)
def test_every_run_is_in_the_table(folder: Path) -> None:
    with (folder / "results.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    hashes = [row["hash"] for row in rows]
    assert len(set(hashes)) == len(hashes)
    text = (folder / "report.md").read_text()
    assert f"All {len(hashes)} runs are finished." in text
    assert f"]({folder.name}/report.md)" in (RESULTS / "README.md").read_text()
