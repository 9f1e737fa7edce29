"""torchvision's classification models, with torchvision's weights or weights from a file."""

import difflib
import re
from collections.abc import Mapping
from http.client import HTTPException
from pathlib import Path
from pickle import UnpicklingError
from typing import NamedTuple, final

import torch
from torch import Tensor, nn
from torchvision import models
from torchvision.models import WeightsEnum, get_model, get_model_weights, list_models

from dropout_lab.models.networks.base import ImageShape

MODELS: tuple[str, ...] = tuple(list_models(module=models))
"""torchvision's classification models, by name."""

# Auxiliary classifiers are built where they are asked for alone. Inception's transform brings images
# standardized by ImageNet's statistics to the range that its weights were trained on; from scratch it changes nothing
# that the batch normalization after the first convolution does not take back.
_INCEPTION: Mapping[str, object] = {"aux_logits": False, "init_weights": True, "transform_input": True}
_AUXILIARY = ("AuxLogits.", "aux1.", "aux2.")

# Keys of the published DenseNets, which are older than the names of the layers.
_OLD_DENSENET = re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.([12]\.)")


class Published(NamedTuple):
    """A model of torchvision's."""

    module: nn.Module
    last: str
    """Name of its last linear layer, whose outputs are the logits."""
    start: str | None
    """Where its weights come from, in words; None: from chance."""


@final
class GrayAsRGB(nn.Module):
    """Shows a grey image to three channels: a first convolution then acts with the sum of its three kernels."""

    def forward(self, images: Tensor) -> Tensor:
        return images.expand(-1, 3, -1, -1)


def as_rgb(network: str, channels: int) -> list[nn.Module]:
    """Return what stands before a model for RGB images: nothing, or for grey images :class:`GrayAsRGB`."""
    if channels not in (1, 3):
        raise ValueError(f"{network} needs images of 1 or 3 channels, got {channels}")
    return [] if channels == 3 else [GrayAsRGB()]


def published_model(
    name: str,
    image_shape: ImageShape,
    num_classes: int,
    pretrained: bool,
    weights: str | None,
    auxiliary: bool = False,
) -> Published:
    """Build a model of torchvision's, initialized as there, and load weights into it if asked for.

    ``pretrained`` loads torchvision's default weights; ``weights`` loads these instead: the name of some of
    torchvision's, or a file with a state dict in its layout. They keep their last layer if it has ``num_classes``
    outputs; otherwise it stays as initialized. ``auxiliary`` builds GoogLeNet with its auxiliary classifiers.
    """
    if name not in MODELS:
        close = difflib.get_close_matches(name, MODELS, n=1)
        hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(MODELS)}"
        raise ValueError(f"torchvision has no classification model {name!r}; {hint}")
    own = _own_arguments(name, image_shape) | ({"aux_logits": True} if auxiliary else {})
    try:
        module: nn.Module = get_model(name, weights=None, num_classes=num_classes, **own)
    except (AssertionError, ValueError) as error:
        raise ValueError(cannot_take(name, image_shape, error)) from error
    linears = [each for each, layer in module.named_modules() if isinstance(layer, nn.Linear)]
    if not linears:
        raise ValueError(
            f"{name} ends in a convolution; the head needs a last linear layer, whose units dropout acts on: "
            "choose another model, mobilenet_v3_small for a small one"
        )
    start = None
    if pretrained or weights is not None:
        source, state = _state_dict(name, weights or "DEFAULT")
        kept = _load(name, source, module, state, linears[-1])
        start = source if kept else f"{source}; the last layer, of {num_classes} classes, from chance"
    return Published(module, linears[-1], start)


def cannot_take(name: str, image_shape: ImageShape, error: Exception) -> str:
    """Say that a model and images do not go together, in one line."""
    shape = "×".join(map(str, image_shape))
    return (
        f"{name} takes no images of {shape} ({str(error).splitlines()[0]}); "
        "set the data's image_size; 224 suits every model"
    )


def _own_arguments(name: str, image_shape: ImageShape) -> dict[str, object]:
    """Return the arguments that a model has beside the number of classes."""
    transformers = {each: {"image_size": image_shape[1]} for each in MODELS if each.startswith("vit_")}
    maxvit = {"input_size": image_shape[1:]}
    own = {"googlenet": _INCEPTION, "inception_v3": _INCEPTION, "maxvit_t": maxvit, **transformers}
    return dict(own.get(name, {}))


