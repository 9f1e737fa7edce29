"""``fit`` of a checkout in a process of its own, which trains an epoch whenever it is its turn."""

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, final

import yaml
from torch import nn

from dropout_lab.app.errors import UserError
from dropout_lab.models.networks import FullyConnected, GavierMNIST, Network
from fit_clock import MARK
from pipeline_plain_pytorch import BATCH, Source, fully_connected, gavier_mnist

HERE = Path(__file__).resolve().parents[1]
"""This checkout."""
VALIDATION_BATCHES = 10
"""Validation is not timed."""
NO_END = 1_000_000
"""Epochs: who asks for them ends the fit."""


@dataclass(frozen=True)
class Fit:
    """What is trained.

    Attributes:
        source: name of the data set.
        network: of this project; the data's shapes are its defaults.
        arguments: of it.
        layers: the same in plain PyTorch.
        most_steps: of a turn; None: a whole epoch.
    """

    source: str
    network: type[Network]
    arguments: dict[str, Any]
    layers: Callable[[], nn.Sequential]
    most_steps: int | None = None

    @property
    def title(self) -> str:
        """What is trained on what."""
        return f"{self.network.__name__} on {self.source}"


FITS = (
    Fit("CIFAR-10", FullyConnected, {"hidden": [100, 100]}, fully_connected),
    Fit("MNIST", GavierMNIST, {}, gavier_mnist, most_steps=40),
)


def settings_of(
    fit: Fit, source: Source, root: Path, accelerator: str, steps: int, keep: str | None
) -> dict[str, Any]:
    """Return the settings of a fit; all that they do not say is the default.

    Args:
        fit: what is trained.
        source: on what.
        root: the data set's folder.
        accelerator: ``cpu`` or ``cuda``.
        steps: of an epoch.
        keep: the data module's ``device``, where images are kept.
    """
    arguments = {
        "root": str(root.resolve()),
        "batch_size": BATCH,
        "val_size": source.val_size,
        "device": keep,
    }
    return {
        "data": {"class_path": source.module.__name__, "init_args": arguments},
        "model": {"network": {"class_path": fit.network.__name__, "init_args": fit.arguments}},
        "trainer": {
            "accelerator": accelerator,
            "devices": 1,
            "max_epochs": NO_END,
            "limit_train_batches": steps,
            "limit_val_batches": VALIDATION_BATCHES,
            "callbacks": [{"class_path": "fit_clock.FitClock"}],
        },
    }


@final
class FitProcess:
    """A fit that has trained its first epoch and waits; use it in a ``with``, which ends it.

    Args:
        checkout: whose ``cli.py`` is started.
        settings: of :func:`settings_of`.
        folder: an empty one, for all that the fit writes.
        whole: an epoch has so many times the steps that are done; what comes once an epoch is not multiplied.

    Raises:
        UserError: the fit has ended, with what it said last.
    """

    def __init__(self, checkout: Path, settings: dict[str, Any], folder: Path, whole: float) -> None:
        folder.mkdir()
        (folder / "config.yaml").write_text(yaml.safe_dump(settings))
        self.checkout = checkout
        self.whole = whole
        self._process = subprocess.Popen(
            [sys.executable, str(checkout.resolve() / "cli.py"), "fit", "--config", "config.yaml"],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        # It warms up.
        self.epoch()

    def epoch(self) -> float:
        """Let it train an epoch and return its seconds."""
        words, said = self._process.stdin, self._process.stdout
        assert words is not None
        assert said is not None
        # Of a fit that has ended, what it said last is read below.
        with suppress(BrokenPipeError):
            words.write("\n")
            words.flush()
        last = ""
        for line in said:
            if line.startswith(MARK):
                steps, rest = map(float, line.removeprefix(MARK).split())
                return self.whole * steps + rest
            last = line.strip() or last
        raise UserError(f"the fit of {self.checkout} has ended: {last}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()
