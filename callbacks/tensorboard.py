"""How callbacks reach TensorBoard: its writers, and the page that groups the curves."""

import math
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, final

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.loggers import TensorBoardLogger
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.graph_pb2 import GraphDef
from torch import Tensor, fx, nn
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.writer import FileWriter
from torchvision.utils import make_grid

from dropout_lab.callbacks.best_step import BestStep
from dropout_lab.models.dropout import Dropout


class _Images(nn.Module):
    """A network as a function of images alone: what else its forward takes is for training."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.network(images)
        return logits


class _Tracer(fx.Tracer):
    """Takes layers of torch.nn and dropout variants as single nodes."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, Dropout) or super().is_leaf_module(m, module_qualified_name)


class _Shapes(fx.Interpreter):
    """Runs a traced network and keeps the shape of every tensor."""

    def __init__(self, traced: fx.GraphModule) -> None:
        super().__init__(traced)
        self.found: dict[fx.Node, torch.Size] = {}

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        if isinstance(result, Tensor):
            self.found[n] = result.shape
        return result


def network_graph(network: nn.Module, images: Tensor) -> GraphDef:
    """Trace a network in evaluation and return its graph: a node a layer, grouped by module names.

    ``SummaryWriter.add_graph`` rests on ``torch.jit.trace``, which PyTorch has discontinued; this rests on
    ``torch.fx``.

    Args:
        network: called with images alone; left in the mode it was in.
        images: an example batch, for the shapes.
    """
    training = network.training
    network.eval()
    try:
        root = _Images(network)
        traced = fx.GraphModule(root, _Tracer().trace(root))
        shapes = _Shapes(traced)
        with torch.no_grad():
            shapes.run(images)
    finally:
        network.train(training)
    graph = GraphDef()
    names: dict[fx.Node, str] = {}
    for node in traced.graph.nodes:
        names[node] = _name(node)
        drawn = graph.node.add(name=names[node], op=node.name)
        drawn.input.extend(names[source] for source in node.all_input_nodes)
        if node.op == "call_module":
            layer = traced.get_submodule(str(node.target))
            drawn.op = type(layer).__name__
            drawn.attr["settings"].s = layer.extra_repr().encode()
        if node in shapes.found:
            shape = drawn.attr["_output_shapes"].list.shape.add()
            for size in shapes.found[node]:
                shape.dim.add(size=size)
    return graph


def _name(node: fx.Node) -> str:
    if node.op in ("call_module", "get_attr"):
        return str(node.target).replace(".", "/")
    # An operation belongs to the module in whose forward it stands.
    scopes = list(node.meta.get("nn_module_stack", ()))
    return "/".join([*(scopes[-1].split(".") if scopes else []), node.name])


@final
class NetworkGraph(Callback):
    """Draws the graph of a network when the fit starts.

    A network that ``torch.fx`` cannot follow, with branches that depend on data, is not drawn, and a warning
    says so.

    Args:
        network: the network.
        image_shape: channels, height, width of its images.
    """

    def __init__(self, network: nn.Module, image_shape: tuple[int, int, int]) -> None:
        self.network = network
        self.image_shape = image_shape

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        writers = summary_writers(trainer)
        if not writers:
            return
        dtype = next((parameter.dtype for parameter in self.network.parameters()), torch.float32)
        images = torch.zeros(1, *self.image_shape, device=pl_module.device, dtype=dtype)
        try:
            graph = network_graph(self.network, images)
        except Exception as error:
            reason = str(error).strip().splitlines()
            warnings.warn(
                f"{type(self.network).__name__} is not drawn in TensorBoard: torch.fx cannot follow it "
                f"({type(error).__name__}: {reason[0] if reason else ''})",
                stacklevel=2,
            )
            return
        for writer in writers:
            assert isinstance(writer.file_writer, FileWriter)
            writer.file_writer.add_event(Event(graph_def=graph.SerializeToString()))


VALIDATION, TEST = "hp/val_accuracy", "hp/test_accuracy"
ACCURACY = "val/accuracy"
MEASURED_LATER = ".measured-later"
"""End of the names of event files that are not of the fit."""


@final
class Hyperparameters(Callback):
    """Lists a run in the HParams tab: its settings, and the final accuracies beside them.

    The metrics of a tab must be named when the run begins, so they start as NaN; the validation accuracy is
    written when the fit ends, also by an exception, the test accuracy by :func:`write_test_metrics`.

    Args:
        settings: the run's settings by name.
        best: knows the best validation, whose accuracy is shown.
    """

    def __init__(self, settings: dict[str, str | int | float | bool], best: BestStep) -> None:
        self.settings = settings
        self.best = best

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        for logger in trainer.loggers:
            logger.log_hyperparams(self.settings, {VALIDATION: math.nan, TEST: math.nan})

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.best.step is None:
            return
        for writer in summary_writers(trainer):
            writer.add_scalar(VALIDATION, self.best.metrics[ACCURACY], self.best.step)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self.on_fit_end(trainer, pl_module)
        for logger in trainer.loggers:
            logger.save()


