"""Weights of classes in the loss: given, or from how frequent they are."""

from typing import Protocol, runtime_checkable

import torch
from torch import Tensor


@runtime_checkable
class CountsClasses(Protocol):
    """Data that know how many training images each class has."""

    @property
    def class_counts(self) -> Tensor:
        """Training images of each class, ``(classes,)``."""


def loss_weights(class_weights: list[float] | str | None, classes: int) -> Tensor | None:
    """Return the weights in an argument, ``(classes,)``; ones where ``"balanced"`` waits for the data.

    Raises:
        ValueError: they are of another number, or one is not above 0.
    """
    if class_weights is None:
        return None
    if class_weights == "balanced":
        return torch.ones(classes)
    if isinstance(class_weights, str) or len(class_weights) != classes or min(class_weights) <= 0:
        raise ValueError(
            f"class_weights needs {classes} numbers above 0, one a class, or 'balanced', got {class_weights!r}"
        )
    return torch.tensor(class_weights, dtype=torch.float32)


def balanced_weights(data: object) -> Tensor:
    """Return w_c = N / (C · n_c), ``(classes,)``: each class counts as much as any other, and the mean sample 1.

    Source: G. King, L. Zeng, *Logistic regression in rare events data*, 2001; scikit-learn's ``"balanced"``.

    Raises:
        ValueError: the data do not count their training images by class, or a class has none.
    """
    if not isinstance(data, CountsClasses):
        raise ValueError(
            f"class_weights='balanced' needs a data module with class_counts, got {type(data).__name__}; "
            "give the weights as numbers"
        )
    counts = data.class_counts
    if counts.min() == 0:
        raise ValueError(
            "class_weights='balanced' needs a training image of each class, "
            f"got {counts.tolist()} images; give the weights as numbers"
        )
    return counts.sum() / (len(counts) * counts)