def _state_dict(name: str, weights: str) -> tuple[str, dict[str, Tensor]]:
    """Return where weights come from, in words, and the weights."""
    known: type[WeightsEnum] = get_model_weights(name)
    member = weights.removeprefix(f"{known.__name__}.")
    if member in known.__members__:
        return _fetched(known[member])
    file = Path(weights).expanduser()
    if not file.is_file():
        raise ValueError(
            f"{name} has no weights {weights!r}, and there is no such file; give a file, or one of "
            f"{', '.join(known.__members__)}"
        )
    try:
        # weights_only: nothing in the file is executed.
        state = torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, UnpicklingError, EOFError, ValueError, KeyError) as error:
        raise ValueError(
            f"weights {file}: no file of weights, or damaged ({type(error).__name__})"
        ) from error
    # As Lightning and many training scripts keep it, beside the optimizer's.
    if isinstance(state, dict) and isinstance(state.get("state_dict"), dict):
        state = state["state_dict"]
    if not isinstance(state, dict) or not all(isinstance(each, Tensor) for each in state.values()):
        raise ValueError(f"weights {file}: holds no state dict, tensors by name, as {name}'s are published")
    return str(file), state


def _fetched(weights: WeightsEnum) -> tuple[str, dict[str, Tensor]]:
    title = f"torchvision's {type(weights).__name__}.{weights.name}"
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    try:
        state = weights.get_state_dict(progress=True, check_hash=True, weights_only=True, map_location="cpu")
    except (OSError, HTTPException, RuntimeError, UnpicklingError, EOFError) as error:
        raise ValueError(
            f"{title} could not be fetched ({str(error).splitlines()[0]}): fetch {weights.url} by hand and put it into "
            f"{folder}, or name the file with weights"
        ) from error
    return title, state


def _take_off_prefix(source: str, state: dict[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
    """Take off what wrappers put before the names: ``_orig_mod.`` torch.compile, ``module.`` DDP, ``model.`` Lightning.

    What is beside the model, such as a loss's weights, is left out. The state dict is changed.
    """
    first = next(iter(wanted))
    prefixes = sorted(key.removesuffix(first) for key in state if key.endswith(f".{first}"))
    if first in state or not prefixes:
        return
    if len(prefixes) > 1:
        raise ValueError(
            f"{source} holds {len(prefixes)} models, {', '.join(prefixes)}: save one of them by itself"
        )
    (prefix,) = prefixes
    for key in list(state):
        tensor = state.pop(key)
        if key.startswith(prefix):
            state[key.removeprefix(prefix)] = tensor


def _load(name: str, source: str, module: nn.Module, state: dict[str, Tensor], last: str) -> bool:
    """Load weights; return whether the last layer was among them.

    The state dict is changed and not copied, for it carries versions, by which layers read older files.
    """
    wanted = module.state_dict()
    for key in list(state):
        tensor = state.pop(key)
        if key in wanted or not key.startswith(_AUXILIARY):
            state[_OLD_DENSENET.sub(r"\1\2", key)] = tensor
    _take_off_prefix(source, state, wanted)
    heads = [last, *(f"{key}.fc2" for key in ("aux1", "aux2") if f"{key}.fc2.weight" in wanted)]
    fresh = [head for head in heads if not _as_many_outputs(f"{head}.weight", state, wanted)]
    for head in fresh:
        for key in (f"{head}.weight", f"{head}.bias"):
            state.pop(key, None)
    for key in wanted.keys() & state.keys():
        if wanted[key].shape != state[key].shape:
            there, here = tuple(state[key].shape), tuple(wanted[key].shape)
            raise ValueError(
                f"{source} does not fit {name}: {key} is {there} there and {here} here; give weights of {name}, "
                "and images of the size that they were trained on"
            )
        if not state[key].isfinite().all():
            raise ValueError(f"{source} cannot be used: {key} is not finite; give other weights")
    missing, unexpected = module.load_state_dict(state, strict=False)
    misfits = [f"has no {key}" for key in missing if key.rpartition(".")[0] not in fresh]
    misfits += [f"has {key}, which {name} has not" for key in unexpected]
    if misfits:
        raise ValueError(f"{source} does not fit {name}: it {misfits[0]}; give weights of {name}")
    return last not in fresh


def _as_many_outputs(weight: str, state: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> bool:
    return weight in state and state[weight].shape[:1] == wanted[weight].shape[:1]
