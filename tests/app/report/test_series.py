"""Curves before they are drawn."""

from dataclasses import replace

import numpy as np
import pytest

from dropout_lab.app.plotting import new_figure
from dropout_lab.app.report.figures.curves import history, place_values, sweep_axis, sweep_line, time_axis
from dropout_lab.app.report.results import Results
from dropout_lab.app.statistics.estimate import estimate
from dropout_lab.app.study.spec import Labels

DROPIN: Labels = {"method": "dropin", "layers": 2}


def test_mean_and_interval_at_each_epoch(results: Results) -> None:
    line = history(results, DROPIN, "val/accuracy", "epoch")
    assert line is not None
    assert line["x"].tolist() == [1, 2, 3, 4, 5, 6]
    runs = results.of(DROPIN).values()
    first = estimate([100 * results.history.xs(run)["val/accuracy"].iloc[0] for run in runs])
    assert (line["mean"][0], line["low"][0], line["high"][0]) == pytest.approx(
        (first.mean, *(first.interval or ()))
    )


def test_rows_without_the_metric_are_left_out(results: Results) -> None:
    line = history(results, DROPIN, "train/accuracy", "epoch")
    assert line is not None
    assert line["x"].tolist() == [2, 3, 4, 5, 6]


def test_seconds_are_means_over_seeds(results: Results) -> None:
    line = history(results, DROPIN, "val/accuracy", "seconds")
    assert line is not None
    assert line["x"].tolist() == [4.0 * epoch for epoch in range(1, 7)]


def test_a_run_that_was_stopped_ends_the_line(results: Results) -> None:
    stopped = results.of(DROPIN)[1]
    rows = [run != stopped or row < 2 for run, row in results.history.index]
    line = history(replace(results, history=results.history[rows]), DROPIN, "val/accuracy", "epoch")
    assert line is not None
    assert line["x"].tolist() == [1, 2]


def test_nothing_to_draw(results: Results) -> None:
    assert history(results, {"method": "nothing"}, "val/accuracy", "epoch") is None
    assert history(results, DROPIN, "val/f1", "epoch") is None
    nan = replace(results, history=results.history.assign(**{"val/f1": np.nan}))
    assert history(nan, DROPIN, "val/f1", "epoch") is None


def test_steps_where_validation_is_more_often_than_epochs(results: Results) -> None:
    assert time_axis(results) == "epoch"
    assert time_axis(replace(results, history=results.history.assign(epoch=0.0))) == "step"


def test_a_sweep_has_the_known_means(results: Results) -> None:
    line = sweep_line(replace(results, select=None), DROPIN, "p", "test/accuracy")
    assert sweep_axis(results) == "p"
    assert line is not None
    assert line["x"].tolist() == [0.25, 0.5, 0.75]
    assert line["mean"].tolist() == pytest.approx([44.5, 45.0, 45.5])


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        ([0.001, 0.003, 0.01, 0.03], "log"),
        ([25, 50, 100, 200], "log"),
        ([0.1, 0.2, 0.3, 0.5, 0.9], "linear"),
        ([0.25, 0.5, 0.75], "linear"),
        ([0.2, 0.5], "linear"),
        ([0, 1, 1000], "linear"),
    ],
)
def test_values_are_where_their_ticks_are_apart(values: list[float], scale: str) -> None:
    _, (axes,) = new_figure(1)
    place_values(axes, values, 12)
    assert axes.get_xscale() == scale
    assert [label.get_text() for label in axes.get_xticklabels()] == [f"{value:g}" for value in values]


def test_a_method_without_a_p_has_no_sweep(results: Results) -> None:
    every = replace(results, select=None)
    assert sweep_line(every, {"method": "none", "layers": 2}, "p", "test/accuracy") is None
