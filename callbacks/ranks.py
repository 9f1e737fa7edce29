"""Where a fit stands, and what its processes tell each other."""

from collections.abc import Callable
from typing import Any, TypeVar

from pytorch_lightning import Trainer
from pytorch_lightning.trainer.states import TrainerFn
from torch import distributed

T = TypeVar("T")


def gathered(value: T) -> list[T]:
    """Return what each rank handed in, by rank; all of them must call it.

    It is anything that pickles; tensors on the CPU, since each rank would get those of the others' GPUs.
    """
    if not _several():
        return [value]
    parts: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(parts, value)
    return parts


def gathered_by_name(values: dict[str, T], add: Callable[[str, T, T], T]) -> dict[str, T]:
    """Return what the ranks hold under each name, added up; all of them must call it."""
    total: dict[str, T] = {}
    for part in gathered(values):
        for name, value in part.items():
            total[name] = add(name, total[name], value) if name in total else value
    return total


def is_first_rank() -> bool:
    """Return whether this is rank 0, which alone takes over what a checkpoint has summed over ranks."""
    return not _several() or distributed.get_rank() == 0


def _several() -> bool:
    return distributed.is_available() and distributed.is_initialized()


def validates_fit(trainer: Trainer) -> bool:
    """Return whether this is a validation of a fit: neither its rehearsal nor the command ``validate``."""
    return trainer.state.fn == TrainerFn.FITTING and not trainer.sanity_checking


def due(trainer: Trainer, every_n_epochs: int) -> bool:
    """Return whether a fit's validation is to be drawn: that of each ``every_n_epochs``-th epoch, and of the last."""
    epoch = trainer.current_epoch + 1
    return validates_fit(trainer) and (epoch % every_n_epochs == 0 or epoch == trainer.max_epochs)
