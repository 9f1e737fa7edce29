"""A random stream for each batch, and for each validation."""

import hashlib

import torch


def seed_batch(seed: str | None, rank: int, epoch: int, batch: int, device: torch.device) -> None:
    """Give a batch a stream of its own: dropout differs between ranks, and a run can be repeated from any batch.

    Args:
        seed: of the run; None leaves the stream as it is.
        rank: of this process.
        epoch: from 0.
        batch: of the epoch, from 0.
        device: that draws.
    """
    if seed is not None:
        _seed(f"{seed} {rank} {epoch} {batch}", device)


def seed_validation(seed: str | None, rank: int, step: int, device: torch.device) -> None:
    """Give a validation a stream of its own, whatever its loader has drawn before.

    Args:
        seed: of the run; None leaves the stream as it is.
        rank: of this process.
        step: of the optimizer, at which it is.
        device: that draws.
    """
    if seed is not None:
        _seed(f"{seed} {rank} validation {step}", device)


def _seed(key: str, device: torch.device) -> None:
    stream = int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "big") >> 1
    # Not torch.manual_seed, which takes a hundred times as long.
    torch.default_generator.manual_seed(stream)
    if device.type == "cuda":
        torch.cuda.default_generators[device.index or 0].manual_seed(stream)
