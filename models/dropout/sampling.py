"""Dropout in evaluation: Monte Carlo dropout."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from models.dropout.base import Dropout
from models.dropout.foreign import TORCH_DROPOUTS, ForeignDropout


@contextmanager
def sampling(model: nn.Module) -> Iterator[None]:
    """Let dropout layers drop while everything else, BatchNorm too, is in evaluation; afterwards all is as it was.

    The mean of several forwards is Monte Carlo dropout: Y. Gal, Z. Ghahramani, *Dropout as a Bayesian
    approximation*, 2016, arXiv:1506.02142. Layers of torch.nn and foreign ones in a network's places drop too.
    Variants that need labels (MalDrop) cannot without them, and stay in evaluation.

    Args:
        model: any module.
    """
    modes = {module: module.training for module in model.modules()}
    model.eval()
    for module in modes:
        if isinstance(module, Dropout):
            module.sampling = not module.needs_labels
        if isinstance(module, ForeignDropout):
            module.layer.train()
        elif isinstance(module, TORCH_DROPOUTS):
            module.train()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training
            if isinstance(module, Dropout):
                module.sampling = False
