"""Where things lie in the page's drawings: plain geometry, which the page's template draws."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from dropout_lab.app.statistics.estimate import Estimate

# An axis of differences is cut where the widest interval is so many times as wide as the usual one.
WIDEST = 4.0
# A curve has no more points than can be told apart.
POINTS = 150


class Axis(NamedTuple):
    """A scale from ``low`` to ``high`` over the pixels from ``start`` to ``end``."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """Return the pixel of a value, rounded; of one beyond an end, that end."""
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 1)

    def ticks(self, count: int) -> list[tuple[float, str]]:
        """Return pixels and texts of round numbers, ``count`` intervals at most."""
        values = MaxNLocator(nbins=count, steps=[1, 2, 2.5, 5, 10]).tick_values(self.low, self.high)
        room = 1e-9 * (self.high - self.low)
        shown = [value for value in values if self.low - room <= value <= self.high + room]
        digits = max((_digits(value) for value in np.diff(values)), default=0)
        return [(self.at(value), f"{value:z.{digits}f}".replace("-", "−")) for value in shown]


def _digits(step: float) -> int:
    """Return how many decimals a step of 1, 2, 2.5 or 5 times a power of ten needs."""
    return next((digits for digits in range(8) if math.isclose(step, round(step, digits), rel_tol=1e-6)), 8)


@dataclass(frozen=True)
class Bar:
    """An interval with its mean, in pixels; ``cut`` are the ends that lie beyond the axis."""

    low: float
    mean: float
    high: float
    cut: tuple[bool, bool]


@dataclass(frozen=True)
class Line:
    """A method's line over training: paths of the mean and of its band, in pixels."""

    place: int  # among the rows
    mean: str
    band: str


@dataclass(frozen=True)
class Plot:
    """Lines of a column, with ticks along both sides."""

    title: str
    x_ticks: Sequence[tuple[float, str]]
    y_ticks: Sequence[tuple[float, str]]
    lines: Sequence[Line]


def axis_of_differences(
    found: Iterable[Estimate], unit: float, matters: float, start: float, end: float
) -> Axis:
    """Return an axis for differences, with 0 and what matters in it, and cut where few intervals are far wider."""
    ends = [interval for each in found if (interval := each.interval or (each.mean, each.mean))]
    finite = [(unit * low, unit * high) for low, high in ends if math.isfinite(low) and math.isfinite(high)]
    least = 1.6 * unit * matters
    reaches = sorted(max(abs(low), abs(high)) for low, high in finite)
    bound = max(least, WIDEST * reaches[len(reaches) // 2]) if reaches else least
    low = min([-least, *(max(low, -bound) for low, _ in finite)])
    high = max([least, *(min(high, bound) for _, high in finite)])
    margin = 0.04 * (high - low)
    return Axis(low - margin, high + margin, start, end)


def bar(axis: Axis, found: Estimate, unit: float) -> Bar | None:
    """Return where an interval lies; None if its mean is not finite."""
    if not math.isfinite(found.mean):
        return None
    low, high = (unit * end for end in found.interval or (found.mean, found.mean))
    return Bar(axis.at(low), axis.at(unit * found.mean), axis.at(high), (low < axis.low, high > axis.high))


def zoomed(lines: Sequence[pd.DataFrame]) -> tuple[float, float]:
    """Return the part of the scale in which lines differ: what they have in the last three quarters of training."""
    end = max(float(each["x"].iloc[-1]) for each in lines)
    late = [each[each["x"] >= end / 4] for each in lines]
    shown = pd.concat([part if len(part) else each for part, each in zip(late, lines, strict=True)])
    low, high = float(shown["mean"].min()), float(pd.concat(lines)["mean"].max())
    low = min(low, high)
    margin = 0.06 * (high - low) or 0.05 * abs(high) or 1.0
    return low - margin, high + margin


def curve(found: pd.DataFrame, x: Axis, y: Axis, place: int) -> Line:
    """Return a line over training; its parts outside the axes are left to be cut by the drawing."""
    keep = np.unique(np.linspace(0, len(found) - 1, min(len(found), POINTS)).round().astype(int))
    shown = found.iloc[keep]

    def path(column: str, rows: pd.DataFrame) -> str:
        return " ".join(
            f"{x.at(each)},{_free(y, value)}"
            for each, value in zip(rows["x"].tolist(), rows[column].tolist(), strict=True)
        )

    return Line(place, f"M{path('mean', shown)}", f"M{path('high', shown)} L{path('low', shown[::-1])}Z")


def _free(axis: Axis, value: float) -> float:
    """Return the pixel of a value, which may lie outside, but not so far that a renderer would stumble."""
    share = (value - axis.low) / (axis.high - axis.low)
    return round(axis.start + min(max(share, -20.0), 20.0) * (axis.end - axis.start), 1)
