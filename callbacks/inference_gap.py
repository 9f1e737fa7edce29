"""How far evaluation is from the mean of what sampling gives: the mismatch that expectation-linearity is about."""

import fnmatch
import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, NamedTuple, final

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.utilities import rank_zero_warn
from torch import Tensor, nn

from dropout_lab.callbacks.ranks import validates_fit
from dropout_lab.callbacks.tensorboard import Charted, Charts
from dropout_lab.callbacks.undisturbed import undisturbed
from dropout_lab.models.dropout import Dropout, dropout_layers, sampling
from dropout_lab.models.dropout.base import check_count

Call = tuple[tuple[Any, ...], dict[str, Any]]
"""What a module was called with: positional arguments, and arguments by name."""
Calls = dict[nn.Module, Call]


class GapSums(NamedTuple):
    """Sums over samples and their units; over ranks they are added."""

    gap: Tensor
    """Σ‖ȳ − e‖² less what the noise of ȳ adds to it in the mean; may be below 0."""
    noise: Tensor
    """Σ s²/T, that noise."""
    norm: Tensor
    """Σ‖e‖²."""


def gap_sums(evaluation: Tensor, passes: Iterable[Tensor]) -> GapSums:
    """Compare the mean ȳ of T passes with the evaluation output e, without the bias of a finite T.

    E‖ȳ − e‖² = ‖E y − e‖² + Σ σ²/T, and the sample variance s² of two or more passes estimates σ² without bias.
    """
    # In float32 the square of an output of 1e20 is infinite.
    evaluation = evaluation.double()
    first = torch.zeros_like(evaluation)
    second = torch.zeros_like(first)
    count = 0
    for output in passes:
        # From e, not from 0: where the gap is small, nothing is lost to rounding.
        away = output.double() - evaluation
        first += away
        second += away.square()
        count += 1
    mean = first / count
    variance = (second - count * mean.square()).clamp(min=0) / (count - 1)
    noise = variance.sum() / count
    return GapSums(mean.square().sum() - noise, noise, evaluation.square().sum())


def relative(part: float, norm: float) -> float:
    """Return √(part/norm): 0 where part is not above 0, infinity where only the norm is 0."""
    if part <= 0:
        return 0.0
    return math.sqrt(part / norm) if norm > 0 else math.inf


@final
class InferenceGap(Callback, Charted):
    """Measures ‖E over masks of the output − evaluation output‖ after each validation, on its first batch.

    ``gap/<layer>`` is that of a dropout layer alone, on the input that it gets in evaluation; where a variant has no
    forward of its own (DropConnect), of the stage that it has taken over. ``gap/logits`` is that of the whole network,
    all layers sampling. Both are relative, √(mean ‖ȳ − e‖² / mean ‖e‖²) over samples, with ȳ the mean of
    ``passes`` outputs and what its own noise adds taken off; a negative estimate is shown as 0. ``…/noise`` is that
    noise, √(mean Σs²/T / mean ‖e‖²): a gap below it cannot be told from 0.

    While sampling, BatchNorm is in evaluation and nothing is counted; labels are handed on, so that MalDrop drops too.
    Random state, modes and ``kept`` are then as they were. Under DDP each rank takes its own first batch, and the sums
    are added.

    Source: X. Ma et al., *Dropout with expectation-linear regularization*, 2017, arXiv:1609.08017; A. Casallas,
    *DropAlan: An Input-Weighted Approach to Dropout Regularization*, §IV, claims that the gap of its layers is 0,
    which holds of ``inference="expectation"`` and, if scaled, of the identity. Departure: relative to the output.

    Args:
        passes: T, 2 or more.
        images: how many of the batch to take at most.
        layers: pattern of names of layers (``fnmatch``); the logits are always measured. A warning says so where no
            layer's name matches.
    """

    section = "inference gap"
    charts: ClassVar[Charts] = {"gap": ["gap/(?!.*/noise$).*"], "noise": ["gap/.*/noise"]}

    def __init__(self, passes: int = 16, images: int = 64, layers: str = "*") -> None:
        check_count("passes", passes, least=2)
        check_count("images", images, least=1)
        self.passes = passes
        self.images = images
        self.layers = layers
        self._batch: tuple[Tensor, Tensor] | None = None

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        there = dropout_layers(pl_module)
        if not fnmatch.filter(there, self.layers):
            alone = f"the logits alone: the dropout layers are {', '.join(there)}"
            nothing = "nothing: the network has no dropout layer"
            rank_zero_warn(f"InferenceGap(layers={self.layers!r}) measures {alone if there else nothing}")
        if not trainer.enable_validation:
            rank_zero_warn("InferenceGap measures nothing: it needs validation, which is switched off")

    def on_validation_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, *index: int
    ) -> None:
        if not any(index) and validates_fit(trainer):
            images, target = batch
            self._batch = images[: self.images], target[: self.images]

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._batch is None:
            return
        images, target = self._batch
        self._batch = None
        layers = dropout_layers(pl_module)
        if not layers:
            return
        chosen = {name: layers[name] for name in fnmatch.filter(layers, self.layers)}
        with undisturbed(pl_module), trainer.precision_plugin.val_step_context():
            sums = self._measure(pl_module, chosen, images, target)
        table = torch.stack([torch.stack(part) for part in sums.values()])
        rows = trainer.strategy.reduce(table, reduce_op="sum").tolist()
        values: dict[str, float] = {}
        for name, (gap, noise, norm) in zip(sums, rows, strict=True):
            values[f"gap/{name}"] = relative(gap, norm)
            values[f"gap/{name}/noise"] = relative(noise, norm)
        pl_module.log_dict(values, sync_dist=True)

    def _measure(
        self, pl_module: LightningModule, layers: dict[str, Dropout], images: Tensor, target: Tensor
    ) -> dict[str, GapSums]:
        # A layer, and the stage that it may have taken over.
        pairs = {
            name: (each, pl_module.get_submodule(name.rpartition(".")[0])) for name, each in layers.items()
        }
        with _recorded([module for pair in pairs.values() for module in pair]) as calls:
            logits = pl_module(images, target)
        called = {name: [each for each in pair if each in calls] for name, pair in pairs.items()}
        modules = {name: found[0] for name, found in called.items() if found}
        evaluations = {name: _call(module, calls) for name, module in modules.items()}
        with sampling(pl_module, with_labels=True):
            sums = {
                name: gap_sums(evaluations[name], (_call(module, calls) for _ in range(self.passes)))
                for name, module in modules.items()
            }
            sums["logits"] = gap_sums(logits, (pl_module(images, target) for _ in range(self.passes)))
        return sums


@contextmanager
def _recorded(modules: list[nn.Module]) -> Iterator[Calls]:
    """Record what modules are called with; of several calls, the last."""
    calls: Calls = {}

    def record(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        calls[module] = _copied((args, kwargs))

    handles = [module.register_forward_pre_hook(record, with_kwargs=True) for module in set(modules)]
    try:
        yield calls
    finally:
        for handle in handles:
            handle.remove()


def _copied(call: Call) -> Call:
    args, kwargs = call
    copies = [arg.clone() if isinstance(arg, Tensor) else arg for arg in (*args, *kwargs.values())]
    return tuple(copies[: len(args)]), dict(zip(kwargs, copies[len(args) :], strict=True))


def _call(module: nn.Module, calls: Calls) -> Tensor:
    """Call a module as it was called before; it may write into copies."""
    args, kwargs = _copied(calls[module])
    output: Tensor = module(*args, **kwargs)
    return output
