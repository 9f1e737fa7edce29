"""Epochs of this project's fit, of a script that one would write instead, and of nothing but tensors."""

import contextlib
import io
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from rich.console import Console
from torch import nn

from dropout_lab.app import cli
from dropout_lab.app.benchmark import script
from dropout_lab.app.benchmark.batches import worker_counts
from dropout_lab.app.benchmark.fit_clock import FitClock, read_epochs
from dropout_lab.app.benchmark.limits import InMemory, bare_loop, lightning_loop
from dropout_lab.app.benchmark.machine import cores
from dropout_lab.app.benchmark.sources import BATCH, Source
from dropout_lab.app.benchmark.speeds import LIGHTNING, LIMIT, ON_DEVICE, PROJECT, SCRIPT, Speed, Way, speeds
from dropout_lab.app.benchmark.timing import in_turn
from dropout_lab.models.networks import FullyConnected, GavierMNIST, Network

TRIED_STEPS = 50
"""To find the best number of workers."""
VALIDATION_BATCHES = 10
"""Validation is not timed."""


@dataclass(frozen=True)
class Fit:
    """What is trained.

    Attributes:
        source: name of the data set.
        network: of this project.
        arguments: of it.
        layers: the same by hand.
        steps: of a turn; None: a whole epoch.
    """

    source: str
    network: type[Network]
    arguments: dict[str, Any]
    layers: Callable[[], nn.Sequential]
    steps: int | None = None

    def make(self) -> Network:
        """Return the network; the data's shapes are its defaults."""
        return self.network(**self.arguments)


FITS = (
    Fit("CIFAR-10", FullyConnected, {"hidden": [100, 100]}, script.fully_connected),
    Fit("MNIST", GavierMNIST, {}, script.gavier_mnist, steps=40),
)


def measure(
    fit: Fit, source: Source, root: Path, device: torch.device, budget: float, console: Console
) -> list[Speed]:
    """Compare epochs.

    Each turn starts a fit of two epochs, of which the second is timed. Of an epoch that is too long for a turn all do
    the same first steps; their time is multiplied, and what a fit does once an epoch is added as it is.

    Args:
        fit: what is trained.
        source: on what.
        root: the data set's folder.
        device: where.
        budget: seconds.
        console: the terminal.
    """
    data = source.read(root)
    dataset = source.dataset(data, script.transforms(data))
    whole = len(data.train_dataloader())
    steps = min(fit.steps or whole, whole)
    epochs = whole / steps
    layers = fit.layers().to(device)
    by_hand = torch.optim.Adam(layers.parameters(), lr=1e-3)

    def script_epoch(workers: int, count: int) -> float:
        loader = script.loader_of(dataset, BATCH, workers)
        return script.train(loader, layers, by_hand, device, count)[0]

    def way(workers: int) -> Callable[[], float]:
        return lambda: epochs * script_epoch(workers, steps)

    few = min(steps, TRIED_STEPS)
    best = min(worker_counts(cores()), key=lambda workers: script_epoch(workers, few))
    tensors = InMemory(data, device, BATCH, steps)
    limit, alone = bare_loop(fit.make(), tensors), lightning_loop(fit.make(), tensors)
    what = f"{fit.network.__name__} on {source.name}"
    with tempfile.TemporaryDirectory() as folder:

        def fit_of(name: str, keep: str | None) -> Callable[[], float]:
            config = write_config(fit, source, root, device, steps, keep, Path(folder, name))
            return lambda: fit_epoch(config, epochs)

        ways = {
            Way(PROJECT): fit_of("fit", None),
            Way(SCRIPT): way(0),
            Way(SCRIPT, best): way(best),
            Way(LIGHTNING): lambda: epochs * alone(),
            Way(LIMIT): lambda: epochs * limit()[0],
        }
        if device.type == "cuda":
            ways[Way(ON_DEVICE)] = fit_of("fit on the GPU", "cuda")
        # Of a fit the first epoch warms up; all others have run by now but for these.
        way(0)()
        limit()
        turns = in_turn(ways, budget, what, console, warm_up=0)
    images = len(data.splits.train.labels)
    return speeds("fit", what, turns, images, dict.fromkeys(ways, steps), of_epochs=True)


def write_config(
    fit: Fit, source: Source, root: Path, device: torch.device, steps: int, keep: str | None, folder: Path
) -> Path:
    """Write the config of a fit of two epochs; all that it does not say is the default.

    Args:
        fit: what is trained.
        source: on what.
        root: the data set's folder.
        device: where.
        steps: of an epoch.
        keep: the data module's ``device``.
        folder: of the config and all that the fit writes.
    """
    folder.mkdir()
    clock = {
        "class_path": f"{FitClock.__module__}.FitClock",
        "init_args": {"file": str(folder / "clock.json")},
    }
    content = {
        "runs": str(folder / "runs"),
        "data": {
            "class_path": source.module.__name__,
            "init_args": {
                "root": str(root),
                "batch_size": BATCH,
                "val_size": source.val_size,
                "device": keep,
            },
        },
        "model": {"network": {"class_path": fit.network.__name__, "init_args": fit.arguments}},
        "trainer": {
            "accelerator": device.type,
            "devices": 1,
            "max_epochs": 2,
            "limit_train_batches": steps,
            "limit_val_batches": VALIDATION_BATCHES,
            "callbacks": [clock],
        },
    }
    file = folder / "config.yaml"
    file.write_text(yaml.safe_dump(content))
    return file


def fit_epoch(config: Path, epochs: float) -> float:
    """Do a fit and return the seconds of its last epoch.

    Args:
        config: of :func:`write_config`.
        epochs: an epoch is so many of those that are done.
    """
    with contextlib.redirect_stdout(io.StringIO()):
        cli.run(["fit", "--config", str(config)])
    last = read_epochs(config.with_name("clock.json"))[-1]
    return epochs * last.steps + last.rest
