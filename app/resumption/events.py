"""TensorBoard's event files of a run that is continued: cut to what the checkpoint knows of."""

from pathlib import Path

from pytorch_lightning import Trainer
from pytorch_lightning.loggers import TensorBoardLogger

from callbacks import MEASURED_LATER

PATTERN = "events.out.tfevents.*"


def written(trainer: Trainer, folder: Path) -> dict[str, int]:
    """Return how many bytes each of a run's event files has, once all that was logged is in them."""
    for logger in trainer.loggers:
        if isinstance(logger, TensorBoardLogger):
            logger.experiment.flush()
    return {file.name: file.stat().st_size for file in _of_the_fit(folder)}


def cut(folder: Path, sizes: dict[str, int]) -> None:
    """Take back what was logged after a checkpoint; what ``test`` has written stays.

    Args:
        folder: the run's.
        sizes: of :func:`written` at the checkpoint.
    """
    for file in _of_the_fit(folder):
        if file.name not in sizes:
            file.unlink()
        elif file.stat().st_size > sizes[file.name]:
            with file.open("r+b") as stream:
                stream.truncate(sizes[file.name])


def _of_the_fit(folder: Path) -> list[Path]:
    return [file for file in folder.glob(PATTERN) if not file.name.endswith(MEASURED_LATER)]
