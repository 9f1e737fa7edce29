"""What a variant is measured in: a layer by itself, or a whole network."""

import platform
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from typing import NamedTuple, final

import torch
import torch.nn.functional as F
from joblib import cpu_count
from torch import Tensor, nn
from torch.optim import SGD, Adam, Optimizer

from dropout_lab.app.benchmark.classes import (
    NONE,
    TORCH,
    Spec,
    build,
    build_dropout,
    explain_errors,
    parse_class,
    parse_specs,
)
from dropout_lab.app.console import print_line
from dropout_lab.app.errors import UserError
from dropout_lab.models.dropout import Dropout
from dropout_lab.models.networks import ImageShape, Network
from dropout_lab.models.optimizers import use_fused

CLASSES = 10
BATCH = 100
LIBRARIES = ("torch", "torchvision", "pytorch-lightning")


@dataclass(frozen=True)
class Setup:
    """How it is measured: in 32 bits, or ``bf16`` or ``16`` under autocast; compiled or not."""

    device: torch.device
    precision: str = "32"
    compile: bool = False

    @property
    def device_name(self) -> str:
        """``cpu``, or what the GPU is called."""
        return "cpu" if self.device.type == "cpu" else torch.cuda.get_device_name(self.device)

    def autocast(self) -> AbstractContextManager[object]:
        """Return the context of forward passes."""
        if self.precision == "32":
            return nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16 if self.precision == "bf16" else torch.float16)

    def __str__(self) -> str:
        """Return all that a time depends on, in a line."""
        words = [
            f"cpu ({platform.machine()})" if self.device.type == "cpu" else self.device_name,
            f"threads of torch: {torch.get_num_threads()} on {cpu_count()} cores",
            *(f"{each} {version(each)}" for each in LIBRARIES),
            f"Python {platform.python_version()}",
            *([f"{self.precision} autocast"] if self.precision != "32" else []),
            *(["compiled"] if self.compile else []),
        ]
        return ", ".join(words)


def choose_device(name: str) -> torch.device:
    """Return the device that ``auto``, ``cpu`` or ``cuda`` stands for here."""
    found = torch.cuda.is_available()
    if name == "cuda" and not found:
        raise UserError("--device cuda: torch sees no GPU here; leave --device out to measure on the CPU")
    return torch.device("cuda" if name != "cpu" and found else "cpu")


class Workload(NamedTuple):
    """A subject with a variant in it, ready to run."""

    module: nn.Module
    step: Callable[[], object]
    """A training step: forward, backward and, of a network, loss and optimizer."""
    evaluate: Callable[[], object]
    tensors: list[Tensor]
    """What lives between steps, besides the module's own: inputs, states of the optimizer."""


@final
class LayerSubject:
    """A dropout layer by itself, on ``(batch_size, units)`` as a ReLU leaves them: half are 0."""

    baseline = TORCH
    """What the figure compares a variant with."""

    def __init__(self, units: int, batch_size: int | None = None) -> None:
        self.title = f"Layer(units={units})"
        self.units = units
        self.batch_size = batch_size or BATCH

    def workload(self, variant: str, setup: Setup) -> Workload:
        """Build the layer and its inputs, or raise UserError: not every variant can be alone."""
        shape = (self.batch_size, self.units)
        units = torch.randn(shape, device=setup.device).relu().requires_grad_()
        upstream = torch.ones(shape, device=setup.device)
        target = torch.randint(CLASSES, (self.batch_size,), device=setup.device)
        # Of the size that torch gives the weights of a linear layer: logits are neither all alike nor far apart.
        weight = torch.randn(CLASSES, self.units, device=setup.device) / self.units**0.5
        layer = build_dropout(variant).to(setup.device)
        # A layer that cannot be alone says so now; a lazy one takes its shape.
        with explain_errors():
            layer(units, target, weight)
        if setup.compile:
            layer.compile()

        def step() -> None:
            units.grad = None
            with setup.autocast():
                out = layer(units, target, weight)
            out.backward(upstream.to(out.dtype))

        @torch.no_grad()
        def evaluate() -> None:
            with setup.autocast():
                layer(units, target, weight)

        return Workload(layer, step, evaluate, [units, upstream, target, weight])


