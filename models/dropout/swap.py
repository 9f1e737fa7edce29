"""Dropout of any module swapped for a variant, in place."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import final

from torch import Tensor, nn

from dropout_lab.models.dropout.base import Dropout, DropoutFactory, weight_of
from dropout_lab.models.dropout.wrap import TORCH_DROPOUTS, made_layers

AFFINE = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
ACTIVATIONS = (
    nn.CELU, nn.ELU, nn.GELU, nn.Hardshrink, nn.Hardsigmoid, nn.Hardswish, nn.Hardtanh, nn.LeakyReLU,
    nn.LogSigmoid, nn.Mish, nn.PReLU, nn.ReLU, nn.RReLU, nn.SELU, nn.SiLU, nn.Sigmoid, nn.Softplus,
    nn.Softshrink, nn.Softsign, nn.Tanh, nn.Tanhshrink, nn.Threshold,
)  # fmt: skip
"""Unit by unit; a pooling or a normalization is none, and a variant that leaves it out would change the network."""

Change = tuple[nn.Module, str, object]
"""A module, the name of one of its attributes, and what to set it to."""


@final
class LabelledHead(nn.Module):
    """A dropout layer, or the stage that it has taken over, and the final linear layer, whose weight it is handed.

    The labels of the next forward are a plain attribute, set by :func:`labels`.
    """

    def __init__(self, dropout: nn.Module, linear: nn.Linear) -> None:
        super().__init__()
        self.dropout = dropout
        self.linear = linear
        self.target: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.linear(self.dropout(x, self.target, weight_of(self.linear, x)))
        return logits


@contextmanager
def labels(module: nn.Module, target: Tensor) -> Iterator[None]:
    """Hand a batch's labels, ``(B,)``, to the layers that :func:`swap_dropout` has put into a module."""
    heads = [each for each in module.modules() if isinstance(each, LabelledHead)]
    for head in heads:
        head.target = target
    try:
        yield
    finally:
        for head in heads:
            head.target = None


def swap_dropout(module: nn.Module, make: DropoutFactory) -> int:
    """Replace every dropout layer of torch.nn in a module, in place, by ``make()``; return how many there were.

    A variant that looks at labels is put before the final linear layer only, if a dropout layer stands right
    before it in one ``nn.Sequential``; other places become :meth:`Dropout.inner`. Train it inside
    ``with labels(module, target)``. A variant that takes over its stage takes the affine map and the activation
    before it in the same ``nn.Sequential``. Dropout that a forward calls as a function stays, and so does what torch's
    attention and recurrent layers drop by their argument ``dropout``, which a warning says. A new layer is in the
    mode, training or evaluation, of the one it replaces, and on the module's device. Where the variant cannot work in
    one of the places, that is a ValueError, and the module is left as it was.
    """
    final_linear = ([None, *(each for each in module.modules() if isinstance(each, nn.Linear))])[-1]
    # Not named_children(), which leaves out a layer that stands in a second place.
    places = [
        (parent, name, child)
        for parent in module.modules()
        for name, child in parent._modules.items()
        if isinstance(child, TORCH_DROPOUTS)
    ]
    _warn_of_own_dropout(module)
    layers = made_layers(make, len(places))
    changes: list[Change] = []
    for (parent, name, replaced), layer in zip(places, layers, strict=True):
        for owner, attribute, new in _changes(parent, name, layer, final_linear):
            if isinstance(new, nn.Module):
                new.train(replaced.training)
            changes.append((owner, attribute, new))
    if places:
        changes += _without_fused_kernels(module)
    heads = [new for *_, new in changes if isinstance(new, LabelledHead)]
    if layers and layers[0].needs_labels and not heads:
        raise ValueError(
            f"no dropout layer of {type(module).__name__} stands right before its final linear layer, where "
            f"{type(layers[0]).__name__} works"
        )
    parameter = next(module.parameters(), None)
    for owner, attribute, new in changes:
        if isinstance(new, nn.Module) and parameter is not None:
            new.to(parameter.device)
        setattr(owner, attribute, new)
    return len(places)


def _warn_of_own_dropout(module: nn.Module) -> None:
    """Warn of what drops without a layer, beside every variant and where there should be no dropout at all."""
    own = [
        name or type(each).__name__
        for name, each in module.named_modules()
        if isinstance(each, nn.MultiheadAttention | nn.RNNBase) and each.dropout > 0
    ]
    if own:
        warnings.warn(
            f"{len(own)} attention or recurrent layer(s) of torch.nn, {own[0]} first, drop by their argument dropout, "
            "which no variant replaces: they go on beside it. Set it to 0 where variants are compared",
            stacklevel=3,
        )


def _without_fused_kernels(module: nn.Module) -> list[Change]:
    """Return what keeps torch's transformers from kernels that would pass the new layers by in evaluation."""
    # The kernel is for activations that it knows; nested tensors are for the kernel.
    blocks = [each for each in module.modules() if isinstance(each, nn.TransformerEncoderLayer)]
    stacks = [each for each in module.modules() if isinstance(each, nn.TransformerEncoder)]
    return [(each, "activation_relu_or_gelu", 0) for each in blocks] + [
        (each, "use_nested_tensor", False) for each in stacks
    ]


def _changes(parent: nn.Module, name: str, layer: Dropout, final_linear: nn.Linear | None) -> list[Change]:
    """Return what to set where, for one place; nothing is changed yet."""
    siblings = list(parent._modules.items()) if isinstance(parent, nn.Sequential) else []
    index = [sibling for sibling, _ in siblings].index(name) if siblings else 0
    after_name, after = siblings[index + 1] if index + 1 < len(siblings) else ("", None)
    head = final_linear if layer.needs_labels and after is final_linear else None
    if layer.needs_labels and head is None:
        layer = layer.inner()
    changes: list[Change] = []
    names, new = [name], None
    if layer.needs_stage and index >= 2:
        (affine_name, affine), (activation_name, activation) = siblings[index - 2 : index]
        if isinstance(affine, AFFINE) and isinstance(activation, ACTIVATIONS):
            names = [affine_name, activation_name, name]
            new = layer.join(affine, activation)
            if "inplace" in vars(activation):
                # It would overwrite the pre-activation, which the variant may read.
                changes.append((activation, "inplace", False))
    if new is None:
        new = layer.alone(f"what is before {name!r} in {type(parent).__name__}")
    if head is not None:
        names, new = [after_name, *names], LabelledHead(new, head)
    first, *rest = names
    return [*changes, (parent, first, new), *((parent, other, nn.Identity()) for other in rest)]
