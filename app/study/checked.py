"""Values of a study's file, checked: an error tells file, key, value and remedy in one line."""

import difflib
import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, final

from app.errors import UserError
from app.study.settings import Label, Settings
from app.study.spec import Labels

METRIC = re.compile(
    r"(train|val|test)/\w+(@(last)?\d+)?|step_seconds|train_seconds|seconds|steps|epochs|best_step|best_epoch|"
    r"first_steps/\S+"
)


@final
class Checker:
    """Knows the file, so that each error names it. Every method raises UserError for a value that it does not take."""

    def __init__(self, file: Path) -> None:
        """Keep the file's name."""
        self.file = file

    def mapping(
        self, value: Any, where: str, known: Iterable[str] | None = None, kind: str = "key"
    ) -> dict[str, Any]:
        """Return keys and values, none where nothing is given; ``known`` are the keys that may be there."""
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise self.wrong(where, f"must be keys and values, got {value!r}")
        if known is not None:
            self.known(value, where, known, kind)
        return value

    def known(self, value: dict[str, Any], where: str, known: Iterable[str], kind: str = "key") -> None:
        """Check that there is no other key."""
        for key in value:
            if key not in known:
                raise self.unknown(where, kind, str(key), known)

    def many(self, value: Any) -> list[Any]:
        """Return a list; one value is a list of one, null of none."""
        if value is None:
            return []
        return value if isinstance(value, list) else [value]

    def texts(self, value: Any, where: str) -> list[str]:
        """Return a list of texts."""
        texts = self.many(value)
        if not all(isinstance(text, str) for text in texts):
            raise self.wrong(where, f"must be texts, got {value!r}")
        return texts

    def names(self, value: Any, where: str, kind: str, known: Iterable[str]) -> tuple[str, ...]:
        """Return names of a kind, such as axes, each once."""
        names = self.texts(value, where)
        for place, name in enumerate(names):
            if name not in known:
                raise self.unknown(where, kind, name, known)
            if name in names[:place]:
                raise self.wrong(where, f"{name} stands twice")
        return tuple(names)

    def flag(self, value: Any, where: str) -> bool:
        """Return true or false; false where nothing is given."""
        if value not in (None, True, False):
            raise self.wrong(where, f"must be true or false, got {value!r}")
        return bool(value)

    def text(self, content: dict[str, Any], key: str) -> str:
        """Return a key's text; empty where nothing is given."""
        value = content.get(key, "")
        if not isinstance(value, str):
            raise self.wrong(key, f"must be a text, got {value!r}")
        return value

    def label(self, value: Any, where: str) -> Label:
        """Return what may name a value of an axis."""
        if type(value) not in (str, int, float):
            hint = "; YAML reads on, off, yes and no as such: put it in quotes" if type(value) is bool else ""
            raise self.wrong(where, f"a label must be a word or a number, got {value!r}{hint}")
        if isinstance(value, float) and not math.isfinite(value):
            raise self.wrong(where, f"a label must be a word or a finite number, got {value}")
        label: Label = value
        return label

    def on_axis(self, label: Any, axis: str, axes: dict[str, dict[Label, Settings]], where: str) -> Label:
        """Return a label that an axis has."""
        if type(label) not in (str, int, float) or label not in axes[axis]:
            raise self.unknown(where, f"value of {axis}", str(label), map(str, axes[axis]))
        known: Label = label
        return known

    def labels(self, value: Any, where: str, axes: dict[str, dict[Label, Settings]]) -> Labels:
        """Return labels by axis, each of which the axis has."""
        labels = self.mapping(value, where, tuple(axes), "axis")
        return {axis: self.on_axis(label, axis, axes, where) for axis, label in labels.items()}

    def metric(self, value: Any, where: str) -> str:
        """Return the name of a metric."""
        if not (isinstance(value, str) and METRIC.fullmatch(value)):
            raise self.wrong(where, f"must be a metric such as val/accuracy or train_seconds, got {value!r}")
        return value

    def wrong(self, where: str, text: str) -> UserError:
        """Make the error for a value."""
        return UserError(f"{self.file}: {where}: {text}")

    def unknown(self, where: str, kind: str, name: str, known: Iterable[str], before: str = "") -> UserError:
        """Make the error for a name, with the one that may be meant."""
        names = list(known)
        close = difflib.get_close_matches(name, names, n=1)
        hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(names)}"
        return UserError(f"{self.file}: {where + ': ' if where else ''}{before}no {kind} {name!r}; {hint}")
