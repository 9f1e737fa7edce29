"""A random stream for each batch."""

import hashlib

import torch


def seed_batch(seed: str, rank: int, epoch: int, batch: int, device: torch.device) -> None:
    """Give a batch a stream of its own: dropout differs between ranks, and a run can be repeated from any batch."""
    key = f"{seed} {rank} {epoch} {batch}".encode()
    stream = int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "big") >> 1
    # Not torch.manual_seed, which takes a hundred times as long.
    torch.default_generator.manual_seed(stream)
    if device.type == "cuda":
        torch.cuda.default_generators[device.index or 0].manual_seed(stream)
