"""Dropout variants. Each is one file: a pure function and a thin class."""

from models.dropout.base import CountDropout, Dropout, DropoutFactory, RateDropout, Stage
from models.dropout.chain import Chain
from models.dropout.drop_act import DropAct, DropInv
from models.dropout.drop_alan import DropAlan
from models.dropout.drop_connect import DropConnect
from models.dropout.drop_corr import DropCorr
from models.dropout.drop_in import DropIn
from models.dropout.foreign import TORCH_DROPOUTS, ForeignDropout, as_dropout, made_layers
from models.dropout.gaussian import GaussianDropout
from models.dropout.mal_drop import MalDrop, SpatialMalDrop
from models.dropout.multinomial import MultinomialDropout
from models.dropout.nested import NestedDropout
from models.dropout.none import NoDropout
from models.dropout.places import divergence, dropout_layers, scheduled_layers
from models.dropout.pointwise import Pointwise
from models.dropout.sampling import sampling
from models.dropout.spatial import SpatialDropout
from models.dropout.standard import StandardDropout
from models.dropout.standout import Standout
from models.dropout.swap import LabelledHead, labels, swap_dropout
from models.dropout.variational import VariationalDropout

__all__ = [
    "TORCH_DROPOUTS",
    "Chain",
    "CountDropout",
    "DropAct",
    "DropAlan",
    "DropConnect",
    "DropCorr",
    "DropIn",
    "DropInv",
    "Dropout",
    "DropoutFactory",
    "ForeignDropout",
    "GaussianDropout",
    "LabelledHead",
    "MalDrop",
    "MultinomialDropout",
    "NestedDropout",
    "NoDropout",
    "Pointwise",
    "RateDropout",
    "SpatialDropout",
    "SpatialMalDrop",
    "Stage",
    "StandardDropout",
    "Standout",
    "VariationalDropout",
    "as_dropout",
    "divergence",
    "dropout_layers",
    "labels",
    "made_layers",
    "sampling",
    "scheduled_layers",
    "swap_dropout",
]
