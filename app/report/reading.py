"""The runs of a study, as they lie on disk."""

import csv
import json
import math
from collections import Counter
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import Any

from app.errors import UserError
from app.study.folders import StudyFolder
from app.study.grid import expand, run_settings
from app.study.reading import read_study
from app.study.run_files import damaged
from app.study.settings import Label, settings_hash
from app.study.spec import Labels, Study

FIGURES = ("train_seconds", "seconds", "steps", "epochs", "best_epoch", "best_step")


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
        labels: by axis.
        seed: its seed.
        hash: names its folder.
        values: metrics by name (``test/accuracy``), and ``train_seconds``, ``step_seconds``, ``steps``, ``epochs``,
            ``best_epoch``, ``best_step``, ``first_steps/0.6``; what was never reached is left out.
        metrics: names of the metrics among them, in order.
        stopped: why it was stopped early; None if it was not.
        versions: of the libraries, by name.
        command: that made it; empty where it was not noted.
        history: columns of its ``epochs.csv``, NaN where a row has none.
    """

    labels: Labels
    seed: int
    hash: str
    values: dict[str, float]
    metrics: tuple[str, ...]
    stopped: str | None
    versions: dict[str, str]
    command: str
    history: dict[str, list[float]]

    def value(self, name: str) -> float | None:
        """Return a value by name; None if the run has none.

        ``val/accuracy@10`` is a metric after epoch 10, counted from 1; ``val/accuracy@last20`` the mean of the last 20
        rows of ``epochs.csv`` that have it.
        """
        metric, at, place = name.partition("@")
        if not at:
            return self.values.get(name)
        rows = [row for row, value in enumerate(self.history.get(metric, ())) if math.isfinite(value)]
        if place.startswith("last"):
            count = int(place.removeprefix("last"))
            return (
                fmean(self.history[metric][row] for row in rows[-count:]) if 0 < count <= len(rows) else None
            )
        there = [row for row in rows if self.history["epoch"][row] == int(place) - 1]
        return self.history[metric][there[-1]] if there else None


@dataclass(frozen=True)
class Unfinished:
    """A run without a result: its labels, its seed, its folder's name, and why it failed if it did."""

    labels: Labels
    seed: int
    hash: str
    reason: str | None = None


@dataclass(frozen=True)
class Results:
    """A study and what there is of it.

    Attributes:
        folder: the study's.
        study: what was asked for.
        runs: what is finished, in order of the axes, then seeds.
        failed: what has failed, likewise.
        missing: what has not been run, or not to its end.
        left_over: finished runs in the folder that the study does not ask for (any more).
        commands: that have made finished runs, in the order in which they were given.
        hashes: of every combination of labels and every seed, skipped ones too: combinations with the same settings
            share a run.
    """

    folder: Path
    study: Study
    runs: tuple[Run, ...]
    failed: tuple[Unfinished, ...]
    missing: tuple[Unfinished, ...]
    left_over: int
    commands: tuple[str, ...]
    hashes: dict[tuple[tuple[Label, ...], int], str]

    @property
    def planned(self) -> int:
        """Runs that the study asks for."""
        return len(self.runs) + len(self.failed) + len(self.missing)


def read_results(folder: Path) -> Results:
    """Read a study's folder.

    Raises:
        UserError: there is no such study, nothing in it is finished, or a file is damaged.
    """
    if not folder.is_dir():
        raise UserError(f"no study folder {folder}; `study` makes one and prints its name")
    if not (folder / "study.yaml").is_file():
        raise UserError(f"no study in {folder}: it has no study.yaml; `study` makes such a folder")
    study = read_study(folder / "study.yaml")
    runs, failed, missing = [], [], []
    planned = expand(study)
    for asked in planned:
        path = folder / "runs" / asked.hash
        if (path / "result.json").is_file():
            runs.append(_run(asked.labels, asked.seed, path))
        elif (path / "failed.json").is_file():
            reason = str(_read_json(path / "failed.json").get("reason") or "no reason given")
            failed.append(Unfinished(asked.labels, asked.seed, asked.hash, reason))
        else:
            missing.append(Unfinished(asked.labels, asked.seed, asked.hash))
    if not runs:
        why = f"; the first of {len(failed)} that failed: {failed[0].reason}" if failed else ""
        raise UserError(f"no finished run in {folder / 'runs'}{why}; run `study` first")
    known = {asked.hash for asked in planned}
    left_over = sum(file.parent.name not in known for file in (folder / "runs").glob("*/result.json"))
    made = {run.command for run in runs}
    commands = tuple(command for command in StudyFolder(folder).commands() if command in made)
    return Results(
        folder, study, tuple(runs), tuple(failed), tuple(missing), left_over, commands, _hashes(study)
    )


def describe(labels: Labels, seed: int) -> str:
    """Return labels and seed in words: ``method none, layers 2, seed 0``."""
    return ", ".join([*(f"{axis} {label}" for axis, label in labels.items()), f"seed {seed}"])


def versions_of(runs: tuple[Run, ...]) -> list[str]:
    """Return each library with the versions that runs were made with, the commonest first."""
    counts: dict[str, Counter[str]] = {}
    for run in runs:
        for name, version in run.versions.items():
            counts.setdefault(name, Counter())[version] += 1
    return [
        f"{name} {', '.join(version for version, _ in found.most_common())}"
        for name, found in sorted(counts.items())
    ]


def _hashes(study: Study) -> dict[tuple[tuple[Label, ...], int], str]:
    found = {}
    for labels in product(*study.axes.values()):
        for seed in study.seeds:
            settings = run_settings(study, dict(zip(study.axes, labels, strict=True)), seed)
            found[labels, seed] = settings_hash(settings)
    return found


def _run(labels: Labels, seed: int, path: Path) -> Run:
    content = _read_json(path / "result.json")
    try:
        metrics = {name: float(value) for name, value in content["metrics"].items() if value is not None}
        values = dict(metrics)
        values |= {name: float(content[name]) for name in FIGURES if content.get(name) is not None}
        for threshold, step in (content.get("first_steps") or {}).items():
            if step is not None:
                values[f"first_steps/{threshold}"] = float(step)
        versions = {name: str(version) for name, version in (content.get("versions") or {}).items()}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise damaged(path / "result.json", error) from error
    if values.get("steps") and "train_seconds" in values:
        values["step_seconds"] = values["train_seconds"] / values["steps"]
    stopped = content.get("stopped") or None
    history = _read_history(path / "epochs.csv")
    command = _command(path / "run.json")
    return Run(labels, seed, path.name, values, tuple(sorted(metrics)), stopped, versions, command, history)


def _command(file: Path) -> str:
    return str(_read_json(file).get("command") or "") if file.is_file() else ""


def _read_history(file: Path) -> dict[str, list[float]]:
    if not file.is_file():
        return {}
    try:
        with file.open(newline="") as stream:
            rows = list(csv.DictReader(stream))
        if rows and "epoch" not in rows[0]:
            raise KeyError("no column epoch")
        names = rows[0] if rows else ()
        return {name: [float(row[name]) if row[name] else math.nan for row in rows] for name in names}
    except (csv.Error, KeyError, OSError, TypeError, ValueError) as error:
        raise damaged(file, error) from error


def _read_json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise damaged(file, error) from error
    if not isinstance(content, dict):
        raise damaged(file, TypeError("it holds no mapping"))
    return content
