"""Study folders in the exact format on disk, with numbers that are made up and known."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from dropout_lab.app.config.settings import settings_hash
from dropout_lab.app.study.folder import StudyFolder
from dropout_lab.app.study.grid import Run, expand, run_settings
from dropout_lab.app.study.read_spec import read_study
from dropout_lab.app.study.run_files import RunFiles, RunResult

Labels = dict[str, Any]
Metrics = Callable[[Labels, int], dict[str, float]]

# What the seeds add to every method: it falls out of paired differences.
SEED_EFFECT = {0: -0.02, 1: 0.0, 2: 0.02}
METHOD_TEST = {"none": 0.40, "dropin": 0.45, "dropout": 0.401}
# What each method's own seeds add: dropin's lead is plain, that of dropout is not.
METHOD_NOISE = {"none": (0, 0, 0), "dropin": (0.001, 0, -0.001), "dropout": (0.01, 0, -0.01)}
BEST_P = 0.5
EPOCHS = 6


def study(**changes: Any) -> dict[str, Any]:
    """Return a study: three methods, two depths, three p, of which none needs one."""
    return {
        "name": "made-up",
        "title": "Made-up drop-in",
        "source": "A. Author, A Paper, table 1",
        "base": {"settings": {"trainer": {"max_epochs": EPOCHS}}},
        "grid": {
            "method": {
                "none": {"model": {"dropout": "NoDropout"}},
                "dropin": {"model": {"dropout": {"class_path": "DropIn", "init_args": {"p": "${p}"}}}},
                "dropout": {
                    "model": {"dropout": {"class_path": "StandardDropout", "init_args": {"p": "${p}"}}}
                },
            },
            "layers": {2: {"model": {"hidden": [100]}}, 3: {"model": {"hidden": [100, 100]}}},
            "p": [0.25, 0.5, 0.75],
        },
        "skip": [{"method": "none", "p": [0.5, 0.75]}],
        "seeds": [0, 1, 2],
        "select": {"over": "p", "by": "val/accuracy", "mode": "max"},
        "report": {
            "rows": "method",
            "columns": "layers",
            "metric": "test/accuracy",
            "baseline": {"method": "none"},
            "figures": ["sweep", "curves", "loss", "time", "bars"],
            "time": True,
        },
        "paper": [
            {"method": "none", "layers": 2, "test/accuracy": 0.389},
            {"method": "dropin", "layers": 2, "test/accuracy": 0.42},
            {"method": "dropout", "layers": 2, "test/accuracy": 0.35},
            {"method": "none", "layers": 3, "test/accuracy": 0.475},
            {"method": "dropin", "layers": 3, "test/accuracy": 0.45},
        ],
        "deviations": ["10 epochs instead of 100"],
    } | changes


def metrics_of(labels: Labels, seed: int) -> dict[str, float]:
    """Return what a run reaches: known means; the largest p is best on test, the middle one on validation."""
    method, layers, p = labels["method"], labels["layers"], labels["p"]
    test = METHOD_TEST[method] + SEED_EFFECT[seed] + METHOD_NOISE[method][seed] + 0.05 * (layers - 2)
    off = 0.0 if method == "none" else p - BEST_P
    return {
        "val/accuracy": round(test + 0.01 - 0.2 * off**2, 6),
        "val/loss": round(2 - test, 6),
        "test/accuracy": round(test + 0.02 * off, 6),
        "test/loss": round(2 - test, 6),
    }


def write_study(
    folder: Path,
    content: dict[str, Any] | None = None,
    metrics: Metrics = metrics_of,
    keep: Callable[[Labels, int], bool] = lambda labels, seed: True,
) -> Path:
    """Write a study's folder with all runs that are kept; return the folder."""
    content = study() if content is None else content
    folder.mkdir(parents=True)
    (folder / "study.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    for run in expand(read_study(folder / "study.yaml")):
        if keep(run.labels, run.seed):
            _write_run(StudyFolder(folder).run(run), run, metrics(run.labels, run.seed), {})
    return folder


def run_folder(folder: Path, labels: Labels, seed: int) -> Path:
    """Return a run's folder."""
    return StudyFolder(folder).run(_run(folder, labels, seed)).path


def write_run(folder: Path, labels: Labels, seed: int, metrics: dict[str, float], **changes: Any) -> Path:
    """Write a finished run; return its folder."""
    run = _run(folder, labels, seed)
    files = StudyFolder(folder).run(run)
    _write_run(files, run, metrics, changes)
    return files.path


def write_failure(folder: Path, labels: Labels, seed: int, reason: str) -> None:
    """Write a run that has failed."""
    run = _run(folder, labels, seed)
    files = StudyFolder(folder).run(run)
    files.path.mkdir(parents=True, exist_ok=True)
    files.begin(run, "")
    files.fail(reason)


def _run(folder: Path, labels: Labels, seed: int) -> Run:
    settings = run_settings(read_study(folder / "study.yaml"), labels, seed)
    return Run(labels, seed, settings, settings_hash(settings))


def _write_run(files: RunFiles, run: Run, metrics: dict[str, float], changes: dict[str, Any]) -> None:
    files.path.mkdir(parents=True, exist_ok=True)
    files.begin(run, "")
    second = 2.0 if run.labels.get("method") == "none" else 3.0 + run.seed
    figures: dict[str, Any] = {
        "metrics": metrics,
        "best_epoch": EPOCHS - 1,
        "best_step": 10 * EPOCHS,
        "first_steps": {"0.3": 20, "0.9": None},
        "steps": 10 * EPOCHS,
        "epochs": EPOCHS,
        "train_seconds": second * EPOCHS,
        "seconds": second * EPOCHS + 1,
        "stopped": None,
        "versions": {"torch": "2.15.0", "pytorch_lightning": "2.6.6"},
    }
    write_result(files, RunResult(**(figures | changes)))
    _write_epochs(files.epochs, metrics, second)


def write_result(files: RunFiles, result: RunResult) -> None:
    """Write a result as ``fit`` and ``test`` do."""
    figures = dict(vars(result))
    metrics, time = figures.pop("metrics"), {name: figures.pop(name) for name in ("train_seconds", "seconds")}
    fit = {name.removeprefix("val/"): value for name, value in metrics.items() if name.startswith("val/")}
    test = {name.removeprefix("test/"): value for name, value in metrics.items() if name.startswith("test/")}
    files.folder.add_result("fit", {**figures, "metrics": fit, "time": time})
    files.folder.add_result("test", {"metrics": test})


def _write_epochs(file: Path, metrics: dict[str, float], second: float) -> None:
    names = ["epoch", "step", "seconds", "train/loss", "train/accuracy", "val/loss", "val/accuracy"]
    with file.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(names)
        for epoch in range(EPOCHS):
            share = 1 - 0.5 ** (epoch + 1)
            val, loss = metrics.get("val/accuracy", 0.5) * share, 2.3 - share
            # The first epoch has no training metrics, as where validation comes before.
            train = ["", ""] if epoch == 0 else [loss - 0.1, val + 0.05 * share]
            writer.writerow([epoch, 10 * (epoch + 1), second * (epoch + 1), *train, loss, val])
