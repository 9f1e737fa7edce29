"""What a trainer may be asked for, and every callback must live with."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dropout_lab.models.dropout import DropoutFactory, StandardDropout
from dropout_lab.models.networks import FullyConnected, Head, Network

CASES = [
    pytest.param(options, id=next(iter(options)))
    for options in (
        {"fast_dev_run": True},
        {"limit_train_batches": 3},
        {"val_check_interval": 0.5},
        {"accumulate_grad_batches": 2},
        {"num_sanity_val_steps": 2},
        {"check_val_every_n_epoch": 2, "max_epochs": 3},
        {"max_steps": 5},
        {"precision": "bf16-mixed"},
        {"inference_mode": False},
    )
]
Options = dict[str, Any]


class Units(nn.Module):
    """A stage that has neither weights nor dropout."""

    def forward(self, x: Tensor, target: Tensor | None = None, weight: Tensor | None = None) -> Tensor:
        return x


class WithoutDropout(Network):
    """Has no dropout layer at all, not even one that does nothing."""

    def __init__(self) -> None:
        super().__init__((1, 8, 8), 10, nn.Flatten(), Head(Units(), nn.Linear(64, 10)))


def network(dropout: DropoutFactory = StandardDropout) -> Network:
    torch.manual_seed(0)
    return FullyConnected([16], image_shape=(1, 8, 8), num_classes=10, normalization="batch", dropout=dropout)
