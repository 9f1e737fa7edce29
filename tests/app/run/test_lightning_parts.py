"""All callbacks, loggers, profilers, strategies and schedulers: trained, tested and resumed, or refused at once."""

import pytest

from tests.app.run.lightning_parts import (
    INTERVALS,
    LEAST,
    PAGE,
    SCHEDULERS,
    VALIDATIONS,
    Part,
    parts,
    row,
    rows_of,
    scheduled,
    schedulers,
)

# One that watches, one that is refused when it is named, one when it is made, and a strategy.
FAST = {"LearningRateFinder", "CometLogger", "ddp_fork"}


@pytest.mark.parametrize(
    "part",
    [
        pytest.param(
            part, id=f"{part.group}: {part.name}", marks=[] if part.name in FAST else pytest.mark.slow
        )
        for part in parts()
    ],
)
def test_is_as_the_page_says(part: Part) -> None:
    rows = rows_of(PAGE.read_text())
    assert row(part) == rows[part.group, part.name]


def test_the_page_has_all_of_them_and_nothing_else() -> None:
    page = PAGE.read_text()
    assert [*rows_of(page)] == [(part.group, part.name) for part in parts()]
    for each in rows_of(page).values():
        # Whatever works is tested and resumed, and whatever does not is refused.
        assert (each.fit, each.test, each.resume) in {
            ("refused", "", ""),
            ("works", "works", "the same to the bit"),
            ("taken", "test_ranks.py", "test_two_processes.py"),
        }
    for name in schedulers():
        assert f"\n| `{name}` |" in page
    assert "ends with" not in page
    assert "leaves" not in page


def test_arguments_are_of_what_there_is() -> None:
    assert LEAST.keys() <= {part.name for part in parts()}
    assert SCHEDULERS.keys() <= {*schedulers()}


SHOWN = {("ReduceLROnPlateau", "epoch", "none"), ("CosineAnnealingLR", "step", "each second epoch")}


@pytest.mark.parametrize(
    ("name", "interval", "validation"),
    [
        pytest.param(*case, marks=[] if case in SHOWN else pytest.mark.slow)
        for case in (
            (name, interval, each) for name in schedulers() for interval in INTERVALS for each in VALIDATIONS
        )
    ],
)
def test_a_scheduler_is_as_the_page_says(name: str, interval: str, validation: str) -> None:
    said = scheduled(name, interval, validation)
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith(f"| `{name}` | {interval} |")]
    (line,) = [
        line for line in lines if validation in line.split(" | ")[2].split(", ") or " | any | " in line
    ]
    assert line.endswith(f" | {said} |")
