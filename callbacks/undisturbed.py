"""To call a network in the midst of a fit as if it had not been called."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from pytorch_lightning import LightningModule

from dropout_lab.models.dropout import Dropout


@contextmanager
def undisturbed(module: LightningModule) -> Iterator[None]:
    """Let random draws and masks be forgotten afterwards; what is compiled runs uncompiled."""
    kept = {each: each.kept for each in module.modules() if isinstance(each, Dropout)}
    device = module.device
    devices = [] if device.type == "cpu" else [device.index or 0]
    with (
        torch.random.fork_rng(devices, device_type="cuda" if device.type == "cpu" else device.type),
        # Compiled code would not call hooks, and would be compiled again for what is asked here alone.
        torch.compiler.set_stance("force_eager"),
    ):
        yield
    for each, mask in kept.items():
        each.kept = mask
