"""On how many devices a run is, by its settings, and which of them are there."""

import os

import torch

from app.errors import UserError
from app.study.settings import Settings

VISIBLE = "CUDA_VISIBLE_DEVICES"

# Their processes are children that keep what a run has come to for themselves.
CHILDREN = ("spawn", "fork", "notebook")


def on_several(settings: Settings) -> bool:
    """Return whether a run may be on more than one device."""
    return (settings.get("trainer") or {}).get("devices", 1) not in (1, "1")


def check_trainer(settings: Settings) -> None:
    """Check that a run can be a part of a study.

    Raises:
        UserError: it is on several machines, or its strategy does not tell what it has come to.
    """
    trainer = settings.get("trainer") or {}
    if trainer.get("num_nodes", 1) not in (1, "1"):
        raise UserError(
            f"trainer.num_nodes: a run of a study is on one machine, got {trainer['num_nodes']}; "
            "--engine ray spreads runs over machines, and `fit --config` trains this one on several"
        )
    strategy = str(trainer.get("strategy"))
    if any(word in strategy for word in CHILDREN):
        raise UserError(
            f"trainer.strategy: a run of a study needs processes of its own, got {strategy}; take ddp"
        )


def visible_gpus() -> list[str]:
    """Return the GPUs that may be used, by what CUDA_VISIBLE_DEVICES would name them."""
    named = os.environ.get(VISIBLE)
    if named is not None:
        return [name for name in named.split(",") if name]
    return [str(index) for index in range(torch.cuda.device_count())]
