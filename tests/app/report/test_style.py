"""Names beside lines, and looks that tell methods apart."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dropout_lab.app.plotting import BASELINE, apart, looks


def test_two_at_one_height_move_apart() -> None:
    assert apart([0.5, 0.5], 0.1) == pytest.approx([0.45, 0.55])
    assert apart([0.9, 0.1], 0.1) == [0.9, 0.1]
    assert apart([], 0.1) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=25), st.floats(0.01, 0.3))
def test_names_never_lie_upon_each_other(heights: list[float], step: float) -> None:
    placed = apart(heights, step)
    order = sorted(range(len(heights)), key=lambda place: heights[place])
    least = min(step, 1 / max(len(heights) - 1, 1))
    for below, above in pairwise(order):
        assert placed[above] - placed[below] >= least - 1e-9
    assert min(placed) >= -1e-9
    assert max(placed) <= 1 + 1e-9


@pytest.mark.parametrize("count", [1, 3, 6, 18])
def test_no_two_methods_look_alike(count: int) -> None:
    found = looks(count, baseline=0, ordered=False)
    assert len({(look.color, look.marker, look.dashes) for look in found}) == count
    assert found[0].color == BASELINE


def test_numbers_in_order_have_shades_in_order() -> None:
    found = looks(9, baseline=None, ordered=True)
    lightness = [sum(int(look.color[place : place + 2], 16) for place in (1, 3, 5)) for look in found]
    assert lightness == sorted(lightness)
    assert len({look.color for look in found}) == 9
