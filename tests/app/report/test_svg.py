"""Where things lie in the page's drawings."""

import math

import numpy as np
import pandas as pd
import pytest

from dropout_lab.app.report.svg import POINTS, Axis, axis_of_differences, bar, curve, zoomed
from dropout_lab.app.statistics.estimate import Estimate


def test_an_axis() -> None:
    axis = Axis(-1.0, 3.0, 10.0, 410.0)
    assert [axis.at(value) for value in (-1, 0, 3, 5, -9)] == [10, 110, 410, 410, 10]
    assert axis.ticks(5) == [(10.0, "−1"), (110.0, "0"), (210.0, "1"), (310.0, "2"), (410.0, "3")]
    assert [text for _, text in Axis(0.0, 0.05, 0.0, 100.0).ticks(5)] == [
        "0.00",
        "0.01",
        "0.02",
        "0.03",
        "0.04",
        "0.05",
    ]
    assert [text for _, text in Axis(0.0, 10.0, 0.0, 100.0).ticks(4)] == ["0.0", "2.5", "5.0", "7.5", "10.0"]


def test_differences_have_0_and_what_matters_on_their_axis_and_outliers_are_cut() -> None:
    usual = [Estimate(0.01 * place, 0.01, 0.01, 5) for place in (-1, 0, 1)]
    axis = axis_of_differences(usual, 100.0, 0.005, 0.0, 100.0)
    assert axis.low < -2 < 2 < axis.high
    wide = axis_of_differences([*usual, Estimate(-0.5, 0.1, 0.2, 5)], 100.0, 0.005, 0.0, 100.0)
    assert -10 < wide.low < -2
    found = bar(wide, Estimate(-0.5, 0.1, 0.2, 5), 100.0)
    assert found is not None
    assert found.cut == (True, False)
    assert (found.low, found.high) == (0.0, 0.0)
    assert bar(wide, Estimate(math.nan, None, None, 5), 100.0) is None
    tiny = axis_of_differences([], 100.0, 0.005, 0.0, 100.0)
    assert tiny.low < -0.5 < 0.5 < tiny.high


def line(*values: float) -> pd.DataFrame:
    means = np.array(values)
    return pd.DataFrame(
        {"x": np.arange(1.0, len(values) + 1), "mean": means, "low": means - 1, "high": means + 1}
    )


def test_a_zoom_leaves_out_how_all_begin() -> None:
    low, high = zoomed([line(10, 80, 90, 90), line(20, 85, 91, 95)])
    assert low == pytest.approx(10 - 0.06 * 85)  # 4 points: the first is in the last three quarters
    many = [line(*np.linspace(0, 80, 20), *[90.0] * 60), line(*np.linspace(0, 70, 20), *[95.0] * 60)]
    low, high = zoomed(many)
    assert 60 < low < 90 < 95 < high
    assert zoomed([line(5.0)])[0] < 5 < zoomed([line(5.0)])[1]


def test_a_curve_has_no_more_points_than_can_be_told_apart() -> None:
    axis = Axis(0.0, 1000.0, 0.0, 100.0)
    found = curve(line(*range(1000)), axis, Axis(0.0, 1000.0, 100.0, 0.0), place=3)
    assert found.mean.count(",") == POINTS
    assert found.mean.startswith("M0.1,100.0 ")
    assert found.mean.endswith("100.0,0.1")
    assert found.band.count("L") == 1
    assert found.band.endswith("Z")
