"""Short forms of a study, and what they have instead of the whole, in words."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from app.study.settings import Label, Settings, merged

FORMS = {
    "quick": "about two minutes on two cores: it shows that all works, and reproduces nothing",
    "reduced": "what two cores can do in some ten minutes: fewer images, epochs or seeds than the source",
}
"""A study may have these sections; each is an option of ``study``, and its runs a folder of their own."""

NOT_SET = "not set"


@dataclass(frozen=True)
class Extent:
    """How much is run, of the whole study or of a short form.

    Attributes:
        axes: of the grid, with their labels.
        seeds: of each combination.
        settings: on top of all others; none for the whole study.
    """

    axes: dict[str, dict[Label, Settings]]
    seeds: tuple[int, ...]
    settings: Settings


def left_out(part: Extent, whole: Extent, base: Settings) -> tuple[str, ...]:
    """Say what a part has instead of the whole: seeds, labels of each axis, settings.

    Args:
        part: what is run.
        whole: the study.
        base: settings of every run of the whole study.
    """
    lines = []
    if part.seeds != whole.seeds:
        lines.append(f"seeds {_listed(part.seeds)} instead of {_listed(whole.seeds)}")
    for name, axis in whole.axes.items():
        if list(part.axes[name]) != list(axis):
            lines.append(f"{name} {_listed(part.axes[name])} instead of {_listed(axis)}")
    before, after = dict(_flat(base)), dict(_flat(merged(base, part.settings)))
    lines += [
        f"{key} {_value(value)} instead of {_value(before.get(key, NOT_SET))}"
        for key, value in after.items()
        if before.get(key, NOT_SET) != value
    ]
    return tuple(lines)


def _flat(settings: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Return settings by their path; the words between a class and its arguments are left out."""
    if not isinstance(settings, dict) or not settings:
        yield path, settings
        return
    for key, value in settings.items():
        inner = path if key in ("class_path", "init_args") else ".".join(filter(None, (path, str(key))))
        yield from _flat(value, inner)


def _value(value: Any) -> str:
    """Write a value as its file does."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    return f"{value:,}" if isinstance(value, int) else str(value)


def _listed(values: Any) -> str:
    return ", ".join(map(str, values))
