"""One step: what it takes and hands on, the random numbers it draws, what it logs."""

import hashlib
from collections.abc import Mapping
from typing import NamedTuple, TypedDict, final

import torch
from pytorch_lightning import Trainer
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


def seed_stream(device: torch.device, seed: str | None, *place: int | str) -> None:
    """Seed the generators by the run's seed and a place in it: rank, epoch and batch.

    So dropout differs between ranks, and a run can be repeated from any batch, whatever was drawn before. Without a
    seed the stream stays as it is.
    """
    if seed is None:
        return
    key = " ".join(map(str, (seed, *place)))
    stream = int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "big") >> 1
    # Not torch.manual_seed, which takes a hundred times as long.
    torch.default_generator.manual_seed(stream)
    if device.type == "cuda":
        torch.cuda.default_generators[device.index or 0].manual_seed(stream)


@final
class StepLog:
    """Hands metrics of every ``log_every_n_steps``-th step to the trainer's loggers.

    What a module logs by ``self.log`` at a step, Lightning looks through, and brings to the CPU for the progress bar,
    at every step from then on: on a CPU that takes 45 µs, and a GPU is waited for each time. ``latest`` is what was
    written last.
    """

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Forget what an earlier fit has written: steps are counted from the start again."""
        self.latest: dict[str, float] = {}
        self._written = -1

    def due(self, trainer: Trainer) -> bool:
        """Tell whether this step's metrics are wanted; of several batches for one step the first's are.

        An interval of 0 wants none, as Lightning's own logging has it.
        """
        interval: int = trainer.log_every_n_steps  # type: ignore[attr-defined]
        step = trainer.global_step
        return interval > 0 and (step + 1) % interval == 0 and step != self._written

    def write(self, trainer: Trainer, metrics: Mapping[str, Tensor]) -> None:
        self._written = trainer.global_step
        self.latest = {name: value.item() for name, value in metrics.items()}
        for logger in trainer.loggers:
            logger.log_metrics(self.latest, step=self._written)
