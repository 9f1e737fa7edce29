"""How callbacks reach TensorBoard: its writers, and the page that groups the curves."""

from abc import ABC, abstractmethod
from typing import final

from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.loggers import TensorBoardLogger
from torch.utils.tensorboard import SummaryWriter


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
        """Keep the arguments."""
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
        """Write the page once; curves may come later."""
        for writer in summary_writers(trainer):
            writer.add_custom_scalars(self.layout(trainer.callbacks))  # type: ignore[attr-defined]
