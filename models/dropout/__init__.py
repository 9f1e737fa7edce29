"""Dropout variants. Each is one file: a pure function and a thin class."""

from dropout_lab.models.dropout.base import (
    CountDropout,
    Dropout,
    DropoutFactory,
    Pointwise,
    RateDropout,
    Stage,
    divergence,
    dropout_layers,
    scheduled_layers,
)
from dropout_lab.models.dropout.chain import Chain
from dropout_lab.models.dropout.drop_act import DropAct, DropInv
from dropout_lab.models.dropout.drop_alan import DropAlan
from dropout_lab.models.dropout.drop_connect import DropConnect
from dropout_lab.models.dropout.drop_corr import DropCorr
from dropout_lab.models.dropout.drop_in import DropIn
from dropout_lab.models.dropout.gaussian import GaussianDropout
from dropout_lab.models.dropout.mal_drop import MalDrop, SpatialMalDrop
from dropout_lab.models.dropout.malicious_drop_connect import MaliciousDropConnect
from dropout_lab.models.dropout.multinomial import MultinomialDropout
from dropout_lab.models.dropout.nested import NestedDropout
from dropout_lab.models.dropout.none import NoDropout
from dropout_lab.models.dropout.sampling import sampling
from dropout_lab.models.dropout.spatial import SpatialDropout
from dropout_lab.models.dropout.standard import StandardDropout
from dropout_lab.models.dropout.standout import Standout
from dropout_lab.models.dropout.swap import LabelledHead, labels, swap_dropout
from dropout_lab.models.dropout.variational import VariationalDropout
from dropout_lab.models.dropout.wrap import TORCH_DROPOUTS, ForeignDropout, as_dropout, made_layers

__all__ = [
    "TORCH_DROPOUTS", "Chain", "CountDropout", "DropAct", "DropAlan", "DropConnect", "DropCorr", "DropIn",
    "DropInv", "Dropout", "DropoutFactory", "ForeignDropout", "GaussianDropout", "LabelledHead", "MalDrop",
    "MaliciousDropConnect", "MultinomialDropout", "NestedDropout", "NoDropout", "Pointwise", "RateDropout",
    "SpatialDropout", "SpatialMalDrop", "Stage", "StandardDropout", "Standout", "VariationalDropout", "as_dropout",
    "divergence", "dropout_layers", "labels", "made_layers", "sampling", "scheduled_layers", "swap_dropout",
]  # fmt: skip
