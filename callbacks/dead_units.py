"""Units that are 0 whatever comes in."""

from typing import Any, ClassVar, final

import torch
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.utilities import rank_zero_warn
from torch import Tensor, nn

from dropout_lab.callbacks.forwards import WatchesForwards
from dropout_lab.callbacks.ranks import gathered_by_name, is_first_rank
from dropout_lab.callbacks.tensorboard import Charted, Charts
from dropout_lab.models.dropout import dropout_layers


def alive_units(outputs: Tensor) -> Tensor:
    """Mark the units of outputs ``(B, …)`` that are not 0 for some sample, bool ``(…)``; NaN is not 0."""
    # Both ends are 0 only where all is 0; this takes a tenth of the time of (outputs != 0).any(0).
    return (outputs.amax(0) != 0) | (outputs.amin(0) != 0)


@final
class AliveUnits:
    """Which units of a layer were seen alive, at the cost of looking at those that were not.

    The first batch is looked at whole, later ones at what may still be dead. That set shrinks after batches 1, 2, 4,
    8, …: to know its size a GPU must be waited for. ``alive`` is what was seen before, bool, in the shape of a sample.
    """

    def __init__(self, alive: Tensor) -> None:
        self.shape = alive.shape
        self._alive = alive.flatten().clone()
        self._batches = 0
        self._candidates: Tensor | None = None

    def look(self, outputs: Tensor) -> None:
        self._check(outputs.shape[1:])
        units = outputs.detach().flatten(1)
        if self._candidates is None:
            self._alive = self._alive.to(units.device) | alive_units(units)
        elif len(self._candidates):
            found = alive_units(units.index_select(1, self._candidates))
            # Candidates were dead at the last shrinking; since then each may have been found alive.
            self._alive.index_put_((self._candidates,), found | self._alive[self._candidates])
        self._batches += 1
        if self._batches & (self._batches - 1) == 0:
            self._candidates = (~self._alive).nonzero().squeeze(1)

    def mark(self, alive: Tensor) -> None:
        """Add units that were seen alive in a batch, bool, in the shape of a sample."""
        self._check(alive.shape)
        self._alive = self._alive.to(alive.device) | alive.flatten()

    def _check(self, shape: torch.Size) -> None:
        if shape != self.shape:
            raise ValueError(
                f"the outputs of a sample were of shape {tuple(self.shape)} and are now {tuple(shape)}; "
                "DeadUnits needs units that stay the same over an epoch: feed images of one size, or leave it out"
            )

    def alive(self) -> Tensor:
        """Return the mask, in the shape of a sample, on the CPU."""
        return self._alive.view(self.shape).cpu()


def dead_shares(alive: Tensor) -> dict[str, float]:
    """Return the share of dead units, and of feature maps' channels that are all dead; of ``(D,)`` or ``(C, H, W)``."""
    shares = {"dead": (~alive).double().mean().item()}
    if alive.dim() == 3:
        shares["dead_channels"] = (~alive.flatten(1).any(1)).double().mean().item()
    return shares


@final
class DeadUnits(WatchesForwards, Charted):
    """Measures the share of units that are 0 for every training sample of an epoch.

    Watched are each ``torch.nn.ReLU`` and ``ReLU6`` and each dropout layer; logged once an epoch, over all ranks'
    samples: ``dead/<layer>``, and for feature maps ``dead_channels/<layer>``, the share of channels that are dead
    everywhere. A module that a forward calls again has the further calls numbered: ``layer1.0.relu#2``. Only forwards
    of training count: those of modules in training mode, between the start of a batch and its backward. ReLUs that a
    forward calls as a function are not seen. A checkpoint holds what all ranks have seen.

    Units are seen by forward hooks, added when the fit starts and removed when it ends; ``ImageClassifier(compile=…)``
    compiles them with the network. A module that was compiled by ``torch.compile`` before that ignores them in silence;
    a warning says so where a layer was not seen in an epoch.
    """

    section = "dead units"
    charts: ClassVar[Charts] = {"share of units": [r"dead/.*"], "share of channels": [r"dead_channels/.*"]}

    def __init__(self) -> None:
        super().__init__()
        self._seen: dict[str, AliveUnits] = {}
        self._calls: dict[str, int] = {}
        # What compiled code has seen of a batch, in the order of calls: which units were alive.
        self._found: list[tuple[str, Tensor]] = []
        self._training = False
        self._warned = False

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._warned = self._training = False
        modules = dict(pl_module.named_modules())
        watched: dict[str, nn.Module] = {
            name: each for name, each in modules.items() if isinstance(each, nn.ReLU | nn.ReLU6)
        }
        watched |= dropout_layers(pl_module)
        self._watch(watched)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._seen = {}

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        self._training = True
        self._calls, self._found = {}, []

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Tensor) -> None:
        # What comes after is no forward of the batch.
        self._training = False
        for name, alive in self._found:
            self._of_call(name, alive).mark(alive)
        self._found = []

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        # A batch that was skipped had no backward.
        self._training = False

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        alive = self._of_all_ranks()
        self._seen = {}
        unseen = [name for name in self._hooks if name not in alive]
        if unseen and not self._warned:
            self._warned = True
            rank_zero_warn(
                f"DeadUnits has seen no training forward of {', '.join(unseen)}: it was not run, was in evaluation, or "
                "is part of a module that torch.compile had compiled, which ignores forward hooks"
            )
        shares = {name: dead_shares(units) for name, units in alive.items()}
        logged = {f"{what}/{name}": share for name, of in shares.items() for what, share in of.items()}
        # Equal on all ranks; sync_dist tells Lightning so.
        pl_module.log_dict(logged, sync_dist=True)

    def state_dict(self) -> dict[str, Any]:
        return {"alive": self._of_all_ranks()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        # On rank 0 alone: it is of all ranks.
        alive = state_dict["alive"] if is_first_rank() else {}
        self._seen = {name: AliveUnits(mask) for name, mask in alive.items()}

    def _look(self, name: str, module: nn.Module, inputs: Any, output: Tensor) -> None:
        if not (self._training and module.training):
            return
        if torch.compiler.is_compiling():
            # To look at what may still be dead alone would make each batch's set a graph of its own.
            self._found.append((name, alive_units(output.detach())))
            return
        with torch.no_grad():
            self._of_call(name, output[0]).look(output)

    def _of_call(self, name: str, sample: Tensor) -> AliveUnits:
        """Return what was seen of a module in this call of the batch, which outputs such samples."""
        self._calls[name] = call = self._calls.get(name, 0) + 1
        called = name if call == 1 else f"{name}#{call}"
        if called not in self._seen:
            self._seen[called] = AliveUnits(torch.zeros_like(sample, dtype=torch.bool))
        return self._seen[called]

    def _of_all_ranks(self) -> dict[str, Tensor]:
        own = {name: units.alive() for name, units in self._seen.items()}
        return gathered_by_name(own, lambda name, one, other: one | other)
