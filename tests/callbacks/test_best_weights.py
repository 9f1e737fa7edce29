"""The weights that are kept against copies that the test takes."""

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor

from dropout_lab.callbacks import BestStep, BestWeights
from tests.callbacks.fits import fit


class Notes(Callback):
    """Sets the accuracy of each validation, and notes the weights."""

    def __init__(self, accuracies: list[float]) -> None:
        self.accuracies = accuracies
        self.weights: list[dict[str, Tensor]] = []

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.sanity_checking:
            trainer.callback_metrics["val/accuracy"].fill_(self.accuracies[len(self.weights)])
            self.weights.append({name: value.clone() for name, value in pl_module.state_dict().items()})

    def state_dict(self) -> dict[str, int]:
        return {"validations": len(self.weights)}


def test_keeps_the_first_of_the_best_and_a_copy() -> None:
    notes, best = Notes([0.25, 0.75, 0.5, 0.75]), BestStep()
    kept = BestWeights(best)
    fit(notes, best, kept, max_epochs=4, limit_train_batches=2)
    assert kept.step == best.step == 4
    assert kept.state.keys() == notes.weights[1].keys()
    for name, value in kept.state.items():
        assert torch.equal(value, notes.weights[1][name]), name
    assert any(not torch.equal(value, notes.weights[3][name]) for name, value in kept.state.items())
    assert kept.callbacks[notes.state_key] == {"validations": 2}


def test_without_validation_nothing_is_kept() -> None:
    best = BestStep()
    kept = BestWeights(best)
    fit(best, kept, limit_train_batches=1, limit_val_batches=0)
    assert (kept.state, kept.step) == ({}, 0)
