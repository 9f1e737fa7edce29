"""Curves before they are drawn."""

from dataclasses import replace

import numpy as np
import pytest

from dropout_lab.app.report.figures.curves import history, sweep_axis, sweep_line, time_axis
from dropout_lab.app.report.results import Cells
from dropout_lab.app.report.statistics import estimate


def test_mean_and_interval_at_each_epoch(cells: Cells) -> None:
    group = cells.of({"method": "dropin", "layers": 2})
    line = history(group, "val/accuracy", "epoch")
    assert line is not None
    assert line.x.tolist() == [1, 2, 3, 4, 5, 6]
    first = estimate([100 * run.history["val/accuracy"][0] for run in group.values()])
    assert (line.mean[0], line.half[0]) == pytest.approx((first.mean, first.half))


def test_rows_without_the_metric_are_left_out(cells: Cells) -> None:
    line = history(cells.of({"method": "dropin", "layers": 2}), "train/accuracy", "epoch")
    assert line is not None
    assert line.x.tolist() == [2, 3, 4, 5, 6]


def test_seconds_are_means_over_seeds(cells: Cells) -> None:
    line = history(cells.of({"method": "dropin", "layers": 2}), "val/accuracy", "seconds")
    assert line is not None
    assert line.x.tolist() == [4.0 * epoch for epoch in range(1, 7)]


def test_a_run_that_was_stopped_ends_the_line(cells: Cells) -> None:
    group = dict(cells.of({"method": "dropin", "layers": 2}))
    short = {name: values[:2] for name, values in group[1].history.items()}
    line = history({**group, 1: replace(group[1], history=short)}, "val/accuracy", "epoch")
    assert line is not None
    assert line.x.tolist() == [1, 2]


def test_nothing_to_draw(cells: Cells) -> None:
    group = cells.of({"method": "dropin", "layers": 2})
    assert history({}, "val/accuracy", "epoch") is None
    assert history(group, "val/f1", "epoch") is None
    nan = {seed: replace(run, history={"epoch": [0.0], "val/f1": [np.nan]}) for seed, run in group.items()}
    assert history(nan, "val/f1", "epoch") is None


def test_steps_where_validation_is_more_often_than_epochs(cells: Cells) -> None:
    assert time_axis(cells) == "epoch"
    run = replace(cells.results.runs[0], history={"epoch": [0.0, 0.0, 1.0]})
    assert time_axis(Cells(replace(cells.results, runs=(run,)), None)) == "step"


def test_a_sweep_has_the_known_means(cells: Cells) -> None:
    every = Cells(cells.results, None)
    line = sweep_line(every, {"method": "dropin", "layers": 2}, "p", "test/accuracy")
    assert sweep_axis(cells) == "p"
    assert line is not None
    assert line.x.tolist() == [0.25, 0.5, 0.75]
    assert line.mean == pytest.approx([44.5, 45.0, 45.5])


def test_a_method_without_a_p_has_no_sweep(cells: Cells) -> None:
    every = Cells(cells.results, None)
    assert sweep_line(every, {"method": "none", "layers": 2}, "p", "test/accuracy") is None
