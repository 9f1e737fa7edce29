"""How callbacks reach TensorBoard, and what stands there beside the curves."""

import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, final

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.loggers import TensorBoardLogger
from tensorboard.compat.proto.event_pb2 import Event
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.writer import FileWriter
from torchvision.utils import make_grid

from dropout_lab.callbacks.best_step import BestStep
from dropout_lab.callbacks.network_graph import network_graph

VALIDATION, TEST = "hp/val_accuracy", "hp/test_accuracy"
ACCURACY = "val/accuracy"
MEASURED_LATER = ".measured-later"
"""End of the names of event files that are not of the fit."""

FIRST_IMAGES = 64

Charts = dict[str, list[str]]
"""Titles of charts, and for each the regular expressions of the curves that it shows."""


class Charted:
    """A callback whose curves have a place on TensorBoard's page of custom scalars, under the heading ``section``."""

    section: ClassVar[str]
    charts: ClassVar[Charts]


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


def write_test_metrics(folder: Path, metrics: dict[str, float], step: int) -> None:
    """Add a test, ``test/accuracy`` among it, to a run's curves and its row in the HParams tab, at the weights' step.

    Lightning's own logging of a test knows no step, and puts a point at 0 into every curve.
    """
    with SummaryWriter(str(folder), filename_suffix=MEASURED_LATER) as writer:
        for name, value in metrics.items():
            writer.add_scalar(name, value, step)
        writer.add_scalar(TEST, metrics["test/accuracy"], step)


@final
class TensorBoardPages(Callback):
    """Fills the pages HParams, custom scalars, graph and images; one callback, as each costs 13 µs a step.

    HParams lists the run's settings, and the final accuracies beside them. A tab's metrics must be named when the run
    begins, so they start as NaN; that of validation is written when the fit ends, also by an exception, that of the
    test by :func:`write_test_metrics`. Custom scalars group the curves: learning first, then each callback's. A network
    that ``torch.fx`` cannot follow, with branches that depend on data, has no graph, and a warning says so. The images
    are the first batch's, as stored and as normalized.

    Args:
        settings: the run's, by name.
        best: knows the best validation.
        charts: the curves of every run, by section and title.
        network: to be drawn.
        image_shape: channels, height, width of its images.
        to_pixels: returns normalized images ``(B, C, H, W)`` to pixels in [0, 1].
        written: all but the end is there already, as the run goes on where it was interrupted.
    """

    def __init__(
        self,
        settings: dict[str, str | int | float | bool],
        best: BestStep,
        charts: dict[str, Charts],
        network: nn.Module,
        image_shape: tuple[int, int, int],
        to_pixels: Callable[[Tensor], Tensor],
        written: bool = False,
    ) -> None:
        self.settings = settings
        self.best = best
        self.charts = charts
        self.network = network
        self.image_shape = image_shape
        self.to_pixels = to_pixels
        self.written = written
        self._drawn = written

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.written:
            return
        for logger in trainer.loggers:
            logger.log_hyperparams(self.settings, {VALIDATION: math.nan, TEST: math.nan})
        for writer in summary_writers(trainer):
            writer.add_custom_scalars(self._layout(trainer.callbacks))  # type: ignore[attr-defined]
            self._draw_graph(writer, pl_module.device)

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if self._drawn:
            return
        self._drawn = True
        images = batch[0][:FIRST_IMAGES].float().cpu()
        for writer in summary_writers(trainer):
            writer.add_image("first batch/as stored", make_grid(self.to_pixels(images)), trainer.global_step)
            seen = make_grid(images, normalize=True, scale_each=True)
            writer.add_image("first batch/as the network sees it", seen, trainer.global_step)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.best.step is None:
            return
        for writer in summary_writers(trainer):
            writer.add_scalar(VALIDATION, self.best.metrics[ACCURACY], self.best.step)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self.on_fit_end(trainer, pl_module)
        # Loggers save hparams.yaml at the end alone, to which this run does not come.
        for logger in trainer.loggers:
            logger.save()

    def _layout(self, callbacks: list[Callback]) -> dict[str, dict[str, list[object]]]:
        """Return the page of custom scalars: section, title, kind and curves."""
        sections = {name: dict(charts) for name, charts in self.charts.items()}
        for callback in callbacks:
            if isinstance(callback, Charted):
                sections.setdefault(callback.section, {}).update(callback.charts)
        return {
            name: {title: ["Multiline", list(tags)] for title, tags in charts.items()}
            for name, charts in sections.items()
        }

    def _draw_graph(self, writer: SummaryWriter, device: torch.device) -> None:
        dtype = next((parameter.dtype for parameter in self.network.parameters()), torch.float32)
        images = torch.zeros(1, *self.image_shape, device=device, dtype=dtype)
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
        assert isinstance(writer.file_writer, FileWriter)
        writer.file_writer.add_event(Event(graph_def=graph.SerializeToString()))
