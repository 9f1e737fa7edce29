"""What ρ was over training, in hand-made folders."""

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from dropout_lab.app.report.figures.schedules import constant
from dropout_lab.app.report.results import Results, read_results
from dropout_lab.app.report.write import draw
from tests.data.studies import EPOCHS, run_folder, study, write_study

HEAD = "network.head.stage.dropout"
SCHEDULED = {
    "trainer": {"callbacks": [{"class_path": "RhoScheduler", "init_args": {"schedule": "Randomized"}}]}
}


def maldrop(rho: Any) -> dict[str, Any]:
    spec = {"class_path": "MalDrop", "init_args": {"rho": rho}}
    return {"model": {"network": {"init_args": {"dropout": spec}}}}


def written(folder: Path, kind: str = "rho", top: float = 512.0) -> Results:
    """Write a study of no dropout, a constant ρ, and a schedule that has 0 to ``top``, for two ρ."""
    content = study(
        grid={
            "method": {"none": {}, "standard": maldrop("${rho}"),
                       "drawn": {**maldrop(0), **SCHEDULED}},
            "rho": [64, 256],
        },
        skip=[], select=None, paper=[],
    )  # fmt: skip
    content["report"] |= {"columns": "rho", "figures": ["schedules"]}

    def metrics(labels: dict[str, Any], seed: int) -> dict[str, float]:
        # Runs that never differ would be one row.
        own = labels["rho"] / 1e6 + len(labels["method"]) / 1e7
        return {"val/accuracy": 0.4 + 0.01 * seed, "test/accuracy": 0.4 + own}

    write_study(folder, content, metrics)
    for rho in content["grid"]["rho"]:
        for seed in content["seeds"]:
            add_strength(run_folder(folder, {"method": "drawn", "rho": rho}, seed), kind, seed, top)
    results = read_results(folder)
    return replace(results, select=None)


def add_strength(run: Path, kind: str, seed: int, top: float) -> None:
    with (run / "epochs.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    for row in rows:
        own = {"mean": top / 2 + seed, "min": float(seed), "max": top - seed}
        row |= {f"{kind}_{name}/{HEAD}": str(value) for name, value in own.items()}
    with (run / "epochs.csv").open("w") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def drawn(results: Results) -> Figure:
    figure = draw("schedules", results, "test/accuracy", {})
    assert figure is not None
    return figure


def test_a_row_of_panels_a_column_rho_left_and_accuracy_right(tmp_path: Path) -> None:
    figure = drawn(written(tmp_path / "s"))
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["rho 64", "", "rho 256", ""]
    left, right = figure.axes[:2]
    assert (left.get_ylabel(), right.get_ylabel()) == ("ρ, units dropped", "validation accuracy (%)")
    # A constant of the settings, then what was recorded; without a ρ there is no line.
    standard, scheduled = (np.asarray(line.get_ydata()) for line in left.lines)
    assert standard.tolist() == [64.0] * EPOCHS
    assert scheduled.tolist() == [257.0] * EPOCHS
    assert np.asarray(left.lines[1].get_xdata()).tolist() == [1, 2, 3, 4, 5, 6]
    # The baseline's accuracy is beside the others'.
    assert len(right.lines) == 3
    assert to_hex(left.lines[1].get_color()) == to_hex(right.lines[2].get_color())
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["none", "standard", "drawn"]


def test_bars_from_the_least_to_the_most_of_any_seed(tmp_path: Path) -> None:
    left = drawn(written(tmp_path / "s")).axes[0]
    (bars,) = left.collections
    assert [np.asarray(path.vertices)[:, 1].tolist() for path in bars.get_paths()] == [[0.0, 512.0]] * EPOCHS


def test_what_is_far_above_the_others_does_not_press_them_flat(tmp_path: Path) -> None:
    figure = drawn(written(tmp_path / "s", top=4096.0))
    assert [axes.get_yscale() for axes in figure.axes[::2]] == ["symlog", "symlog"]
    assert figure.axes[0].get_yticks().tolist() == [0, 32, 64, 4096]
    near = drawn(written(tmp_path / "t", top=100.0))
    assert [axes.get_yscale() for axes in near.axes[::2]] == ["linear", "linear"]


def test_a_schedule_of_p(tmp_path: Path) -> None:
    left = drawn(written(tmp_path / "s", kind="p", top=0.5)).axes[0]
    assert left.get_ylabel() == "p"
    # ρ of the other method is no p.
    assert len(left.lines) == 1


def test_runs_without_a_record_have_no_figure(results: Results) -> None:
    assert draw("schedules", results, "test/accuracy", {}) is None


@pytest.mark.parametrize(
    ("settings", "value"),
    [
        (maldrop(64), 64.0),
        ({**maldrop(0), **SCHEDULED}, None),
        ({**maldrop(0), "trainer": {"callbacks": "dropout_lab.callbacks.RhoScheduler"}}, None),
        ({**maldrop(3), "trainer": {"callbacks": ["BestStep"]}}, 3.0),
        ({"model": {"network": {"init_args": {"dropout": "MalDrop"}}}}, None),
        (
            {"model": {"network": {"class_path": "AlanCNN", "dropout": {"class_path": "MalDrop", "rho": 5}}}},
            5.0,
        ),
        ({}, None),
    ],
)
def test_a_constant_is_read_from_settings_without_a_schedule(
    settings: dict[str, Any], value: float | None
) -> None:
    assert constant(settings, "rho") == value
