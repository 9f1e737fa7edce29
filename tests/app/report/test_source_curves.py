"""The source's own curves beside ours."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure

from dropout_lab.app.report.figures.curves import time_axis
from dropout_lab.app.report.page import to_markdown
from dropout_lab.app.report.results import Results, read_results
from dropout_lab.app.report.write import draw
from tests.data.studies import study, write_study

CURVE: dict[str, Any] = {
    "labels": {"method": "none", "layers": 2},
    "name": "the original's log",
    "source": "a log, commit 1a2b",
    "steps": [10, 30, 1000],
    "series": {"val/accuracy": [0.1, 0.2, 0.3], "train/loss": [2.0, 1.0, 0.5]},
}


def with_curves(folder: Path, *curves: dict[str, Any]) -> Results:
    return read_results(write_study(folder, study(curves=list(curves))))


def drawn(kind: str, results: Results) -> Figure:
    figure = draw(kind, results, "test/accuracy", {})
    assert figure is not None
    return figure


def thin(figure: Figure) -> list[list[list[float]]]:
    return [
        [np.asarray(values).tolist() for values in line.get_data()]
        for axes in figure.axes
        for line in axes.lines
        if line.get_linewidth() < 1
    ]


def legend(figure: Figure) -> list[str]:
    return [text.get_text() for each in figure.legends for text in each.get_texts()]


def test_a_thin_line_as_long_as_ours(tmp_path: Path) -> None:
    results = with_curves(tmp_path / "s", CURVE)
    assert time_axis(results) == "step"
    curves, loss = drawn("curves", results), drawn("loss", results)
    # Six epochs of ten steps.
    assert thin(curves) == [[[10, 30], [10, 20]]]
    assert thin(loss) == [[[10, 30], [2, 1]]]
    assert legend(curves).count("the original's log") == 1
    assert thin(drawn("time", results)) == []


def test_epochs_over_steps_and_over_epochs(tmp_path: Path) -> None:
    epochs = {key: value for key, value in CURVE.items() if key != "steps"} | {"epochs": [1, 2, 50]}
    alone = with_curves(tmp_path / "a", epochs)
    assert time_axis(alone) == "epoch"
    assert thin(drawn("curves", alone)) == [[[1, 2], [10, 20]]]
    both = with_curves(tmp_path / "b", epochs, CURVE | {"labels": {"method": "dropin"}})
    # The second is of both columns.
    assert thin(drawn("curves", both)) == [[[10, 20], [10, 20]], [[10, 30], [10, 20]], [[10, 30], [10, 20]]]


def test_a_curve_that_begins_later_is_not_named(tmp_path: Path) -> None:
    results = with_curves(tmp_path / "s", CURVE | {"steps": [100, 300, 1000]})
    assert "the original's log" not in legend(drawn("curves", results))


def test_the_page_names_the_source(tmp_path: Path) -> None:
    page = to_markdown(with_curves(tmp_path / "s", CURVE), [], "c", [])
    assert "- none, layers 2: the original's log; val/accuracy, train/loss from a log, commit 1a2b" in page


def test_time_relative_to_other_labels_than_the_baseline(tmp_path: Path) -> None:
    content = study()
    content["report"] |= {"time": {"method": "dropin"}, "figures": ["cost"]}
    results = read_results(write_study(tmp_path / "s", content))
    (cell, *_) = results.cells("test/accuracy", {}, {"layers": 2})
    # 2 s an epoch against 3, 4 and 5.
    assert cell.time is not None
    assert cell.time.mean == pytest.approx((2 / 3 + 2 / 4 + 2 / 5) / 3)
    figure = drawn("cost", results)
    assert figure.axes[0].get_xlabel() == "time of a step relative to dropin"
    marks = [each.lines[0] for each in figure.axes[0].containers if isinstance(each, ErrorbarContainer)]
    points = [float(np.asarray(mark.get_xdata())[0]) for mark in marks]
    assert points == pytest.approx([cell.time.mean, 1.0, 1.0])


def test_top_5_has_a_figure_where_it_was_measured(results: Results) -> None:
    assert draw("top5", results, "test/accuracy", {}) is None
    results.history["val/top5"] = results.history["val/accuracy"]
    figure = drawn("top5", results)
    assert figure.axes[0].get_ylabel() == "top-5 accuracy (%)"
    assert figure.axes[0].lines
