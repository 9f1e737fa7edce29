"""The best weights of a fit, kept in memory, where no checkpoint is asked for."""

from typing import Any, final

from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor

from callbacks.best_step import BestStep


@final
class BestWeights(Callback):
    """Keeps a copy of the weights, and of the states of callbacks, each time that BestStep sees a better value.

    Args:
        best: says what is best; stands before this callback.

    Attributes:
        state: the state dict, on the CPU; empty before the first validation.
        callbacks: states of the callbacks, by their ``state_key``.
        step: training steps that the weights have seen.
    """

    def __init__(self, best: BestStep) -> None:
        """Start with nothing kept."""
        self.best = best
        self.state: dict[str, Tensor] = {}
        self.callbacks: dict[str, dict[str, Any]] = {}
        self.step = 0

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Copy, if this validation is the best so far."""
        if trainer.sanity_checking or self.best.step != trainer.global_step or self.step == self.best.step:
            return
        # to() alone would hand out the very weights that are being trained.
        self.state = {
            name: tensor.detach().to("cpu", copy=True) for name, tensor in pl_module.state_dict().items()
        }
        callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
        self.callbacks = {each.state_key: state for each in callbacks if (state := each.state_dict())}
        self.step = trainer.global_step
