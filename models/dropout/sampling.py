"""Dropout in evaluation: Monte Carlo dropout."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from dropout_lab.models.dropout.base import Dropout
from dropout_lab.models.dropout.wrap import TORCH_DROPOUTS, ForeignDropout

FUNCTIONAL = (nn.MultiheadAttention, nn.RNNBase, nn.TransformerEncoderLayer)
"""Modules of torch.nn that drop without a layer, or in evaluation call fused kernels instead of their layers.

What they do in training beside is nothing; their parts, such as norms, have a mode of their own.
"""


@contextmanager
def sampling(model: nn.Module, with_labels: bool = False) -> Iterator[None]:
    """Let dropout layers drop while everything else, BatchNorm too, is in evaluation; afterwards all is as it was.

    The mean of several forwards is Monte Carlo dropout: Y. Gal, Z. Ghahramani, *Dropout as a Bayesian
    approximation*, 2016, arXiv:1506.02142. Layers of torch.nn and foreign ones in a network's places drop too, and what
    attention, transformers and recurrent layers of torch.nn drop inside; not what a forward of one's own drops by
    ``torch.nn.functional``, nor stochastic depth.
    Variants that need labels (MalDrop) stay in evaluation unless the model is called ``with_labels``.
    """
    before = {
        module: (module.training, isinstance(module, Dropout) and module.sampling)
        for module in model.modules()
    }
    model.eval()
    for module in before:
        if isinstance(module, Dropout):
            module.sampling = with_labels or not module.needs_labels
        if isinstance(module, ForeignDropout):
            for part in module.layer.modules():
                part.training = not isinstance(part, _NormBase)
        elif isinstance(module, TORCH_DROPOUTS):
            module.train()
        elif isinstance(module, FUNCTIONAL):
            module.training = True
    try:
        yield
    finally:
        for module, (training, sampled) in before.items():
            module.training = training
            if isinstance(module, Dropout):
                module.sampling = sampled
