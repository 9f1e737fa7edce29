"""Where a fit can be left: every process must say the same, or one would wait for the others for ever."""

import math
from types import SimpleNamespace
from typing import Any

import pytest
from torch import distributed

from dropout_lab.app.run.autosave import can_leave
from dropout_lab.datamodules import DigitsDataModule


def trainer(data: DigitsDataModule, done: int) -> Any:
    """Stand for a trainer that has done so many batches of an epoch."""
    progress = SimpleNamespace(current=SimpleNamespace(completed=done))
    return SimpleNamespace(
        train_dataloader=data.train_dataloader(),
        fit_loop=SimpleNamespace(epoch_loop=SimpleNamespace(batch_progress=progress)),
        accumulate_grad_batches=1,
        check_val_every_n_epoch=1,
        val_check_batch=math.inf,
    )


@pytest.mark.parametrize(
    ("images", "leaves"),
    [
        (80, [True, True]),
        # The last batch of the first process is whole, that of the second is not.
        (79, [True, False]),
        (70, [True, False]),
    ],
)
def test_each_process_can_leave_where_all_can(
    images: int, leaves: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Two batches of each process.
    data = DigitsDataModule(batch_size=20, train_limit=images)
    data.prepare_data()
    monkeypatch.setattr(distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(distributed, "get_world_size", lambda: 2)
    for rank in range(2):
        monkeypatch.setattr(distributed, "get_rank", lambda rank=rank: rank)
        assert [can_leave(trainer(data, done)) for done in (0, 1)] == leaves
