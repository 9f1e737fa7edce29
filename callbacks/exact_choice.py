"""How near the units that MalDrop drops are to the best choice of all."""

from typing import Any, ClassVar, final

import torch
import torch.nn.functional as F
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.utilities import rank_zero_warn
from torch import Tensor, nn

from dropout_lab.callbacks.forwards import WatchesForwards
from dropout_lab.callbacks.ranks import gathered_by_name, is_first_rank
from dropout_lab.callbacks.tensorboard import Charted, Charts
from dropout_lab.models.dropout import MalDrop
from dropout_lab.models.dropout.base import check_count
from dropout_lab.models.dropout.mal_drop import Score, all_subsets, losses_of_subsets
from dropout_lab.models.dropout.numerics import units_of

SCORES: tuple[Score, ...] = ("contribution", "loss")


def measured(layer: MalDrop, units: Tensor, target: Tensor, weight: Tensor) -> dict[str, float]:
    """Compare the choices of V and of single losses with the exact one, on units ``(B, D)``; means over samples.

    ``loss/…`` are cross-entropies of H·Wᵀ, the bias left out: ``none`` with no unit dropped, ``chance`` the mean over
    all subsets of ρ units, the others with what each score chooses.
    """
    exact = layer.choose_by("exact", units, target, weight)
    subsets = all_subsets(units.shape[1], layer.rho, units.device)
    chance = [part.mean(1) for part in losses_of_subsets(units, target, weight, subsets)]
    found = {
        "loss/none": F.cross_entropy(units @ weight.t(), target),
        "loss/chance": torch.cat(chance).mean(),
        "loss/exact": F.cross_entropy((units * ~exact) @ weight.t(), target),
    }
    for score in SCORES:
        chosen = layer.choose_by(score, units, target, weight)
        found[f"loss/{score}"] = F.cross_entropy((units * ~chosen) @ weight.t(), target)
        found[f"shared/{score}"] = (chosen & exact).sum(1).double().mean() / layer.rho
        found[f"same/{score}"] = (chosen == exact).all(1).double().mean()
    return {name: value.item() for name, value in found.items()}


@final
class ExactChoice(WatchesForwards, Charted):
    """Compares what MalDrop drops with the exact best choice, by trying every subset of ρ units of a small layer.

    Logged once an epoch for each :class:`~dropout_lab.models.dropout.MalDrop`, whatever its own score, over all ranks'
    samples, as ``exact_choice/<layer>/…``: ``shared/contribution`` and ``shared/loss``, the mean share of the exact
    choice's ρ units that V and the single losses choose too; ``same/…``, the share of samples whose choice is the exact
    one; and ``loss/none``, ``loss/chance``, ``loss/contribution``, ``loss/loss``, ``loss/exact``, the cross-entropy
    (without bias) with no unit dropped, with ρ at random, and with what each score drops. A batch while ρ is 0 has
    nothing to choose and is left out. Where a unit is 0, dropping it or not is the same: several choices are then
    exact, and ``shared`` and ``same`` count one of them.

    Training is as without it. A batch takes as many losses as there are subsets, C(D, ρ) a sample, twice; more than a
    million are a ValueError. A checkpoint holds the sums.

    Source of the question: J. Maris, I. Pashayev, *Improving Generalization of Feed-Forward Classifiers with Malicious
    Dropout*, §6.

    Args:
        every_n_steps: measure each so-manieth batch of an epoch, from its first on.
    """

    section = "exact choice"
    charts: ClassVar[Charts] = {
        "share of the exact choice's units": [r"exact_choice/.*/shared/.*"],
        "share of samples with the exact choice": [r"exact_choice/.*/same/.*"],
        "loss without the chosen units": [r"exact_choice/.*/loss/.*"],
    }

    def __init__(self, every_n_steps: int = 10) -> None:
        super().__init__()
        check_count("every_n_steps", every_n_steps, least=1)
        self.every_n_steps = int(every_n_steps)
        self._layers: dict[str, MalDrop] = {}
        self._seen: dict[str, tuple[Tensor, Tensor, Tensor]] = {}
        # Of each layer sums over samples, and how many there were.
        self._sums: dict[str, dict[str, float]] = {}

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._layers = {name: each for name, each in pl_module.named_modules() if isinstance(each, MalDrop)}
        if not self._layers:
            rank_zero_warn("ExactChoice measures nothing: the network has no MalDrop layer")
        self._watch(self._layers)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._sums = {}

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        self._seen = {}

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        seen, self._seen = self._seen, {}
        if batch_idx % self.every_n_steps:
            return
        for name, (x, target, weight) in seen.items():
            layer = self._layers[name]
            if layer.rho == 0:
                continue
            units = units_of(x)
            with torch.no_grad(), torch.autocast(x.device.type, enabled=False):
                found = measured(layer, units, target, weight.to(units.dtype))
            sums = {key: value * len(x) for key, value in found.items()} | {"samples": float(len(x))}
            self._sums[name] = _add(name, self._sums[name], sums) if name in self._sums else sums

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        for name, sums in self._of_all_ranks().items():
            samples = sums.pop("samples")
            # Equal on all ranks; sync_dist tells Lightning so.
            logged = {f"exact_choice/{name}/{key}": value / samples for key, value in sums.items()}
            pl_module.log_dict(logged, sync_dist=True)
        self._sums = {}

    def state_dict(self) -> dict[str, Any]:
        return {"sums": self._of_all_ranks()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        # On rank 0 alone: they are of all ranks.
        self._sums = state_dict["sums"] if is_first_rank() else {}

    def _look(
        self, name: str, module: nn.Module, inputs: tuple[Tensor, Tensor, Tensor], output: Tensor
    ) -> None:
        if module.training:
            x, target, weight = inputs
            # The step changes the weight before the batch ends.
            self._seen[name] = (x.detach(), target, weight.detach().clone())

    def _of_all_ranks(self) -> dict[str, dict[str, float]]:
        return {name: dict(sums) for name, sums in gathered_by_name(self._sums, _add).items()}


def _add(layer: str, one: dict[str, float], other: dict[str, float]) -> dict[str, float]:
    return {key: one[key] + other[key] for key in one}
