"""Networks and dropout layers, made from what the command line names."""

from argparse import ArgumentError
from collections.abc import Callable
from functools import cache
from typing import Any, Literal, TypeVar

from jsonargparse import Namespace
from pytorch_lightning.cli import LightningArgumentParser

from dropout_lab.app.benchmark.names import Spec, spec_of
from dropout_lab.app.config import allowlist
from dropout_lab.app.config.explain import explain
from dropout_lab.app.errors import UserError
from dropout_lab.models.dropout import Dropout, DropoutFactory, as_dropout
from dropout_lab.models.networks import Network

Made = TypeVar("Made")
Place = Literal["network", "dropout"]


def check_variant(variant: str) -> None:
    """Make a variant once, wherever it may stand later.

    Raises:
        UserError: there is no such variant, or its arguments are wrong.
    """
    made_dropout(variant)


def made_dropout(variant: str) -> Dropout:
    """Make a layer of a variant.

    Raises:
        UserError: there is no such variant, or its arguments are wrong.
    """
    make: DropoutFactory = built("dropout", spec_of(variant))
    return made(lambda: as_dropout(make()))


def built(name: Place, spec: Spec) -> Any:
    """Return an instance of a network, or what makes a dropout layer.

    Raises:
        UserError: there is no such class, or its arguments are wrong.
    """
    settings = checked(name, spec)
    return made(lambda: _parser(name).instantiate_classes(settings)[name])


def checked(name: Place, spec: Spec) -> Namespace:
    """Return the settings of a class; nothing is made yet.

    Raises:
        UserError: there is no such class, or it takes no such arguments.
    """
    parser = _parser(name)
    settings: Namespace = made(lambda: allowlist.parsed(parser, {name: spec}))
    return settings


def made(make: Callable[[], Made]) -> Made:
    """Return what is made.

    Raises:
        UserError: it cannot be, for a reason that the user can mend.
    """
    try:
        return make()
    except (ArgumentError, ValueError) as error:
        raise UserError(explain(str(error))) from error


@cache
def _parser(name: Place) -> LightningArgumentParser:
    parser = LightningArgumentParser(exit_on_error=False)
    if name == "network":
        parser.add_subclass_arguments(Network, "network", required=True)
    else:
        parser.add_argument("--dropout", type=DropoutFactory, required=True)
    return parser
