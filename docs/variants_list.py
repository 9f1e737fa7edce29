"""What the pages about the variants are made from: the variants in the page's order, and their shipped settings."""

import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

import dropout_lab.models.dropout
from dropout_lab.models.dropout import (
    Chain,
    DropAct,
    DropAlan,
    DropConnect,
    DropCorr,
    DropIn,
    DropInv,
    Dropout,
    ForeignDropout,
    GaussianDropout,
    MalDrop,
    MaliciousDropConnect,
    MultinomialDropout,
    NestedDropout,
    NoDropout,
    SpatialDropout,
    SpatialMalDrop,
    StandardDropout,
    Standout,
    VariationalDropout,
)

CONFIGS = Path(__file__).parents[1] / "configs" / "dropout"

ORDER: tuple[type[Dropout], ...] = (
    DropIn,
    DropAlan,
    MalDrop,
    SpatialMalDrop,
    MaliciousDropConnect,
    DropAct,
    DropInv,
    DropCorr,
    NoDropout,
    StandardDropout,
    GaussianDropout,
    VariationalDropout,
    Standout,
    DropConnect,
    SpatialDropout,
    NestedDropout,
    MultinomialDropout,
    Chain,
)
"""Those of the sources, then the classics."""


@dataclass(frozen=True)
class Setting:
    """A variant as ``configs/dropout`` ships it."""

    stem: str
    """Name of the YAML, and of the variant's picture."""
    spec: dict[str, Any]
    """``class_path`` and ``init_args``."""

    @property
    def name(self) -> str:
        """The class's name without its module."""
        return str(self.spec["class_path"]).rsplit(".", 1)[-1]

    @property
    def arguments(self) -> str:
        """The arguments in one line."""
        return arguments_of(self.spec)


def arguments_of(spec: dict[str, Any]) -> str:
    """Return a specification's arguments in one line; a layer inside is its class and arguments."""
    parts = []
    for name, value in spec.get("init_args", {}).items():
        if isinstance(value, list):
            parts.append(" → ".join(f"{layer['class_path']}({arguments_of(layer)})" for layer in value))
        else:
            parts.append(f"{name}={value}")
    return ", ".join(parts)


def concrete_variants() -> set[type[Dropout]]:
    """Return the variants that dropout_lab.models.dropout exports; what wraps a layer from elsewhere is none."""
    return {
        value
        for value in vars(dropout_lab.models.dropout).values()
        if inspect.isclass(value)
        and issubclass(value, Dropout)
        and not inspect.isabstract(value)
        and value is not ForeignDropout
    }


def shipped_settings() -> dict[str, Setting]:
    """Return the settings of each variant by its class's name, in the page's order.

    Raises:
        AssertionError: a variant has no place in the order.
        KeyError: a variant has no YAML.
    """
    assert set(ORDER) == concrete_variants(), "ORDER must list every variant of dropout_lab.models.dropout"
    found = {}
    for path in CONFIGS.glob("*.yaml"):
        spec = yaml.safe_load(path.read_text())["model"]["network"]["init_args"]["dropout"]
        setting = Setting(path.stem, spec)
        found[setting.name] = setting
    return {variant.__name__: found[variant.__name__] for variant in ORDER}
