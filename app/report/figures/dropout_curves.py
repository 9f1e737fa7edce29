"""From a run's settings to the exact curves of its dropout: d(x) and E[y | x], without training anything."""

import numpy as np
import numpy.typing as npt
import torch
from jsonargparse import ArgumentError, ArgumentParser
from torch import nn

from dropout_lab.app.config.explain import explain
from dropout_lab.app.config.settings import Settings, dropout_of
from dropout_lab.app.errors import UserError
from dropout_lab.models.dropout import DropoutFactory, Pointwise, Stage, as_dropout

Array = npt.NDArray[np.float64]


def dropout_curves(settings: Settings, x: Array) -> tuple[Array, Array] | None:
    """Return d(x), how likely a unit is dropped, and E[y | x], the mean of what comes out in training.

    They are of the stage that a run's dropout makes with a ReLU, at pre-activations ``x``; None where they are not of
    ``x`` alone.

    Raises:
        UserError: the settings of the dropout are wrong.
    """
    spec = dropout_of(settings)
    if spec is None:
        return None
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--dropout", type=DropoutFactory)
    try:
        dropout = parser.instantiate_classes(parser.parse_object({"dropout": spec})).dropout()
    except (ArgumentError, ValueError) as error:
        raise UserError(explain(str(error))) from error
    same = nn.Linear(1, 1, dtype=torch.float64)
    nn.init.ones_(same.weight)
    nn.init.zeros_(same.bias)
    # What replaces the activation is known to the variant alone.
    stage = as_dropout(dropout).join(same, nn.ReLU())
    if not (isinstance(stage, Stage) and isinstance(stage.dropout, Pointwise)):
        return None
    with torch.no_grad():
        units = stage.activation(stage.affine(torch.from_numpy(x)[:, None]))[:, 0]
        return stage.dropout.drop_curve(units).numpy(), stage.dropout.expectation(units).numpy()
