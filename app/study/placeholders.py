"""What ``${name}`` in a study's settings may stand for.

An axis' name stands for its label. Where a label stands for several numbers, its settings hold them as ``values``:
``0.1: {values: {keep: 0.1, drop: 0.9}}`` on an axis ``p`` gives ``${p.keep}`` and ``${p.drop}``.
"""

from collections.abc import Mapping
from typing import Any

from app.study.checked import Checker
from app.study.settings import VALUES, Label, Settings, placeholders
from app.study.spec import Study


def known_names(axes: Mapping[str, Mapping[Label, Settings]]) -> set[str]:
    """Return all names: seed, each axis, and those of its values that every one of its labels has."""
    names = {"seed", *axes}
    for axis, labels in axes.items():
        common = set.intersection(*({*settings.get(VALUES, {})} for settings in labels.values()))
        names |= {f"{axis}.{name}" for name in common}
    return names


def check_placeholders(check: Checker, study: Study) -> None:
    """Check that every placeholder has a value, and every axis an effect.

    Raises:
        UserError: one has none; an axis changes nothing.
    """
    known = known_names(study.axes)
    inside = {f"grid.{name}": axis for name, axis in study.axes.items()}
    places: dict[str, Any] = {"base": study.base, "overrides": study.overrides, **inside}
    for where, settings in places.items():
        for name in sorted(placeholders(settings) - known):
            raise check.unknown(where, "axis", name, sorted(known), f"${{{name}}}: ")
    used = {name.partition(".")[0] for settings in places.values() for name in placeholders(settings)}
    for name, axis in study.axes.items():
        if name not in used and not any(settings.keys() - {VALUES} for settings in axis.values()):
            raise check.wrong(f"grid.{name}", f"changes nothing: no setting holds ${{{name}}}")
