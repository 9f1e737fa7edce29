"""A random stream for the augmentation of each batch."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch import Tensor


@final
@dataclass(frozen=True)
class BatchStreams:
    """Random numbers that follow from seed, epoch and the batch's indices alone, whoever makes the batch and when.

    So augmentation is the same with any number of workers, and in a fit that is continued.

    Attributes:
        seed: of the data.
        epoch: the one that is drawn, ``()`` int64, in memory that all processes of the loader share.
    """

    seed: int
    epoch: Tensor

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