# As the sources train them, but for the rate: weights stay where they are, so that all variants see the same
# activations and the thousandth step is like the first. It costs an optimizer the same.
ADAM, SGD_ = partial(Adam, lr=0.0, weight_decay=1e-3), partial(SGD, lr=0.0)
OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {"MalDropCNN": SGD_, "VGG16": SGD_}
BATCHES = {"VGG16": 32}


@final
class NetworkSubject:
    """A network, on random images of its own shape unless another is given; all variants in it share its weights."""

    baseline = NONE

    def __init__(self, network: str, image_shape: ImageShape | None, batch_size: int | None) -> None:
        self.spec = parse_class(network)
        if "dropout" in self.spec.get("init_args", {}):
            raise UserError(f"{network}: the dropout comes from --variants: leave it out")
        if image_shape is not None:
            self.spec = _with(self.spec, image_shape=list(image_shape))
        parse_specs({"network": _with(self.spec, dropout=parse_class(NONE))})
        self.title = network
        kind = self.spec["class_path"].rpartition(".")[2]
        self.batch_size = batch_size or BATCHES.get(kind, BATCH)
        self._optimizer = OPTIMIZERS.get(kind, ADAM)
        self._weights: dict[str, nn.Parameter] = {}

    def workload(self, variant: str, setup: Setup) -> Workload:
        """Build the network, its optimizer and a batch, or raise UserError."""
        spec = _with(self.spec, dropout=parse_class(variant))
        network: Network = build({"network": spec}).network.to(setup.device)
        self._share(network)
        optimizer = self._optimizer(network.parameters())
        use_fused(optimizer)
        images = torch.randn(self.batch_size, *network.image_shape, device=setup.device)
        target = torch.randint(network.num_classes, (self.batch_size,), device=setup.device)
        if setup.compile:
            network.compile()

        def step() -> None:
            optimizer.zero_grad()
            with setup.autocast():
                loss = F.cross_entropy(network(images, target), target)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()

        @torch.no_grad()
        def evaluate() -> None:
            with setup.autocast():
                network(images)

        step()
        states = (value for state in optimizer.state.values() for value in state.values())
        kept = [images, target, *(each for each in states if isinstance(each, Tensor))]
        return Workload(network, step, evaluate, kept)

    def _share(self, network: Network) -> None:
        """Give a network the weights of the first: twenty of VGG-16 would not fit into memory."""
        for name, parameter in list(network.named_parameters()):
            shared = self._weights.setdefault(name, parameter)
            if shared.shape == parameter.shape:
                owner, _, last = name.rpartition(".")
                setattr(network.get_submodule(owner), last, shared)


Subject = LayerSubject | NetworkSubject


def workloads(subject: Subject, variants: Sequence[str], setup: Setup) -> dict[str, Workload]:
    """Put variants into a subject, the baselines first; what cannot be there is named in a line and left out.

    Raises:
        UserError: none but the baselines can be there, or not even they.
    """
    torch.manual_seed(0)
    ready: dict[str, Workload] = {}
    for variant in variants:
        try:
            ready[variant] = subject.workload(variant, setup)
        except UserError as error:
            if variant in (NONE, TORCH) or len(variants) == 3:
                raise
            print_line(f"left out     {variant} in {subject.title}: {error}")
    if not ready.keys() - {NONE, TORCH} and len(variants) > 2:
        raise UserError(f"none of {', '.join(variants[2:])} can be measured in {subject.title}")
    return ready


def forget_masks(module: nn.Module) -> None:
    """Let dropout layers forget their masks, which otherwise live until the next step."""
    for layer in module.modules():
        if isinstance(layer, Dropout):
            layer.kept = None


def _with(spec: Spec, **arguments: object) -> Spec:
    return {**spec, "init_args": {**spec.get("init_args", {}), **arguments}}
