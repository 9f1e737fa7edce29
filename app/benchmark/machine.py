"""On what is measured, and how that is said."""

import os
import platform
from importlib.metadata import version

import torch

from dropout_lab.app.benchmark.command import Options
from dropout_lab.app.benchmark.subjects import Setting
from dropout_lab.app.errors import UserError

LIBRARIES = ("torch", "torchvision", "pytorch-lightning")


def chosen_device(name: str) -> torch.device:
    """Return the device that an option names: ``auto``, ``cpu``, ``cuda``.

    Raises:
        UserError: there is no GPU.
    """
    found = torch.cuda.is_available()
    if name == "cuda" and not found:
        raise UserError("--device cuda: torch sees no GPU here; leave --device out to measure on the CPU")
    return torch.device("cuda" if name == "cuda" or (name == "auto" and found) else "cpu")


def setting_of(options: Options) -> Setting:
    """Return how to measure, and set torch's threads.

    Raises:
        UserError: there is no such device.
    """
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    return Setting(chosen_device(options.device), options.precision, options.compile)


def cores() -> int:
    """Return how many cores there are."""
    return os.cpu_count() or 1


def describe(setting: Setting) -> str:
    """Return device, threads, versions and how it is measured in a line."""
    words = [
        f"{setting.name} ({platform.machine()})" if setting.device.type == "cpu" else setting.name,
        f"threads of torch: {torch.get_num_threads()} on {cores()} cores",
        *(f"{each} {version(each)}" for each in LIBRARIES),
        f"Python {platform.python_version()}",
        *([f"{setting.precision} autocast"] if setting.precision != "32" else []),
        *(["compiled"] if setting.compile else []),
    ]
    return ", ".join(words)
