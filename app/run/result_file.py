"""``result.json``: what a run has come to, by command. JSON has no NaN: ``null`` stands for it, and beside it why.

Nothing here imports torch.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, NonNegativeInt, TypeAdapter, model_validator

from dropout_lab.app.records import read_record, write_record

REMEDY = "mend it, or move it away: the commands that are given again write it anew"
NOT_FINITE = "not_finite"


class Figures(BaseModel):
    """What a command has measured; of other commands than ``fit`` there may be more."""

    model_config = ConfigDict(extra="allow")

    metrics: dict[str, float | None] = {}
    not_finite: dict[str, str] = {}


class FitFigures(Figures):
    """What a fit has come to, as :func:`dropout_lab.app.run.train.train` writes it."""

    epochs: NonNegativeInt = 0
    steps: NonNegativeInt = 0
    best_epoch: NonNegativeInt | None = None
    best_step: NonNegativeInt | None = None
    first_steps: dict[str, NonNegativeInt | None] = {}
    data: str | None = None
    chance: float | None = None
    stopped: str | None = None
    time: dict[str, float | None] = {}
    versions: dict[str, str] = {}


class ResultFile(BaseModel):
    """``{"fit": {…}, "test": {…}, "test last": {…}}``."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Figures]

    fit: FitFigures = FitFigures()

    @model_validator(mode="before")
    @classmethod
    def _from_0_1(cls, content: Any) -> Any:
        """Refuse none; read the flat figures of a study's run, as 0.1 wrote them, for one version: by command."""
        if content == {}:
            raise ValueError("it holds no figures")
        if not (isinstance(content, Mapping) and isinstance(content.get("metrics"), Mapping)):
            return content
        metrics: Mapping[str, Any] = content["metrics"]
        validated = {name.removeprefix("val/"): metrics[name] for name in metrics if name.startswith("val/")}
        others = {name: value for name, value in metrics.items() if not name.startswith("val/")}
        time = {name: content[name] for name in ("train_seconds", "seconds") if name in content}
        fit = {name: content[name] for name in content if name not in {"hash", *time}}
        return {"fit": {**fit, "metrics": validated, "time": time}, "test": {"metrics": others}}


_SCHEMA = TypeAdapter(ResultFile)


def read_figures(file: Path, remedy: str = REMEDY) -> dict[str, dict[str, Any]]:
    """Return the figures by command, none if there is no file; UserError if it is damaged."""
    found = read_record(file, _SCHEMA, remedy)
    if found is None:
        return {}
    return {command: _with_nan(figures) for command, figures in found.model_dump(exclude_unset=True).items()}


def write_figures(file: Path, results: Mapping[str, Mapping[str, Any]]) -> None:
    """Write the figures of all commands, all or nothing."""
    write_record(file, {command: _without_nan(figures) for command, figures in results.items()})


def _without_nan(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Return figures in which null stands for what is not finite, with the reasons under :data:`NOT_FINITE`."""
    reasons: dict[str, str] = {}
    plain: dict[str, Any] = {}
    for key, value in figures.items():
        plain[key] = value
        if isinstance(value, Mapping):
            wrong = [
                name for name, each in value.items() if isinstance(each, float) and not math.isfinite(each)
            ]
            reasons |= {f"{key}.{name}": str(value[name]) for name in wrong}
            plain[key] = {**value, **dict.fromkeys(wrong)}
    return {**plain, NOT_FINITE: reasons} if reasons else plain


def _with_nan(figures: dict[str, Any]) -> dict[str, Any]:
    for path, reason in figures.pop(NOT_FINITE, {}).items():
        key, _, name = path.partition(".")
        if reason in ("nan", "inf", "-inf") and isinstance(figures.get(key), dict):
            figures[key][name] = float(reason)
    return figures
