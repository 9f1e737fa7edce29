"""From a study's file to its report: what the runs leave is what the figures show."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from matplotlib.image import imread

from dropout_lab.app.main import main
from dropout_lab.app.study.run_files import RunFiles
from tests.app.study.studies import dropout, write_study

FIGURES = ["schedules", "distributions", "panels"]


def report(methods: dict[str, Any]) -> Path:
    """Run a study of one seed and report it; return its folder."""
    shown = {"rows": "method", "metric": "test/accuracy", "baseline": {"method": "none"}, "figures": FIGURES}
    file = write_study(grid={"method": methods}, seeds=[0], report=shown)
    main(f"study {file} --jobs 1 --set data.batch_size=100".split())
    main("report studies/tiny".split())
    for figure in FIGURES:
        assert imread(Path(f"studies/tiny/report/figure-{figure}.png")).shape[1] == 1600
    page = Path("studies/tiny/report/report.html").read_text()
    assert page.count('src="data:image/png;base64,') == len(FIGURES)
    assert "Not drawn" not in page
    assert (
        page.count(
            "$ dropout-lab study tiny.yaml --jobs 1 --set data.batch_size=100\n$ dropout-lab report studies/tiny"
        )
        == 2
    )
    return Path("studies/tiny")


def of(folder: Path, method: str) -> RunFiles:
    (found,) = (
        file.parent for file in folder.glob("runs/*/run.json")
        if json.loads(file.read_text())["labels"]["method"] == method
    )  # fmt: skip
    return RunFiles(found)


@pytest.mark.slow  # each of these figures is drawn of results that are written
def test_schedules_distributions_and_panels() -> None:
    scheduled = dropout({"class_path": "MalDrop", "init_args": {"rho": 0}}) | {
        "trainer": {
            "callbacks+": {
                "class_path": "RhoScheduler",
                "init_args": {"schedule": {"class_path": "Periodic", "init_args": {"rho": 4, "period": 2}}},
            }
        }
    }
    alan = dropout({"class_path": "DropAlan", "init_args": {"distribution": "alpha"}})
    folder = report({"none": dropout("NoDropout"), "periodic": scheduled, "alan": alan})
    with of(folder, "periodic").epochs.open() as stream:
        rows = list(csv.DictReader(stream))
    (layer,) = (name.partition("/")[2] for name in rows[0] if name.startswith("rho_mean/"))
    # Two batches an epoch, of which one is active.
    assert [[float(row[f"rho_{kind}/{layer}"]) for kind in ("min", "mean", "max")] for row in rows] == [
        [0, 2, 4]
    ] * 2
    assert of(folder, "alan").panels.is_file()
