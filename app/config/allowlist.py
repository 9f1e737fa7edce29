"""What configs, flags, studies and benchmarks may name."""

import re
from typing import Any

import yaml
from jsonargparse import ArgumentParser, Namespace, get_loader, set_loader
from lightning_fabric.plugins import CheckpointIO, ClusterEnvironment
from pytorch_lightning import Callback, LightningDataModule
from pytorch_lightning.accelerators import Accelerator
from pytorch_lightning.loggers import Logger
from pytorch_lightning.plugins import LayerSync, Precision
from pytorch_lightning.profilers import Profiler
from pytorch_lightning.strategies import Strategy

from dropout_lab.app.config.nulls import check_nulls
from dropout_lab.app.config.settings import leaves
from dropout_lab.app.config.yaml_files import check_bounds
from dropout_lab.app.errors import UserError
from dropout_lab.callbacks.schedules import Schedule
from dropout_lab.models.allowlist import MODEL_ROLES, check_named, renamed, restrict_parser

ROLES = (*MODEL_ROLES, LightningDataModule, Callback, Schedule, Logger, Profiler, Strategy, Accelerator,
         Precision, ClusterEnvironment, CheckpointIO, LayerSync)  # fmt: skip
"""What a class that is named anywhere must be one of."""

CLASS_PATH = re.compile(r"\w+(\.\w+)*\.[A-Z]\w*")

_load_yaml = get_loader("yaml")


def restrict() -> None:
    """Let the parsers of this process name and read no more than they need."""
    restrict_parser()
    set_loader("yaml", _load_within_bounds, (yaml.YAMLError,))


def _load_within_bounds(text: str) -> Any:
    check_bounds(text)
    try:
        return _load_yaml(text)
    except ValueError as error:
        raise yaml.YAMLError(str(error)) from error


def check_renamed(settings: Any, where: str = "") -> None:
    """Check that settings name no class of this program as it was named before the import name ``dropout_lab``."""
    for _, value in leaves(settings):
        # A class, and no folder that is called models.
        if isinstance(value, str) and CLASS_PATH.fullmatch(value) and (today := renamed(value)):
            raise UserError(f"{where}{value} is {today} now; name it so, or {today.rpartition('.')[2]} alone")


def parse(parser: ArgumentParser, settings: dict[str, Any]) -> Namespace:
    """Parse settings, and check what they name: ArgumentError, ValueError or UserError; nothing is built."""
    restrict()
    check_renamed(settings)
    found: Namespace = parser.parse_object(settings)
    check_named(found, ROLES)
    check_nulls(found)
    return found
