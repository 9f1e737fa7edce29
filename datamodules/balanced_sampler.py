"""Training batches in which each class is as frequent as any other."""

from typing import final

import numpy as np
from torch import Tensor

from datamodules.epoch_order import EpochOrder, Indices


@final
class BalancedSampler(EpochOrder):
    """Draws as many samples an epoch as there are, with replacement: i with probability 1 / (classes · n_{y_i}).

    n_c is the number of samples of class c; classes without a sample do not count. Over several processes each takes
    every so-many-th draw of one sequence.

    Args:
        labels: class of each sample, ``(N,)``.
        seed: 0 or more.
    """

    def __init__(self, labels: Tensor, seed: int) -> None:
        """Give each sample its probability."""
        super().__init__(len(labels), seed)
        counts = labels.bincount()
        self.probabilities = (1 / (counts[labels] * (counts > 0).sum()).double()).numpy()

    def draw(self, generator: np.random.Generator) -> Indices:
        """Draw for all processes."""
        return generator.choice(len(self.probabilities), self.total_size, p=self.probabilities)