def write_test_metrics(folder: Path, metrics: dict[str, float], step: int) -> None:
    """Add a test to a run's curves and to its row in the HParams tab, at the step of the checkpoint.

    Lightning's own logging of a test knows no step, and puts a point at 0 into every curve.

    Args:
        folder: where the run's events are.
        metrics: by logged name, ``test/accuracy`` among them.
        step: the training step of the weights that were tested.
    """
    with SummaryWriter(str(folder), filename_suffix=MEASURED_LATER) as writer:
        for name, value in metrics.items():
            writer.add_scalar(name, value, step)
        writer.add_scalar(TEST, metrics["test/accuracy"], step)


@final
class FirstBatch(Callback):
    """Draws the first training batch as two image grids: as stored, and as normalized for the network.

    Args:
        to_pixels: returns normalized images ``(B, C, H, W)`` to pixels in [0, 1].
        images: how many to show at most.
    """

    def __init__(self, to_pixels: Callable[[Tensor], Tensor], images: int = 64) -> None:
        self.to_pixels = to_pixels
        self.images = images
        self._drawn = False

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if self._drawn:
            return
        self._drawn = True
        images = batch[0][: self.images].float().cpu()
        for writer in summary_writers(trainer):
            writer.add_image("first batch/as stored", make_grid(self.to_pixels(images)), trainer.global_step)
            seen = make_grid(images, normalize=True, scale_each=True)
            writer.add_image("first batch/as the network sees it", seen, trainer.global_step)


def summary_writers(trainer: Trainer) -> list[SummaryWriter]:
    """Return the writers of this process: none without TensorBoard, and none on ranks above 0."""
    if not trainer.is_global_zero:
        return []
    return [logger.experiment for logger in trainer.loggers if isinstance(logger, TensorBoardLogger)]


def log_scalars(trainer: Trainer, values: dict[str, float]) -> None:
    """Log numbers at the current step, to every logger; figures of an epoch go through the module's ``log_dict``."""
    if values:
        for logger in trainer.loggers:
            logger.log_metrics(values, step=trainer.global_step)


Charts = dict[str, list[str]]
"""Titles of charts, and for each the regular expressions of the curves that it shows."""


class Charted(ABC):
    """A callback whose curves have a place on TensorBoard's page of custom scalars.

    Attributes:
        section: heading of its charts.
    """

    section: str

    @abstractmethod
    def charts(self) -> Charts:
        """Return what to draw, by title."""


@final
class ScalarLayout(Callback):
    """Groups the curves of a run on TensorBoard's page of custom scalars: learning first, then each callback's.

    Args:
        charts: the curves of every run, by section and title.
    """

    def __init__(self, charts: dict[str, Charts]) -> None:
        self.charts = charts

    def layout(self, callbacks: list[Callback]) -> dict[str, dict[str, list[object]]]:
        """Return the page: section, title, kind and curves."""
        sections: dict[str, Charts] = {name: dict(charts) for name, charts in self.charts.items()}
        for callback in callbacks:
            if isinstance(callback, Charted):
                sections.setdefault(callback.section, {}).update(callback.charts())
        return {
            name: {title: ["Multiline", list(tags)] for title, tags in charts.items()}
            for name, charts in sections.items()
        }

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        for writer in summary_writers(trainer):
            writer.add_custom_scalars(self.layout(trainer.callbacks))  # type: ignore[attr-defined]


@final
class TensorBoardPages(Callback):
    """Calls the four that fill HParams, custom scalars, graph and first images, when they have something to do.

    Each callback in the trainer's list is called at seven hooks of every step, though its work is done after the first:
    the three less save 40 µs a step.

    Args:
        hyperparameters: fills the HParams tab.
        layout: groups the curves.
        graph: draws the network.
        first_batch: draws the first images.
        written: all but the end is there already, as the run goes on where it was interrupted.
    """

    def __init__(
        self,
        hyperparameters: Hyperparameters,
        layout: ScalarLayout,
        graph: NetworkGraph,
        first_batch: FirstBatch,
        written: bool = False,
    ) -> None:
        self.hyperparameters = hyperparameters
        self.layout = layout
        self.graph = graph
        self.first_batch = first_batch
        self.written = written

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.written:
            return
        self.hyperparameters.on_fit_start(trainer, pl_module)
        self.layout.on_fit_start(trainer, pl_module)
        self.graph.on_fit_start(trainer, pl_module)

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if not self.written:
            self.first_batch.on_train_batch_start(trainer, pl_module, batch, batch_idx)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.hyperparameters.on_fit_end(trainer, pl_module)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self.hyperparameters.on_exception(trainer, pl_module, exception)
