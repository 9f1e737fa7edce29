"""Classes named in a word."""

import inspect

import pytest

from dropout_lab.app.benchmark.classes import VARIANTS, parse_class
from dropout_lab.app.errors import UserError
from dropout_lab.models.dropout import Dropout


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("DropAct", {"class_path": "DropAct"}),
        (" torch.nn.Dropout ", {"class_path": "torch.nn.Dropout"}),
        ("DropIn()", {"class_path": "DropIn", "init_args": {}}),
        ("MalDrop(rho=64, score='loss')", {"class_path": "MalDrop", "init_args": {"rho": 64, "score": "loss"}}),
        ("mine.Net(sizes=[3, -1.5], deep=None)",
         {"class_path": "mine.Net", "init_args": {"sizes": [3, -1.5], "deep": None}}),
        ("Chain(layers=[DropAct(), DropIn(p=0.3)])",
         {"class_path": "Chain", "init_args": {"layers": [
             {"class_path": "DropAct", "init_args": {}}, {"class_path": "DropIn", "init_args": {"p": 0.3}}]}}),
    ],
)  # fmt: skip
def test_reads_as_python_does(text: str, spec: dict[str, object]) -> None:
    assert parse_class(text) == spec


@pytest.mark.parametrize(
    "text",
    ["", "MalDrop(64)", "MalDrop(rho=64", "MalDrop(**x)", "1 + 2", "f(x)(y)", "MalDrop(rho=print)", "a b"],
)
def test_what_is_no_class_is_refused_with_the_remedy(text: str) -> None:
    with pytest.raises(UserError, match='is no class as benchmark reads it: give a name .* like "MalDrop'):
        parse_class(text)


def test_nothing_is_run() -> None:
    with pytest.raises(UserError):
        parse_class("MalDrop(rho=__import__('os').getpid())")


def test_no_variant_is_forgotten() -> None:
    named = {parse_class(text)["class_path"] for text in VARIANTS}
    there = {each.__name__ for each in concrete(Dropout) if each.__module__.startswith("dropout_lab.models.")}
    assert named == there - {"NoDropout", "ForeignDropout"}


def concrete(base: type) -> list[type]:
    found = [] if inspect.isabstract(base) else [base]
    subclasses: list[type] = base.__subclasses__()
    for each in subclasses:
        found += concrete(each)
    return found
