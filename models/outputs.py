"""What goes into a step and what comes out of it."""

from typing import NamedTuple, TypedDict

import torch
from torch import Tensor

Batch = tuple[Tensor, Tensor]
"""Images ``(B, C, H, W)`` float32 and labels ``(B,)`` int64."""


class StepOutput(TypedDict):
    """What a training, validation or test step hands to callbacks."""

    loss: Tensor
    """Mean over the batch, a scalar."""
    logits: Tensor
    """``(B, classes)``; log-probabilities where ``test`` averages Monte Carlo passes."""


class Prediction(NamedTuple):
    """What ``predict`` returns for a batch."""

    probabilities: Tensor
    """Softmax of the logits, ``(B, classes)``, or its mean over Monte Carlo passes."""
    entropy: Tensor
    """−Σ p·log p in nats, ``(B,)``."""
    target: Tensor
    """Labels, ``(B,)``; −1 where unknown."""


def entropy(log_probabilities: Tensor) -> Tensor:
    """Return −Σ p·log p over classes, in nats, ``(B,)``; a class of probability 0 adds 0."""
    probabilities = log_probabilities.exp()
    terms: Tensor = torch.special.xlogy(probabilities, probabilities)
    # Rounding can bring a probability above 1.
    return (-terms.sum(dim=1)).clamp(min=0)
