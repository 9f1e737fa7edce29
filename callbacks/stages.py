"""When a callback of training has something to do."""

from pytorch_lightning import Trainer
from pytorch_lightning.trainer.states import TrainerFn


def validates_fit(trainer: Trainer) -> bool:
    """Return whether this is a validation of a fit: neither its rehearsal nor the command ``validate``."""
    return trainer.state.fn == TrainerFn.FITTING and not trainer.sanity_checking


def due(trainer: Trainer, every_n_epochs: int) -> bool:
    """Return whether a fit's validation is to be drawn: that of each ``every_n_epochs``-th epoch, and of the last."""
    epoch = trainer.current_epoch + 1
    return validates_fit(trainer) and (epoch % every_n_epochs == 0 or epoch == trainer.max_epochs)
