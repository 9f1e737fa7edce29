"""The order of training images: it follows from seed and epoch, and can be entered anywhere."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence, Sized
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from pytorch_lightning import Trainer
from torch import Tensor, distributed
from torch.utils.data import DataLoader, DistributedSampler, Sampler

Indices = NDArray[np.int64]


class EpochOrder(DistributedSampler[int], ABC):
    """Draws the training images of an epoch, of several processes each its part.

    What is drawn follows from seed and epoch alone, so that a resumed fit sees the images that it would have seen.
    Lightning sets the epoch before each; where nobody does, each iteration is the next one. Lightning leaves a
    DistributedSampler as it is.
    """

    def __init__(self, length: int, seed: int) -> None:
        many = distributed.is_available() and distributed.is_initialized()
        super().__init__(
            range(length),  # type: ignore[arg-type]
            num_replicas=distributed.get_world_size() if many else 1,
            rank=distributed.get_rank() if many else 0,
            seed=seed,
        )
        self.length = length
        # For the processes of the loader, which have copies of all else.
        self.shared_epoch = torch.zeros((), dtype=torch.int64)
        self._begin = (0, 0)
        self._drawn = False

    def share(self, samples: int) -> None:
        """Draw so many samples an epoch, for all processes together."""
        self.total_size = samples
        self.num_samples = len(range(self.rank, samples, self.num_replicas))

    @abstractmethod
    def draw(self, generator: np.random.Generator) -> Indices:
        """Return the indices of an epoch's images for all processes, ``(total_size,)``."""

    def set_epoch(self, epoch: int) -> None:
        super().set_epoch(epoch)
        self.shared_epoch.fill_(epoch)
        self._drawn = False

    def begin(self, epoch: int, samples: int) -> None:
        """Enter an epoch after so many of this process's samples; other epochs begin at their beginning."""
        self._begin = (epoch, samples)
        self.set_epoch(epoch)

    def __iter__(self) -> Iterator[int]:
        if self._drawn:
            self.set_epoch(self.epoch + 1)
        self._drawn = True
        drawn = self.draw(np.random.default_rng((self.seed, self.epoch)))
        epoch, samples = self._begin
        mine = drawn[self.rank :: self.num_replicas]
        return iter(mine[samples if epoch == self.epoch else 0 :].tolist())


@final
class Shuffled(EpochOrder):
    """Draws each image once, in random order; other numbers of samples leave some out, or have some twice."""

    def draw(self, generator: np.random.Generator) -> Indices:
        return np.resize(generator.permutation(self.length), self.total_size)


@final
class WithReplacement(EpochOrder):
    """Draws as many samples an epoch as there are images, each any of them alike: some twice or more, others never.

    Some 37 % of the images, (1 − 1/N)^N, are not seen in an epoch. So the solver of the CS 231n assignments draws its
    batches, ``np.random.choice(num_train, batch_size)``.
    """

    def draw(self, generator: np.random.Generator) -> Indices:
        return generator.integers(self.length, size=self.total_size)


@final
class BalancedSampler(EpochOrder):
    """Draws as many samples an epoch as there are, with replacement: i with probability 1 / (classes · n_{y_i}).

    n_c is the number of samples of class c; classes without a sample do not count. ``labels``: ``(N,)``.
    """

    def __init__(self, labels: Tensor, seed: int) -> None:
        super().__init__(len(labels), seed)
        counts = labels.bincount()
        self.probabilities = (1 / (counts[labels] * (counts > 0).sum()).double()).numpy()

    def draw(self, generator: np.random.Generator) -> Indices:
        return generator.choice(len(self.probabilities), self.total_size, p=self.probabilities)


@final
class InEpochs(EpochOrder):
    """Draws what another sampler draws, which knows no epochs.

    It is asked epoch after epoch from the first on, with torch's generator seeded for each, so that it may draw from
    that or from one of its own. It gives as many indices each time.
    """

    def __init__(self, sampler: Sampler[int], seed: int) -> None:
        assert isinstance(sampler, Sized), "others cannot be entered anywhere"
        super().__init__(len(sampler), seed)
        self.sampler = sampler
        self._orders = 0
        self._order: list[int] = []

    def draw(self, generator: np.random.Generator) -> Indices:
        if self._orders > self.epoch + 1:
            raise RuntimeError(f"epoch {self.epoch} was drawn before: a sampler of one's own has no way back")
        while self._orders <= self.epoch:
            stream = np.random.default_rng((self.seed, self._orders))
            with torch.random.fork_rng([]):
                torch.default_generator.manual_seed(int(stream.integers(2**63)))
                self._order = list(self.sampler)
            self._orders += 1
        return np.resize(np.asarray(self._order, dtype=np.int64), self.total_size)


@final
class ResumableLoader(DataLoader[tuple[Tensor, Tensor]]):
    """A DataLoader whose sampler can enter an epoch anywhere, which Lightning asks for by these two methods.

    Where to enter follows from the trainer's progress (:func:`batches_done`), so that nothing is kept here.
    """

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        pass


def samples_of_epoch(images: int, batch_size: int, drop_last: bool | None, processes: int = 1) -> int:
    """Return how many samples all processes train on in an epoch, so that each has as many batches and none too many.

    They share what is left after the whole batches, of which some have one sample more than others. With None it is
    left out if one of them would have less than two of it. Where some would have none of it, images are drawn twice.
    Raises ValueError if no batch would be left.
    """
    left = images % (processes * batch_size)
    if drop_last and left == images:
        each = images // processes
        raise ValueError(
            f"drop_last leaves no batch of {batch_size} of the {each} training images a process: take a batch_size "
            f"of {each} or less, or drop_last null"
        )
    if drop_last or (drop_last is None and left < images and left < 2 * processes):
        return images - left
    return images - left + processes if 0 < left < processes else images


def batches_done(trainer: Trainer) -> tuple[int, int]:
    """Return the epoch in which a fit goes on, and how many of its batches are done; the checkpoint has been read."""
    loop = trainer.fit_loop
    if not loop.is_resuming:
        return trainer.current_epoch, 0
    epochs, batches = loop.epoch_progress.current, loop.epoch_loop.batch_progress.current
    epoch: int = epochs.processed  # type: ignore[attr-defined]
    # Between epochs these are the batches of the one before.
    return epoch, batches.processed if epochs.ready > epoch else 0  # type: ignore[attr-defined]


@final
@dataclass(frozen=True)
class BatchStreams:
    """Random numbers that follow from seed, epoch and the batch's indices alone, whoever makes the batch and when.

    So augmentation is the same with any number of workers, and in a fit that is resumed.
    """

    seed: int
    epoch: Tensor
    """The one that is drawn, ``()`` int64, in memory that all processes of the loader share."""

    @contextmanager
    def stream(self, indices: Sequence[int], device: torch.device) -> Iterator[None]:
        """Let torch draw from the batch's stream, and go on afterwards as if nothing had been drawn."""
        key = f"{self.seed} {self.epoch.item()} ".encode() + np.asarray(indices, dtype=np.int64).tobytes()
        start = int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "big") >> 1
        gpus = [] if device.type == "cpu" else [device.index or 0]
        with torch.random.fork_rng(gpus, device_type="cuda" if device.type == "cpu" else device.type):
            # Not torch.manual_seed, which takes a hundred times as long.
            torch.default_generator.manual_seed(start)
            for gpu in gpus:
                torch.cuda.default_generators[gpu].manual_seed(start)
            yield
