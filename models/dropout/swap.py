"""Dropout of any module swapped for a variant, in place."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import final

from torch import Tensor, nn

from models.dropout.base import Dropout, DropoutFactory
from models.dropout.foreign import TORCH_DROPOUTS, as_dropout

AFFINE = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


@final
class LabelledHead(nn.Module):
    """A dropout layer and the final linear layer after it, in a module whose forward takes no labels.

    The labels of the next forward are a plain attribute, set by :func:`labels`.
    """

    def __init__(self, dropout: Dropout, linear: nn.Linear) -> None:
        """Own both, so that the variant is handed the weight as an argument."""
        super().__init__()
        self.dropout = dropout
        self.linear = linear
        self.target: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Map units to logits."""
        logits: Tensor = self.linear(self.dropout(x, self.target, self.linear.weight))
        return logits


@contextmanager
def labels(module: nn.Module, target: Tensor) -> Iterator[None]:
    """Hand labels to the swapped dropout layers of a module that look at them.

    Args:
        module: what :func:`swap_dropout` was called with.
        target: labels of the batch, ``(B,)``.
    """
    heads = [each for each in module.modules() if isinstance(each, LabelledHead)]
    for head in heads:
        head.target = target
    try:
        yield
    finally:
        for head in heads:
            head.target = None


def swap_dropout(module: nn.Module, make: DropoutFactory) -> int:
    """Replace every dropout layer of torch.nn in a module, in place, by ``make()``.

    A variant that looks at labels is put before the final linear layer only, if a dropout layer stands right
    before it in one ``nn.Sequential``; other places become :meth:`~models.dropout.Dropout.inner`. Train it inside
    ``with labels(module, target)``. A variant that takes over its stage takes the affine map and the activation
    before it in the same ``nn.Sequential``. Dropout that a forward calls as a function stays.

    Args:
        module: any module; its dropout layers are children of some module in it.
        make: makes a layer.

    Returns:
        How many layers were replaced.

    Raises:
        ValueError: the variant cannot work in one of the places; the module is left as it was.
    """
    final_linear = ([None, *(each for each in module.modules() if isinstance(each, nn.Linear))])[-1]
    places = [
        (parent, name)
        for parent in module.modules()
        for name, child in parent.named_children()
        if isinstance(child, TORCH_DROPOUTS)
    ]
    changes: list[tuple[nn.Module, str, nn.Module]] = []
    for parent, name in places:
        changes += _changes(parent, name, as_dropout(make()), final_linear)
    if (
        places
        and as_dropout(make()).needs_labels
        and not any(isinstance(new, LabelledHead) for *_, new in changes)
    ):
        raise ValueError(
            f"no dropout layer of {type(module).__name__} stands right before its final linear layer, where "
            f"{type(as_dropout(make())).__name__} works"
        )
    for parent, name, new in changes:
        setattr(parent, name, new)
    return len(places)


def _changes(
    parent: nn.Module, name: str, layer: Dropout, final_linear: nn.Linear | None
) -> list[tuple[nn.Module, str, nn.Module]]:
    """Return what to set where, for one place."""
    siblings = list(parent.named_children()) if isinstance(parent, nn.Sequential) else []
    index = [sibling for sibling, _ in siblings].index(name) if siblings else 0
    after = siblings[index + 1] if index + 1 < len(siblings) else None
    if layer.needs_labels:
        if after is None or after[1] is not final_linear or final_linear is None:
            return [(parent, name, layer.inner())]
        return [(parent, name, nn.Identity()), (parent, after[0], LabelledHead(layer, final_linear))]
    if layer.needs_stage and index >= 2 and isinstance(siblings[index - 2][1], AFFINE):
        (affine_name, affine), (activation_name, activation) = siblings[index - 2 : index]
        if "inplace" in vars(activation):
            # It would overwrite the pre-activation, which the variant may read.
            vars(activation)["inplace"] = False
        stage = layer.join(affine, activation)
        return [
            (parent, affine_name, stage),
            (parent, activation_name, nn.Identity()),
            (parent, name, nn.Identity()),
        ]
    return [(parent, name, layer.alone(f"what is before {name!r} in {type(parent).__name__}"))]
