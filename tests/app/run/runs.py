"""A small fit in which all that is random is on, and what of it must be the same to the bit."""

import csv
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor

from tests.data.folders import write_classes

EPOCHS, STEPS = 3, 7
"""63 images to train on, ten a step."""

RUN = Path("one/runs/run/version_0")
"""Where a fit written into the folder ``one`` has its run."""


@contextmanager
def standing_in(folder: Path) -> Iterator[None]:
    """Stand in a folder that tests of several functions share, with a cache there, and leave no seed behind."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("DROPOUT_LAB_CACHE", str(folder / "cache"))
        yield
        patch.delenv("PL_GLOBAL_SEED")


def write_fit(
    folder: Path,
    workers: int = 0,
    scheduler: dict[str, Any] | None = None,
    reader: str = "ImageFolderDataModule",
    replacement: bool = False,
    **trainer: Any,
) -> list[str]:
    """Write images and a config; return the command.

    Dropout is random, ρ too, images are augmented, every callback counts, and the learning rate changes.
    """
    write_classes(folder / "images", {"a": 31, "b": 31, "c": 31})
    dropout = {
        "class_path": "Chain",
        "init_args": {
            "layers": [
                {"class_path": "StandardDropout", "init_args": {"p": 0.3}},
                {"class_path": "MalDrop", "init_args": {"rho": 2}},
            ]
        },
    }
    schedule = {"class_path": "Randomized", "init_args": {"low": 0, "high": 8}}
    names = ["PassRateTracker", "DeadUnits", "CollapseDetector", "Timing"]
    measured: list[dict[str, Any]] = []
    if trainer.get("limit_val_batches") != 0:
        names.append("InferenceGap")
        measured.append({"class_path": "TrainAccuracy", "init_args": {"images": 40}})
    callbacks = [
        {"class_path": "RhoScheduler", "init_args": {"layers": "*layers.1", "schedule": schedule}},
        {"class_path": "ConfusionMatrix", "init_args": {"every_n_epochs": EPOCHS}},
    ]
    config = {
        "runs": str(folder / "runs"),
        "name": "run",
        "data": {
            "class_path": reader,
            "init_args": {
                "root": str(folder / "images"),
                "image_size": 8,
                "batch_size": 10,
                "augment": True,
                "num_workers": workers,
                "replacement": replacement,
            },
        },
        "model": {
            "network": {
                "class_path": "FullyConnected",
                "init_args": {"hidden": [16, 16], "dropout": dropout},
            },
            "scheduler": scheduler or {"class_path": "StepLR", "init_args": {"step_size": 1, "gamma": 0.7}},
        },
        "trainer": {
            "accelerator": "cpu",
            "max_epochs": EPOCHS,
            "log_every_n_steps": 2,
            "callbacks": [*callbacks, *({"class_path": name} for name in names), *measured],
            **trainer,
        },
    }
    folder.mkdir(exist_ok=True)
    file = folder / "config.yaml"
    file.write_text(yaml.safe_dump(config))
    return ["fit", "--config", str(file)]


def outcome(run: Path) -> dict[str, Any]:
    """Return all that a finished run has left but times: weights, the optimizer's state, result, curves."""
    found: dict[str, Any] = {"files": sorted(file.name for file in (run / "checkpoints").iterdir())}
    for name in (file.removesuffix(".ckpt") for file in found["files"]):
        content = torch.load(run / "checkpoints" / f"{name}.ckpt", weights_only=True)
        found[name] = _plain([content["state_dict"], content["optimizer_states"], content["lr_schedulers"]])
    result = json.loads((run / "result.json").read_text())
    result["fit"].pop("time")
    found["result"] = result
    found["scalars"] = curves(run)
    with (run / "epochs.csv").open(newline="") as stream:
        found["epochs"] = [_without_times(row) for row in csv.DictReader(stream)]
    return found


def _without_times(row: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in row.items() if name != "seconds" and not name.startswith("time/")}


def curves(run: Path) -> dict[str, list[tuple[int, float]]]:
    """Return all points of all curves but of times, by step, each as often as it is there.

    Event files are read by name, which in the seconds of a test is not always the order in which they were written.
    """
    events = EventAccumulator(str(run), size_guidance={"scalars": 0, "histograms": 0, "images": 0})
    events.Reload()
    tags = events.Tags()
    points = {
        tag: [(point.step, point.value) for point in events.Scalars(tag)]
        for tag in tags["scalars"]
        if not tag.startswith("time/")
    }
    # NaN is not equal to itself.
    points = {tag: [(step, repr(value)) for step, value in each] for tag, each in points.items()}
    points |= {
        f"image {tag}": [(image.step, image.height) for image in events.Images(tag)] for tag in tags["images"]
    }
    points |= {
        f"histogram {tag}": [(each.step, each.histogram_value.num) for each in events.Histograms(tag)]
        for tag in tags["histograms"]
    }
    return {tag: sorted(each) for tag, each in points.items()}


def _plain(value: Any) -> Any:
    """Return tensors as their bytes, so that equal means equal to the bit."""
    if isinstance(value, Tensor):
        content = value.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
        return f"{value.dtype} {tuple(value.shape)} {hashlib.sha256(content).hexdigest()}"
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value
