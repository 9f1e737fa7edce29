"""Training batches in which each class is as frequent as any other."""

from collections.abc import Iterator
from typing import final

import numpy as np
from torch import Tensor, distributed
from torch.utils.data import DistributedSampler


@final
class BalancedSampler(DistributedSampler[int]):
    """Draws as many samples an epoch as there are, with replacement: i with probability 1 / (classes · n_{y_i}).

    n_c is the number of samples of class c; classes without a sample do not count. The draws follow from ``seed`` and
    the epoch, which Lightning sets. Over several processes each takes every so-many-th draw of one sequence, and
    Lightning leaves a DistributedSampler as it is.

    Args:
        labels: class of each sample, ``(N,)``.
        seed: 0 or more.
    """

    def __init__(self, labels: Tensor, seed: int) -> None:
        """Take this process's place among all."""
        many = distributed.is_available() and distributed.is_initialized()
        super().__init__(
            range(len(labels)),  # type: ignore[arg-type]
            num_replicas=distributed.get_world_size() if many else 1,
            rank=distributed.get_rank() if many else 0,
            seed=seed,
        )
        counts = labels.bincount()
        self.probabilities = (1 / (counts[labels] * (counts > 0).sum()).double()).numpy()

    def __iter__(self) -> Iterator[int]:
        """Draw this process's samples of the epoch."""
        generator = np.random.default_rng((self.seed, self.epoch))
        drawn = generator.choice(len(self.probabilities), self.total_size, p=self.probabilities)
        return iter(drawn[self.rank :: self.num_replicas].tolist())
