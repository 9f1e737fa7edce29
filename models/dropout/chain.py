"""Several variants one after another."""

from typing import final

from torch import Tensor, nn

from dropout_lab.models.dropout.base import Dropout, divergence
from dropout_lab.models.dropout.wrap import as_dropout


@final
class Chain(Dropout):
    """Applies layers one after another: Dropout then Drop-in (Lerner), Dropout then MalDrop or the reverse (Maris).

    Each is handed labels and weight, and is in evaluation what it is by itself. ``kept`` is what all of them kept, or
    Drop-in revived, of those that have a mask. Only the first may be one that takes over its stage (DropAlan,
    Standout, DropConnect).

    Source: H. Lerner, *Drop-in: An Attempted Dropout Variation*, §5.2; J. Maris, I. Pashayev, *Improving
    Generalization of Feed-Forward Classifiers with Malicious Dropout*, §6.

    Args:
        layers: dropout layers, variants or any module with ``forward(x)``.
    """

    def __init__(self, layers: list[nn.Module]) -> None:
        super().__init__()
        if not layers:
            raise ValueError("layers needs at least one dropout layer, got []")
        chain = [as_dropout(layer) for layer in layers]
        for later in chain[1:]:
            if later.needs_stage:
                raise ValueError(
                    f"{type(later).__name__} takes over its stage and must be the first of a Chain's layers"
                )
        self.layers = nn.ModuleList(chain)
        self.needs_labels = any(layer.needs_labels for layer in chain)
        self.needs_stage = chain[0].needs_stage

    def forward(self, x: Tensor, target: Tensor | None = None, weight: Tensor | None = None) -> Tensor:
        kept = None
        for layer in self._all():
            x = layer(x, target, weight)
            # In sampling some may not drop; what they kept before is of another batch.
            if layer.drops and layer.kept is not None:
                kept = layer.kept if kept is None or layer.revives else kept & layer.kept
        if kept is not None:
            self.kept = kept
        return x

    def join(self, affine: nn.Module, activation: nn.Module) -> nn.Module:
        if not self.needs_stage:
            return super().join(affine, activation)
        first, *later = self._all()
        return ChainStage(first.join(affine, activation), later)

    def inner(self) -> Dropout:
        return Chain([layer.inner() for layer in self._all()])

    def set_rate(self, p: float) -> None:
        for layer in self._all():
            layer.set_rate(p)

    def synchronize(self) -> None:
        for layer in self._all():
            layer.synchronize()

    def own(self) -> None:
        super().own()
        for layer in self._all():
            layer.own()

    def kl(self) -> Tensor | None:
        return divergence(self._all())

    def extra_repr(self) -> str:
        return ", ".join(f"{type(layer).__name__}({layer.extra_repr()})" for layer in self._all())

    def _all(self) -> list[Dropout]:
        return [layer for layer in self.layers if isinstance(layer, Dropout)]


@final
class ChainStage(nn.Module):
    """The stage that a chain's first layer has taken over, then the chain's other layers."""

    def __init__(self, first: nn.Module, later: list[Dropout]) -> None:
        super().__init__()
        self.first = first
        self.later = nn.ModuleList(later)

    def forward(self, x: Tensor, target: Tensor | None = None, weight: Tensor | None = None) -> Tensor:
        units: Tensor = self.first(x, target, weight)
        for layer in self.later:
            units = layer(units, target, weight)
        return units
