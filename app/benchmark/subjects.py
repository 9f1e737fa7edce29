"""What a variant is measured in: a layer by itself, or a whole network."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import NamedTuple, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import SGD, Adam, Optimizer

from dropout_lab.app.benchmark.making import built, checked, made, made_dropout
from dropout_lab.app.benchmark.names import NONE, Spec, spec_of
from dropout_lab.app.errors import UserError
from dropout_lab.models.dropout import Dropout
from dropout_lab.models.networks import ImageShape, Network
from dropout_lab.models.optimizers import use_fused

CLASSES = 10
BATCH = 100


@dataclass(frozen=True)
class Setting:
    """How it is measured.

    Attributes:
        device: of all tensors.
        precision: ``32``, or ``bf16`` and ``16`` under autocast.
        compile: whether modules are compiled.
    """

    device: torch.device
    precision: str = "32"
    compile: bool = False

    @property
    def name(self) -> str:
        """What the device is called."""
        return "cpu" if self.device.type == "cpu" else torch.cuda.get_device_name(self.device)

    def autocast(self) -> AbstractContextManager[object]:
        """Return the context of forward passes."""
        if self.precision == "32":
            return nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16 if self.precision == "bf16" else torch.float16)


class Measured(NamedTuple):
    """A subject with a variant in it, ready to run."""

    module: nn.Module
    step: Callable[[], object]
    """A training step: forward, backward and, of a network, loss and optimizer."""
    evaluate: Callable[[], object]
    """A forward pass in evaluation."""
    tensors: list[Tensor]
    """What lives between steps, besides the module's own: inputs, states of the optimizer."""


class Subject(ABC):
    """What a variant is measured in.

    Attributes:
        title: in tables.
        batch_size: samples of a batch.
    """

    title: str
    batch_size: int

    @abstractmethod
    def measured(self, variant: str, setting: Setting) -> Measured:
        """Put a variant in, by its name (:mod:`dropout_lab.app.benchmark.names`).

        Raises:
            UserError: there is no such variant, or it cannot be here.
        """


@final
class Layer(Subject):
    """A dropout layer by itself, on ``(batch_size, units)`` as a ReLU leaves them: half are 0."""

    def __init__(self, units: int, batch_size: int = BATCH) -> None:
        """Keep the sizes."""
        self.title = f"Layer(units={units})"
        self.units = units
        self.batch_size = batch_size

    def measured(self, variant: str, setting: Setting) -> Measured:
        """Make the layer and its inputs."""
        shape = (self.batch_size, self.units)
        units = torch.randn(shape, device=setting.device).relu().requires_grad_()
        upstream = torch.ones(shape, device=setting.device)
        target = torch.randint(CLASSES, (self.batch_size,), device=setting.device)
        # Of the size that torch gives the weights of a linear layer: logits are neither all alike nor far apart.
        weight = torch.randn(CLASSES, self.units, device=setting.device) / self.units**0.5
        layer = made_dropout(variant).to(setting.device)
        # A layer that cannot be alone says so now; a lazy one takes its shape.
        made(lambda: layer(units, target, weight))
        if setting.compile:
            layer.compile()

        def step() -> None:
            units.grad = None
            with setting.autocast():
                out = layer(units, target, weight)
            out.backward(upstream.to(out.dtype))

        @torch.no_grad()
        def evaluate() -> None:
            with setting.autocast():
                layer(units, target, weight)

        return Measured(layer, step, evaluate, [units, upstream, target, weight])


Optimize = Callable[[nn.Module], Optimizer]


def _adam(module: nn.Module) -> Optimizer:
    return Adam(module.parameters(), lr=0.0, weight_decay=1e-3)


def _sgd(module: nn.Module) -> Optimizer:
    return SGD(module.parameters(), lr=0.0)


# As the sources train them, but for the rate: weights stay where they are, so that all variants see the same
# activations and the thousandth step is like the first. It costs an optimizer the same.
OPTIMIZERS: dict[str, Optimize] = {"MalDropCNN": _sgd, "VGG16": _sgd}
BATCHES = {"VGG16": 32}


@final
class Whole(Subject):
    """A network, on random images; all variants in it share its weights.

    Args:
        network: its name (:mod:`dropout_lab.app.benchmark.names`).
        image_shape: channels, height, width; None: its own.
        batch_size: images; None: what is usual for it.

    Raises:
        UserError: there is no such network, or it cannot be made.
    """

    def __init__(self, network: str, image_shape: ImageShape | None, batch_size: int | None) -> None:
        """Read the name."""
        self.spec = spec_of(network)
        if "dropout" in self.spec.get("init_args", {}):
            raise UserError(f"{network}: the dropout comes from --variants: leave it out")
        if image_shape is not None:
            self.spec = _with(self.spec, image_shape=list(image_shape))
        checked("network", _with(self.spec, dropout=spec_of(NONE)))
        self.title = network
        kind = self.spec["class_path"].rpartition(".")[2]
        self.batch_size = batch_size or BATCHES.get(kind, BATCH)
        self._optimize = OPTIMIZERS.get(kind, _adam)
        self._weights: dict[str, nn.Parameter] = {}

    def measured(self, variant: str, setting: Setting) -> Measured:
        """Make the network, its optimizer and a batch."""
        spec = _with(self.spec, dropout=spec_of(variant))
        network: Network = built("network", spec).to(setting.device)
        self._share(network)
        optimizer = self._optimize(network)
        use_fused(optimizer)
        images = torch.randn(self.batch_size, *network.image_shape, device=setting.device)
        target = torch.randint(network.num_classes, (self.batch_size,), device=setting.device)
        if setting.compile:
            network.compile()

        def step() -> None:
            optimizer.zero_grad()
            with setting.autocast():
                loss = F.cross_entropy(network(images, target), target)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()

        @torch.no_grad()
        def evaluate() -> None:
            with setting.autocast():
                network(images)

        step()
        states = [value for state in optimizer.state.values() for value in state.values()]
        return Measured(
            network, step, evaluate, [images, target, *(each for each in states if isinstance(each, Tensor))]
        )

    def _share(self, network: Network) -> None:
        """Let a network have the weights of the first: twenty of VGG-16 would not fit into memory."""
        for name, parameter in list(network.named_parameters()):
            shared = self._weights.setdefault(name, parameter)
            if shared.shape == parameter.shape:
                owner, _, last = name.rpartition(".")
                setattr(network.get_submodule(owner), last, shared)


def forget_masks(module: nn.Module) -> None:
    """Let dropout layers forget their masks, which otherwise live until the next step."""
    for layer in module.modules():
        if isinstance(layer, Dropout):
            layer.kept = None


def _with(spec: Spec, **arguments: object) -> Spec:
    return {**spec, "init_args": {**spec.get("init_args", {}), **arguments}}
