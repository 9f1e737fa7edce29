"""Which steps' losses reach a logger."""

from typing import Any, final

import pytest
from pytorch_lightning import Trainer
from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities import rank_zero_only

from dropout_lab.datamodules import DigitsDataModule
from dropout_lab.models import ImageClassifier
from tests.callbacks.fits import small_network


@final
class Written(Logger):
    """Notes at which steps a loss came."""

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[int] = []

    @property
    def name(self) -> str:
        return "written"

    @property
    def version(self) -> str:
        return "0"

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        if "train/loss_step" in metrics:
            assert step is not None
            self.steps.append(step)

    @rank_zero_only
    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        pass


def steps_of(model: ImageClassifier, interval: int, **options: Any) -> list[int]:
    written = Written()
    Trainer(
        max_epochs=1,
        accelerator="cpu",
        logger=written,
        log_every_n_steps=interval,
        limit_val_batches=0,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **options,
    ).fit(model, datamodule=DigitsDataModule(train_limit=600, batch_size=100))
    return written.steps


@pytest.mark.parametrize(
    ("interval", "batches_a_step", "steps"),
    [(1, 1, [0, 1, 2, 3, 4, 5]), (2, 1, [1, 3, 5]), (50, 1, []), (0, 1, []), (1, 2, [0, 1, 2])],
)
def test_every_so_many_steps(interval: int, batches_a_step: int, steps: list[int]) -> None:
    model = ImageClassifier(small_network())
    assert steps_of(model, interval, accumulate_grad_batches=batches_a_step) == steps
    assert bool(model.steps.latest) == bool(steps)


def test_a_second_fit_writes_what_the_first_did() -> None:
    model = ImageClassifier(small_network())
    # The last step of the first fit is the first that the second one writes.
    assert steps_of(model, 6) == [5]
    assert steps_of(model, 6) == [5]
