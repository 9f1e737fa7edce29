"""MalDrop, on units and on channels: the units that help most with a sample are those it has to do without."""

import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, Literal, final

import torch
from torch import Tensor, distributed
from torch.nn.modules.lazy import LazyModuleMixin

from dropout_lab.models.dropout.base import CountDropout, Dropout, check_choice
from dropout_lab.models.dropout.none import NoDropout
from dropout_lab.models.dropout.numerics import as_numbers, largest, units_of

Omega = float | Literal["balanced"]
Score = Literal["contribution", "loss", "exact"]
Mask = Literal["sample", "batch"]

MOST_SUBSETS = 10**6

# Numbers held at a time while the losses of units or subsets are computed: 1 MiB of float32, which stays in a cache; in
# compiled code, which holds none of them, as many as keep its graph small.
CHUNK, COMPILED_CHUNK = 2**18, 2**24

# Of base 2: below it numbers are denormal, which take forty times as long, and are lost in a sum that holds a 1 anyway.
LEAST_POWER = -100.0


class MaliciousDropout(LazyModuleMixin, CountDropout, ABC):
    """Sets the ``rho`` highest-scoring sets of units of each sample to 0; kept ones are not scaled.

    With ``mask="batch"`` scores are summed over the batch, and all of its samples lose the same sets; under DDP over
    each rank's own part of it, so that ranks have masks of their own.

    In evaluation each set is multiplied by its pass rate: the mean of ``kept`` over the training samples since
    the last :meth:`reset_pass_rate`, 1 before any; over the samples of all ranks since :meth:`synchronize`. The state
    dict has it as ``pass_rate``, and as ``pass_samples`` of how many. Counts are plain tensors, no buffers: DDP would
    overwrite every rank's with rank 0's. The first input tells how many sets there are.
    """

    needs_labels = True
    shown = "rho={0.rho}, omega={0.omega!r}, mask={0.mask!r}"
    _dropped: Tensor | None = None

    def __init__(self, rho: int, omega: Omega = "balanced", mask: Mask = "sample") -> None:
        super().__init__(rho)
        check_choice("mask", mask, Mask)
        if omega != "balanced" and (isinstance(omega, str) or not 0 <= omega < math.inf):
            raise ValueError(f"omega must be 'balanced' or a number of 0 or more, got {omega!r}")
        self.omega = omega
        self.mask = mask
        # On the CPU until there is an input: where a default device holds no values, they would have none.
        self._samples = torch.zeros((), dtype=torch.float64, device="cpu")
        # What all ranks had counted when they last agreed, drops and then samples; the rest is this rank's own.
        self._agreed: Tensor | None = None

    @staticmethod
    @abstractmethod
    def shape_of_sets(x: Tensor) -> tuple[int, ...]:
        """Return the shape, less the batch, in which a number for each set of units broadcasts to x."""

    @property
    def units(self) -> int | None:
        return None if self._dropped is None else len(self._dropped)

    @abstractmethod
    def choose(self, units: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        """Mark the sets to drop, bool ``(B, sets)``, or ``(1, sets)`` where one mask is for the batch."""

    def highest(self, scores: Tensor) -> Tensor:
        """Mark the ``rho`` highest of scores ``(B, sets)``, sample by sample or summed over the batch."""
        scores = scores.sum(0, keepdim=True) if self.mask == "batch" else scores
        return largest(scores, self._rho, self.drop_count)

    @property
    def pass_rate(self) -> Tensor:
        """Share of training samples for which each set passed, ``(sets,)``."""
        if self._dropped is None:
            return torch.ones(())
        return (1 - self._dropped / self._samples.clamp(min=1)).float()

    def reset_pass_rate(self) -> None:
        if self._dropped is not None:
            self._dropped = torch.zeros_like(self._dropped)
        self._samples = torch.zeros_like(self._samples)
        self._agreed = None

    def synchronize(self) -> None:
        """Add up what the ranks have counted since they last did; all of them must call it."""
        if self._dropped is None or not (distributed.is_available() and distributed.is_initialized()):
            return
        # Counts are no buffers and stay behind when the module moves; NCCL adds up on its GPU alone.
        counted = self._counted().to(self.drop_count.device)
        agreed = torch.zeros_like(counted) if self._agreed is None else self._agreed.to(counted.device)
        own = counted - agreed
        distributed.all_reduce(own)
        self._agreed = agreed + own
        self._dropped, self._samples = self._agreed[:-1], self._agreed[-1]

    def own(self) -> None:
        super().own()
        if self._dropped is not None:
            self._dropped, self._samples = self._dropped.clone(), self._samples.clone()

    def _counted(self) -> Tensor:
        assert self._dropped is not None, "asked for once there is something to count"
        return torch.cat([self._dropped, self._samples.to(self._dropped.device).view(1)])

    def has_uninitialized_params(self) -> bool:
        return self._dropped is None

    def initialize_parameters(self, x: Tensor, target: object = None, weight: object = None) -> None:
        sets = math.prod(self.shape_of_sets(x))
        if self._dropped is None:
            self._dropped = torch.zeros(sets, dtype=torch.float64, device=x.device)
            self._samples = self._samples.to(x.device)
        elif len(self._dropped) != sets:
            raise ValueError(f"pass_rate is of {len(self._dropped)} sets of units, and x has {sets}")
        self.check_rho(self.rho)

    def inner(self) -> Dropout:
        # The final layer's weight says nothing about units that it does not read.
        return NoDropout()

    def forward(self, x: Tensor, target: Tensor | None = None, weight: Tensor | None = None) -> Tensor:
        if not self.drops:
            return x * self.pass_rate.to(x).view(self.shape_of_sets(x))
        self.kept = kept = self.passing(x, target, weight)
        return x * as_numbers(kept, x.dtype)

    def passing(self, x: Tensor, target: Tensor | None, weight: Tensor | None) -> Tensor:
        """Return which sets of units pass, of a shape that broadcasts to x, and count them in training."""
        if target is None or weight is None:
            raise ValueError(
                f"{type(self).__name__} needs labels and the weight of the next linear layer in training: call "
                "network(images, target); elsewhere use dropout_lab.models.networks.Head, or swap_dropout and "
                "dropout_lab.models.dropout.labels"
            )
        with torch.no_grad():
            wide = self.width(x)
            if weight.shape[1] != wide:
                raise ValueError(
                    f"weight must be (classes, {wide}), as wide as its input, got {tuple(weight.shape)}"
                )
            with torch.autocast(x.device.type, enabled=False):
                precise = torch.float64 if x.dtype == torch.float64 else torch.float32
                dropped = self.choose(x.detach(), target, weight.detach().to(precise))
            if self.training:
                assert self._dropped is not None, "LazyModuleMixin initializes before the first forward"
                drops = as_numbers(dropped, torch.float32).sum(0) * (len(x) // len(dropped))
                self._dropped = self._dropped.to(x.device) + drops
                self._samples = self._samples.to(x.device) + len(x)
        return ~dropped.view(len(dropped), *self.shape_of_sets(x))

    @staticmethod
    def width(x: Tensor) -> int:
        """Return how many inputs the next linear layer has."""
        return math.prod(x.shape[1:])

    def balance(self, classes: int) -> float:
        """Return ω: the number given, or 1/(C − 1)."""
        return 1 / max(classes - 1, 1) if isinstance(self.omega, str) else self.omega

    def check_rho(self, rho: int) -> None:
        if self._dropped is not None and rho > len(self._dropped):
            raise ValueError(f"rho must be at most {len(self._dropped)}, what there is to drop, got {rho}")

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        destination[prefix + "pass_rate"] = self.pass_rate
        destination[prefix + "pass_samples"] = self._samples.clone()

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        _, _, missing_keys, _, error_msgs = rest
        keys = [prefix + "pass_rate", prefix + "pass_samples"]
        missing_keys += [key for key in keys if key not in state_dict]
        rate, samples = (state_dict.pop(key, None) for key in keys)
        if rate is not None and samples is not None:
            if rate.dim() > 0 and self._dropped is not None and len(rate) != len(self._dropped):
                here = len(self._dropped)
                error_msgs.append(f"{keys[0]} is of {len(rate)} sets of units, here there are {here}")
            elif rate.dim() > 0:
                self._samples = samples.double().clone()
                # A whole number, which the rate gives back but for its rounding.
                self._dropped = ((1 - rate.double()) * self._samples).round()
                self._agreed = self._counted()
            else:
                self.reset_pass_rate()
        super()._load_from_state_dict(state_dict, prefix, *rest)


@final
class MalDrop(MaliciousDropout):
    """Drops the ``rho`` units of each sample with the highest V, those that help its classification most.

    ``score="contribution"`` is the source's V_j = H_j·W[y, j] − ω·H_j·Σ_{k≠y} W[k, j], for one gather and one
    product, where the paper paid a factor of two; ``"loss"`` is the exact cross-entropy with unit j alone set
    to 0; ``"exact"`` tries every subset of ρ units, to judge the other two on small layers. Kept units are not
    scaled; in evaluation x · pass rate, per unit.

    Source: J. Maris, I. Pashayev, *Improving Generalization of Feed-Forward Classifiers with Malicious Dropout*, §4.
    Departures: the paper's "D − 1" that balances ω is read as the number of classes less one; its loss includes
    the bias, which this layer is not handed.

    Args:
        rho: units to drop of each sample, 0 to D; settable at any time.
        omega: ω, weight of the other classes; ``"balanced"`` is 1/(C − 1).
        score: ``"contribution"``, ``"loss"`` or ``"exact"``.
        mask: ``"sample"``, ρ units of each sample as in the source, or ``"batch"``, the ρ units whose score summed over
            the batch is highest, for all of its samples.
    """

    shown = "rho={0.rho}, omega={0.omega!r}, score={0.score!r}, mask={0.mask!r}"

    def __init__(
        self, rho: int, omega: Omega = "balanced", score: Score = "contribution", mask: Mask = "sample"
    ) -> None:
        super().__init__(rho, omega, mask)
        check_choice("score", score, Score)
        self.score = score

    @staticmethod
    def shape_of_sets(x: Tensor) -> tuple[int, ...]:
        return tuple(x.shape[1:])

    def choose(self, units: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        return self.choose_by(self.score, units_of(units), target, weight)

    def choose_by(self, score: Score, units: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        """Mark the units ``(B, D)`` that this layer drops by a score of its own or another."""
        if score == "exact":
            return best_subsets(units, target, weight, self.rho, self.mask)
        if score == "loss":
            return self.highest(losses_without(units, target, weight))
        return self.highest(contributions(units, target, weight, self.balance(len(weight))))


@final
class SpatialMalDrop(MaliciousDropout):
    """MalDrop on channels: drops the ``rho`` channels of each sample with the highest V summed over H × W.

    Where x is ``(B, D)`` each unit is a channel. In evaluation x · pass rate, per channel.

    Source: that of :class:`MalDrop`, §6, where it is future work.

    Args:
        rho: channels to drop of each sample, 0 to C; settable at any time.
        omega: ω, weight of the other classes; ``"balanced"`` is 1/(classes − 1).
        mask: ``"sample"``, or ``"batch"`` for the ρ channels whose V summed over the batch is highest.
    """

    @staticmethod
    def shape_of_sets(x: Tensor) -> tuple[int, ...]:
        return x.shape[1], *(1 for _ in x.shape[2:])

    def choose(self, units: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        scores = contributions(units_of(units), target, weight, self.balance(len(weight)))
        return self.highest(scores.view(len(units), units.shape[1], -1).sum(2))


def contributions(units: Tensor, target: Tensor, weight: Tensor, omega: float) -> Tensor:
    """Return V_j = H_j·W[y, j] − ω·H_j·Σ_{k≠y} W[k, j], ``(B, D)``, in O(B·D).

    It is computed as H ∘ ((1 + ω)·W[y] − ω·ΣₖW[k]).
    """
    return units * advantages(target, weight, omega)


def advantages(target: Tensor, weight: Tensor, omega: float) -> Tensor:
    """Return by how much each unit speaks for the right class, (1 + ω)·W[y] − ω·ΣₖW[k], ``(B, D)``."""
    return (1 + omega) * weight[target] - omega * weight.sum(0)


def losses_without(units: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Return the cross-entropy of each sample with each unit alone set to 0, ``(B, D)``.

    The logits are H·Wᵀ: the layer is handed no bias.
    """
    # To base 2, whose powers take a third of the time.
    weight = weight * math.log2(math.e)
    chunk = COMPILED_CHUNK if torch.compiler.is_compiling() else CHUNK
    rows = max(1, chunk // (units.shape[1] * len(weight)))
    parts = []
    for h, y in zip(units.split(rows), target.split(rows), strict=True):  # type: ignore[no-untyped-call]
        whole = h @ weight.t()
        logits = whole.unsqueeze(2) - h.unsqueeze(1) * weight
        top = logits.amax(1, keepdim=True)
        total = (logits - top).clamp_(min=LEAST_POWER).exp2_().sum(1)
        own = whole.gather(1, y.unsqueeze(1)) - h * weight[y]
        parts.append(total.log2_() + (top.squeeze(1) - own))
    # Logits beyond the dtype's range tell nothing.
    return torch.cat(parts).mul_(math.log(2)).nan_to_num(nan=0.0)


def best_subsets(units: Tensor, target: Tensor, weight: Tensor, rho: int, mask: Mask = "sample") -> Tensor:
    """Mark the ``rho`` units whose joint loss is highest, by trying all subsets.

    Bool ``(B, D)``, or with ``mask="batch"`` ``(1, D)``, of the subset whose loss summed over the batch is highest.
    """
    subsets = all_subsets(units.shape[1], rho, units.device)
    losses = losses_of_subsets(units, target, weight, subsets)
    if mask == "batch":
        return subsets[torch.stack([part.sum(0) for part in losses]).sum(0).argmax(0, keepdim=True)]
    return subsets[torch.cat([part.argmax(1) for part in losses])]


def all_subsets(size: int, rho: int, device: torch.device) -> Tensor:
    """Mark ``rho`` of so many units in every way there is, bool ``(subsets, size)``."""
    if math.comb(size, rho) > MOST_SUBSETS:
        raise ValueError(
            f"every subset is tried, and there are {math.comb(size, rho):,} of rho={rho} out of {size} units, more "
            f"than {MOST_SUBSETS:,}; take a smaller rho or layer, or do without the exact choice"
        )
    # Not torch.combinations, which looks at size**rho of them.
    chosen = torch.tensor(list(itertools.combinations(range(size), rho)), dtype=torch.int64, device=device)
    return torch.zeros(len(chosen), size, dtype=torch.bool, device=device).scatter_(1, chosen, True)


def losses_of_subsets(units: Tensor, target: Tensor, weight: Tensor, subsets: Tensor) -> Iterator[Tensor]:
    """Yield the cross-entropy of some samples at a time with each subset set to 0, ``(samples, subsets)``.

    The logits are H·Wᵀ, as in :func:`losses_without`.
    """
    kept = as_numbers(~subsets, units.dtype)
    chunk = COMPILED_CHUNK if torch.compiler.is_compiling() else CHUNK
    rows = max(1, chunk // (len(kept) * len(weight)))
    for h, y in zip(units.split(rows), target.split(rows), strict=True):  # type: ignore[no-untyped-call]
        logits = kept @ (h.unsqueeze(2) * weight.t())
        own = logits.gather(2, y.view(-1, 1, 1).expand(-1, len(kept), 1))
        yield logits.logsumexp(2) - own.squeeze(2)
