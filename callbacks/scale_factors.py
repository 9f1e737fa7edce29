"""How much a dropout layer scales the units up that it keeps."""

from typing import Any, ClassVar, final

import torch
from pytorch_lightning import LightningModule, Trainer
from torch import Tensor

from dropout_lab.callbacks.forwards import WatchesForwards
from dropout_lab.callbacks.ranks import gathered_by_name, is_first_rank
from dropout_lab.callbacks.tensorboard import Charted, Charts
from dropout_lab.models.dropout import dropout_layers


def largest_factor(inputs: Tensor, outputs: Tensor) -> Tensor:
    """Return max |y / x| over the units that are not below the least normal number, a scalar; 0 where there is none.

    A product with a denormal number is rounded to a few digits, in float16 below 6e-5: 3 · 1.25 of its least is 4.
    """
    units = inputs.detach()
    ratio = (outputs.detach() / units).abs()
    return torch.where(units.abs() < torch.finfo(units.dtype).tiny, 0, ratio).max()


@final
class ScaleFactors(WatchesForwards, Charted):
    """Measures the largest factor |y / x| by which each dropout layer multiplied a unit in an epoch of training.

    Logged once an epoch, over all ranks' samples, as ``scale_factor/<layer>``. Standard dropout has 1/(1 − p);
    scaled DropAlan at most 1/(1 − max_drop), when a unit escapes that was all but sure to be dropped. Units that are 0
    before the layer, or denormal, do not count. A checkpoint holds the largest so far.

    Factors are seen by forward hooks, added when the fit starts and removed when it ends. A module that was compiled by
    ``torch.compile`` before that ignores them; ``ImageClassifier(compile=…)`` compiles them with the network.
    """

    section = "scale factor"
    charts: ClassVar[Charts] = {"largest |y / x|": [r"scale_factor/.*"]}

    def __init__(self) -> None:
        super().__init__()
        self._found: list[tuple[str, Tensor]] = []
        self._largest: dict[str, Tensor] = {}

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._watch(dropout_layers(pl_module))

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._largest = {}

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        self._found = []

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        for name, factor in self._found:
            before = self._largest.get(name)
            self._largest[name] = (
                factor if before is None else torch.maximum(before.to(factor.device), factor)
            )
        self._found = []

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # Equal on all ranks; sync_dist tells Lightning so.
        logged = {f"scale_factor/{name}": factor for name, factor in self._of_all_ranks().items()}
        pl_module.log_dict(logged, sync_dist=True)
        self._largest = {}

    def state_dict(self) -> dict[str, Any]:
        return {"largest": self._of_all_ranks()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        # On rank 0 alone: it is of all ranks.
        self._largest = state_dict["largest"] if is_first_rank() else {}

    def _look(self, name: str, module: torch.nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if module.training:
            self._found.append((name, largest_factor(inputs[0], output)))

    def _of_all_ranks(self) -> dict[str, Tensor]:
        own = {name: factor.cpu() for name, factor in self._largest.items()}
        return gathered_by_name(own, lambda name, one, other: torch.maximum(one, other))
