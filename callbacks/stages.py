"""When a callback of training has something to do."""

from pytorch_lightning import Trainer
from pytorch_lightning.trainer.states import TrainerFn


def validates_fit(trainer: Trainer) -> bool:
    """Return whether this is a validation of a fit: neither its rehearsal nor the command ``validate``."""
    return trainer.state.fn == TrainerFn.FITTING and not trainer.sanity_checking
