"""On what is measured, and how that is said."""

import platform

import torch

from app.benchmark.command import Options
from app.benchmark.subjects import Setting
from app.errors import UserError


def setting_of(options: Options) -> Setting:
    """Return how to measure, and set torch's threads.

    Raises:
        UserError: there is no such device.
    """
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    if options.device == "cuda" and not torch.cuda.is_available():
        raise UserError("--device cuda: torch sees no GPU here; leave --device out to measure on the CPU")
    on_gpu = options.device == "cuda" or (options.device == "auto" and torch.cuda.is_available())
    return Setting(torch.device("cuda" if on_gpu else "cpu"), options.precision, options.compile)


def describe(setting: Setting) -> str:
    """Return a line that says on what and how it is measured."""
    words = [
        setting.name,
        *([f"{torch.get_num_threads()} thread(s)"] if setting.device.type == "cpu" else []),
        f"torch {torch.__version__}",
        f"Python {platform.python_version()}",
        *([f"{setting.precision} autocast"] if setting.precision != "32" else []),
        *(["compiled"] if setting.compile else []),
    ]
    return f"measured on  {', '.join(words)}"
