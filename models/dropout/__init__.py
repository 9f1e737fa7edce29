"""Dropout variants. Each is one file: a pure function and a thin class."""

from models.dropout.base import Dropout, DropoutFactory, RateDropout, Stage
from models.dropout.foreign import TORCH_DROPOUTS, ForeignDropout, as_dropout
from models.dropout.none import NoDropout
from models.dropout.standard import StandardDropout

__all__ = [
    "TORCH_DROPOUTS",
    "Dropout",
    "DropoutFactory",
    "ForeignDropout",
    "NoDropout",
    "RateDropout",
    "Stage",
    "StandardDropout",
    "as_dropout",
]
