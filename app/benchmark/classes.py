"""Networks and variants, named in a word as in Python, and built: ``MalDrop``, ``MalDrop(rho=64)``."""

import ast
from argparse import ArgumentError
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

from jsonargparse import Namespace
from pytorch_lightning.cli import LightningArgumentParser

from dropout_lab.app.config.allowlist import parse
from dropout_lab.app.config.explain import explain
from dropout_lab.app.errors import UserError
from dropout_lab.models.dropout import Dropout, DropoutFactory, as_dropout
from dropout_lab.models.networks import Network

Spec = dict[str, Any]
"""``class_path`` and ``init_args``, as in YAML."""

NONE, TORCH = "NoDropout", "torch.nn.Dropout"
"""What ratios are taken of; always measured."""

# MalDrop has no default ρ: one that every network here has room for.
VARIANTS = (
    "StandardDropout",
    "DropIn",
    "DropAlan",
    "MalDrop(rho=64)",
    "MalDrop(rho=64, score='loss')",
    "SpatialMalDrop(rho=1)",
    "MaliciousDropConnect(rho=64, mask='batch')",
    "DropAct",
    "DropInv",
    "DropCorr",
    "GaussianDropout",
    "VariationalDropout",
    "Standout",
    "DropConnect(mask='batch')",
    "DropConnect(mask='gaussian')",
    "SpatialDropout",
    "NestedDropout(p=0.02)",
    "MultinomialDropout",
    "Chain(layers=[StandardDropout(), DropIn()])",
)
"""What is measured unless variants are named: all of this project, but for masks of all weights for each sample, which
take gigabytes."""


def parse_class(text: str) -> Spec:
    """Read a class and its arguments.

    Raises:
        UserError: it is not a name, or a call with named arguments that are plain values or such calls themselves.
    """
    try:
        node = ast.parse(text.strip(), mode="eval").body
        return _parse_call(node) if isinstance(node, ast.Call) else {"class_path": _parse_path(node)}
    except (SyntaxError, ValueError) as error:
        raise UserError(
            f"{text!r} is no class as benchmark reads it: give a name or an import path, with arguments by name if "
            'it takes any, like "MalDrop(rho=64)"'
        ) from error


def _parse_call(node: ast.Call) -> Spec:
    names = [keyword.arg for keyword in node.keywords]
    if node.args or None in names:
        raise ValueError("arguments without names")
    values = [_parse_value(keyword.value) for keyword in node.keywords]
    return {"class_path": _parse_path(node.func), "init_args": dict(zip(names, values, strict=True))}


def _parse_path(node: ast.expr) -> str:
    if not all(isinstance(each, ast.Name | ast.Attribute | ast.Load) for each in ast.walk(node)):
        raise ValueError("no name")
    return ast.unparse(node)


def _parse_value(node: ast.expr) -> Any:
    if isinstance(node, ast.Call):
        return _parse_call(node)
    if isinstance(node, ast.List | ast.Tuple):
        return [_parse_value(each) for each in node.elts]
    return ast.literal_eval(node)


def choose_variants(asked: Sequence[str] | None) -> list[str]:
    """Return the baselines, then the variants asked for, each of which can be built; None asks for all."""
    others = dict.fromkeys(VARIANTS if asked is None else asked)
    variants = [NONE, TORCH, *(each for each in others if each not in (NONE, TORCH))]
    for variant in variants:
        build_dropout(variant)
    return variants


def build_dropout(variant: str) -> Dropout:
    """Build a layer."""
    make: DropoutFactory = build({"dropout": parse_class(variant)}).dropout
    with explain_errors():
        return as_dropout(make())


def build(specs: dict[str, Spec]) -> Namespace:
    """Build a ``network``, or what makes layers of a ``dropout``."""
    settings = parse_specs(specs)
    with explain_errors():
        parts: Namespace = _parser().instantiate_classes(settings)
    return parts


def parse_specs(specs: dict[str, Spec]) -> Namespace:
    """Check what :func:`build` would build, as far as that goes without its values."""
    with explain_errors():
        return parse(_parser(), specs)


@contextmanager
def explain_errors() -> Iterator[None]:
    """Raise UserError, which says in one line why something cannot be built."""
    try:
        yield
    except (ArgumentError, ValueError) as error:
        raise UserError(explain(str(error))) from error


@cache
def _parser() -> LightningArgumentParser:
    parser = LightningArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(Network, "network", required=False)
    parser.add_argument("--dropout", type=DropoutFactory)
    return parser
