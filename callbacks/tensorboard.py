"""Where callbacks find TensorBoard's writer."""

from pytorch_lightning import Trainer
from pytorch_lightning.loggers import TensorBoardLogger
from torch.utils.tensorboard import SummaryWriter


def summary_writers(trainer: Trainer) -> list[SummaryWriter]:
    """Return the writers of this process: none without TensorBoard, and none on ranks above 0."""
    if not trainer.is_global_zero:
        return []
    return [logger.experiment for logger in trainer.loggers if isinstance(logger, TensorBoardLogger)]
