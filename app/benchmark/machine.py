"""What it was measured on."""

import os
import platform
from importlib.metadata import version

import torch

from app.errors import UserError


def chosen_device(name: str) -> torch.device:
    """Return the device that an option names: ``auto``, ``cpu``, ``cuda``.

    Raises:
        UserError: there is no GPU.
    """
    found = torch.cuda.is_available()
    if name == "cuda" and not found:
        raise UserError("--device cuda: torch finds no GPU here; take --device cpu")
    return torch.device("cuda" if name == "cuda" or (name == "auto" and found) else "cpu")


def cores() -> int:
    """Return how many cores there are."""
    return os.cpu_count() or 1


def machine_line(device: torch.device) -> str:
    """Return device, threads and versions in a line."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    libraries = ", ".join(f"{each} {version(each)}" for each in ("torch", "torchvision", "pytorch-lightning"))
    return (
        f"{device.type} ({name}), {torch.get_num_threads()} threads of torch on {cores()} cores, {libraries}, "
        f"Python {platform.python_version()}"
    )
