"""MalDrop, on units and on channels."""

from typing import Literal, final

from torch import Tensor

from dropout_lab.models.dropout.mal_drop_base import MaliciousDropout, Omega
from dropout_lab.models.dropout.scores import best_subsets, contributions, losses_without
from dropout_lab.models.dropout.topk import largest, units_of

SCORES = ("contribution", "loss", "exact")


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

    Raises:
        ValueError: an argument is out of range.
    """

    def __init__(
        self,
        rho: int,
        omega: Omega = "balanced",
        score: Literal["contribution", "loss", "exact"] = "contribution",
    ) -> None:
        """Check the arguments."""
        super().__init__(rho, omega)
        if score not in SCORES:
            raise ValueError(f"score must be one of {', '.join(SCORES)}, got {score!r}")
        self.score = score

    @staticmethod
    def shape_of_sets(x: Tensor) -> tuple[int, ...]:
        """Return the shape of a sample: each unit is a set."""
        return tuple(x.shape[1:])

    def choose(self, units: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        """Mark the units to drop, bool ``(B, D)``."""
        units = units_of(units)
        if self.score == "exact":
            return best_subsets(units, target, weight, self.rho)
        if self.score == "loss":
            scores = losses_without(units, target, weight)
        else:
            scores = contributions(units, target, weight, self.balance(len(weight)))
        return largest(scores, self._rho, self.drop_count)

    def extra_repr(self) -> str:
        """Show the arguments."""
        return f"rho={self.rho}, omega={self.omega!r}, score={self.score!r}"


@final
class SpatialMalDrop(MaliciousDropout):
    """MalDrop on channels: drops the ``rho`` channels of each sample with the highest V summed over H × W.

    Where x is ``(B, D)`` each unit is a channel. In evaluation x · pass rate, per channel.

    Source: J. Maris, I. Pashayev, *Improving Generalization of Feed-Forward Classifiers with Malicious Dropout*, §6,
    where it is future work.

    Args:
        rho: channels to drop of each sample, 0 to C; settable at any time.
        omega: ω, weight of the other classes; ``"balanced"`` is 1/(classes − 1).

    Raises:
        ValueError: an argument is out of range.
    """

    def __init__(self, rho: int, omega: Omega = "balanced") -> None:
        """Check the arguments."""
        super().__init__(rho, omega)

    @staticmethod
    def shape_of_sets(x: Tensor) -> tuple[int, ...]:
        """Return (C, 1, 1), or (D,): each channel is a set."""
        return x.shape[1], *(1 for _ in x.shape[2:])

    def choose(self, units: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        """Mark the channels to drop, bool ``(B, C)``."""
        scores = contributions(units_of(units), target, weight, self.balance(len(weight)))
        return largest(scores.view(len(units), units.shape[1], -1).sum(2), self._rho, self.drop_count)

    def extra_repr(self) -> str:
        """Show the arguments."""
        return f"rho={self.rho}, omega={self.omega!r}"
