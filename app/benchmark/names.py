"""Classes named in a word, as in Python: ``MalDrop``, ``MalDrop(rho=64)``, ``Chain(layers=[DropAct(), DropIn()])``."""

import ast
from typing import Any

from dropout_lab.app.errors import UserError

Spec = dict[str, Any]
"""``class_path`` and ``init_args``, as in YAML."""

# MalDrop has no default ρ: one that every network here has room for.
VARIANTS = (
    "StandardDropout",
    "DropIn",
    "DropAlan",
    "MalDrop(rho=64)",
    "MalDrop(rho=64, score='loss')",
    "SpatialMalDrop(rho=1)",
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
"""What is measured unless variants are named: all of this project, but for DropConnect's mask of all weights for each
sample, which takes gigabytes."""

NONE, TORCH = "NoDropout", "torch.nn.Dropout"
"""What ratios are taken of; always measured."""


def spec_of(text: str) -> Spec:
    """Read a class and its arguments.

    Raises:
        UserError: it is not a name, or a call with named arguments that are plain values or such calls themselves.
    """
    try:
        return _spec(ast.parse(text.strip(), mode="eval").body)
    except (SyntaxError, ValueError) as error:
        raise UserError(
            f"{text!r} is no class as benchmark reads it: give a name or an import path, with arguments by name if "
            'it takes any, like "MalDrop(rho=64)"'
        ) from error


def _spec(node: ast.expr) -> Spec:
    if not isinstance(node, ast.Call):
        return {"class_path": _path(node)}
    if node.args or any(keyword.arg is None for keyword in node.keywords):
        raise ValueError("arguments without names")
    return {
        "class_path": _path(node.func),
        "init_args": {str(keyword.arg): _value(keyword.value) for keyword in node.keywords},
    }


def _path(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{_path(node.value)}.{node.attr}"
    raise ValueError("no name")


def _value(node: ast.expr) -> Any:
    if isinstance(node, ast.Call):
        return _spec(node)
    if isinstance(node, ast.List | ast.Tuple):
        return [_value(each) for each in node.elts]
    return ast.literal_eval(node)
