"""Sets ρ or p of dropout layers by a schedule."""

import math
import os
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from typing import Any, ClassVar, final

from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.trainer.states import TrainerFn
from pytorch_lightning.utilities import rank_zero_warn

from dropout_lab.callbacks.schedules import Moment, Schedule
from dropout_lab.callbacks.tensorboard import Charted, Charts, log_scalars
from dropout_lab.models.dropout import CountDropout, Dropout, dropout_layers, scheduled_layers


@final
@dataclass
class Spread:
    """Takes numbers one by one and keeps what tells them in short."""

    count: int = 0
    total: float = 0.0
    least: float = math.inf
    most: float = -math.inf

    def add(self, value: float) -> None:
        self.count += 1
        self.total += value
        self.least = min(self.least, value)
        self.most = max(self.most, value)

    def named(self, kind: str, name: str) -> dict[str, float]:
        """Return ``<kind>_mean/<name>``, ``<kind>_min/<name>`` and ``<kind>_max/<name>``, once there is a number."""
        return {
            f"{kind}_mean/{name}": self.total / self.count,
            f"{kind}_min/{name}": self.least,
            f"{kind}_max/{name}": self.most,
        }


@final
class RhoScheduler(Callback, Charted):
    """Sets ρ, the number of units that MalDrop drops, or p of any other variant, before each training batch.

    ρ is rounded to the nearest whole number. A network in ``torch.compile`` does not recompile, unless the layer is
    one of ``torch.nn``, which keep p as a plain number. Validation within a fit has the values of the batch before it;
    evaluation of a checkpoint those that were in force when it was saved, which matters to variants that look at p
    there, such as ``StandardDropout(inverted=False)``. Several schedulers may stand side by side, for different
    layers. Logged every ``log_every_n_steps`` steps as ``rho/<layer>`` or ``p/<layer>``; what an epoch's batches had is
    among its metrics, as ``rho_mean/<layer>``, ``rho_min/<layer>`` and ``rho_max/<layer>``, or with ``p``. Layers
    without ρ and p are passed over: NoDropout, VariationalDropout, which learns its noise, modules of one's own.

    Source: J. Maris, I. Pashayev, *Improving Generalization of Feed-Forward Classifiers with Malicious Dropout*, §4.4.

    Args:
        schedule: the value of each batch.
        layers: pattern, as of file names, of the names of the layers to set; ``*`` is every layer. Parts of a Chain
            have names of their own, ``network.head.stage.dropout.layers.0``.
    """

    section = "dropout"
    charts: ClassVar[Charts] = {"ρ": ["rho/.*"], "p": ["p/.*"]}

    def __init__(self, schedule: Schedule, layers: str = "*") -> None:
        self.schedule = schedule
        self.layers = layers
        self.values: dict[str, float] = {}
        self.epoch: dict[str, Spread] = {}
        self._matched: dict[str, Dropout] = {}
        self._steps = math.inf
        self._logged_step = -1

    @property
    def state_key(self) -> str:
        return f"RhoScheduler(schedule={self.schedule!r}, layers={self.layers!r})"

    def state_dict(self) -> dict[str, Any]:
        epoch = {name: asdict(spread) for name, spread in self.epoch.items()}
        return {"values": dict(self.values), "epoch": epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.values = dict(state_dict["values"])
        self.epoch = {name: Spread(**spread) for name, spread in state_dict["epoch"].items()}

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # Before training: a resumed run may begin with the rest of a validation.
        self._logged_step = -1
        self._matched = matching_layers(pl_module, self.layers)
        if not self._matched:
            rank_zero_warn(f"RhoScheduler has nothing to set: {_why_none(pl_module, self.layers)}")
        _check_one_kind(self._matched, self.layers)
        for other in trainer.callbacks:  # type: ignore[attr-defined]
            if other is self or not isinstance(other, RhoScheduler):
                continue
            if both := self._matched.keys() & matching_layers(pl_module, other.layers).keys():
                raise ValueError(
                    f"{min(both)} is set by two RhoSchedulers, {self.schedule} with layers={self.layers!r} and "
                    f"{other.schedule} with layers={other.layers!r}; leave one out, or give each layers of its own"
                )
        self._apply()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        for name, layer in self._matched.items():
            if isinstance(layer, CountDropout) and layer.units is None:
                raise ValueError(
                    f"{name} does not know its number of units yet; call the network once before the fit, in eval()"
                )
        if not self.schedule.uses_progress:
            return
        # Asked earlier, the trainer would read the data before a resumed run's state.
        self._steps = trainer.estimated_stepping_batches
        if not 0 < self._steps < math.inf:
            raise ValueError(
                f"{self.schedule} goes by the share of training done, and this run has no end: "
                "give trainer.max_epochs or trainer.max_steps"
            )

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # An epoch that is resumed does not start again.
        self.epoch = {}

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        for name, layer in self._matched.items():
            try:
                value = self._value(trainer, layer)
                if value != self.values.get(name):
                    set_strength(layer, value)
            except ValueError as error:
                raise ValueError(
                    f"{self.schedule} does not suit {name}, a {type(layer).__name__}, in epoch "
                    f"{trainer.current_epoch}: {error}"
                ) from error
            self.values[name] = value
            self.epoch.setdefault(name, Spread()).add(value)
        self._log(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        for name, spread in self.epoch.items():
            kind = str(self._matched[name].scheduled)
            pl_module.log_dict(spread.named(kind, name), logger=False, sync_dist=True)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.state.fn == TrainerFn.VALIDATING:
            self._restore(pl_module)

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._restore(pl_module)

    on_predict_start = on_test_start

    def _value(self, trainer: Trainer, layer: Dropout) -> float:
        moment = Moment(
            epoch=trainer.current_epoch,
            batch=trainer.fit_loop.epoch_loop.total_batch_idx,
            progress=trainer.global_step / self._steps,
            seed=int(os.environ.get("PL_GLOBAL_SEED", "0")),
            units=layer.units if isinstance(layer, CountDropout) else None,
        )
        value = self.schedule.at(moment)
        return round(value) if layer.scheduled == "rho" and math.isfinite(value) else value

    def _log(self, trainer: Trainer) -> None:
        interval: int = trainer.log_every_n_steps  # type: ignore[attr-defined]
        step = trainer.global_step
        # With gradients accumulated several batches make one step; the first one's value stands for them.
        if interval and (step + 1) % interval == 0 and step != self._logged_step:
            self._logged_step = step
            now = {f"{layer.scheduled}/{name}": self.values[name] for name, layer in self._matched.items()}
            log_scalars(trainer, now)

    def _restore(self, pl_module: LightningModule) -> None:
        self._matched = matching_layers(pl_module, self.layers)
        if missing := [name for name in self._matched if name not in self.values]:
            rank_zero_warn(
                f"RhoScheduler(layers={self.layers!r}) knows no value for {', '.join(missing)}: no checkpoint of a fit "
                f"with {self.schedule} was loaded, so evaluation takes the layers' own arguments"
            )
        self._apply()

    def _apply(self) -> None:
        for name, layer in self._matched.items():
            if name in self.values:
                set_strength(layer, self.values[name])


def set_strength(layer: Dropout, value: float) -> None:
    """Set ρ or p, whichever the layer has."""
    if isinstance(layer, CountDropout):
        layer.rho = value
    else:
        layer.set_rate(value)


def matching_layers(module: LightningModule, pattern: str) -> dict[str, Dropout]:
    """Return the layers that can be scheduled and whose names match."""
    return {name: layer for name, layer in scheduled_layers(module).items() if fnmatchcase(name, pattern)}


def _why_none(module: LightningModule, pattern: str) -> str:
    if known := scheduled_layers(module):
        return f"no layer's name matches layers={pattern!r}; there are {', '.join(known)}"
    if not (layers := dropout_layers(module)):
        return "the network has no dropout layer"
    kinds = ", ".join(f"{name} ({type(layer).__name__})" for name, layer in layers.items())
    return f"no dropout layer of the network has a rho or a p to set; there are {kinds}"


def _check_one_kind(layers: dict[str, Dropout], pattern: str) -> None:
    rho, p = ([name for name, layer in layers.items() if layer.scheduled == kind] for kind in ("rho", "p"))
    if rho and p:
        raise ValueError(
            f"RhoScheduler(layers={pattern!r}) takes in rho of {', '.join(rho)} and p of {', '.join(p)}: one schedule "
            f"cannot be both a number of units and a probability. Name those of one kind, as layers: '{rho[0]}', "
            "and give the others a RhoScheduler of their own"
        )
