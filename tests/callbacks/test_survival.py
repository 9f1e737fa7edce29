"""Callbacks that watch: whatever the trainer is told, they run through and do not change what is trained."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning import Callback
from torch import Tensor

from dropout_lab.callbacks import DeadUnits, PassRateTracker, ScaleFactors, Timing
from dropout_lab.models import ImageClassifier
from dropout_lab.models.dropout import NoDropout, StandardDropout
from tests.callbacks.fits import SaveAfter, fit, small_network

WATCHING: list[Callable[[], Callback]] = [PassRateTracker, DeadUnits, ScaleFactors, Timing]
CASES: dict[str, dict[str, Any]] = {
    "plain": {},
    "fast_dev_run": {"fast_dev_run": True},
    "few batches": {"limit_train_batches": 3, "max_epochs": 2},
    "no validation": {"limit_val_batches": 0, "limit_train_batches": 3},
    "validation within an epoch": {"val_check_interval": 2, "limit_train_batches": 5},
    "sanity check": {"num_sanity_val_steps": 1, "limit_train_batches": 3},
    "accumulated gradients": {"accumulate_grad_batches": 3, "limit_train_batches": 5},
    "ends within an epoch": {"max_steps": 5, "max_epochs": None, "limit_train_batches": 3},
}


def trained(*callbacks: Callback, dropout: bool = True, **trainer: Any) -> dict[str, Tensor]:
    classifier = ImageClassifier(small_network(StandardDropout if dropout else NoDropout))
    fit(*callbacks, classifier=classifier, **trainer)
    return {name: value.clone() for name, value in classifier.network.state_dict().items()}


@cache
def untouched(case: str, dropout: bool) -> dict[str, Tensor]:
    torch.manual_seed(0)
    return trained(dropout=dropout, **CASES[case])


def assert_equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert all(torch.equal(one[name], other[name]) for name in other)


@pytest.mark.parametrize("case", CASES)
def test_all_together_train_the_same_weights(case: str) -> None:
    without = untouched(case, dropout=True)
    torch.manual_seed(0)
    assert_equal(trained(*(make() for make in WATCHING), **CASES[case]), without)


# To tell which of them does not.
@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("make", WATCHING)
def test_trains_the_same_weights(make: Callable[[], Callback], case: str) -> None:
    without = untouched(case, dropout=True)
    torch.manual_seed(0)
    assert_equal(trained(make(), **CASES[case]), without)


@pytest.mark.filterwarnings("ignore:PassRateTracker")
@pytest.mark.parametrize("make", WATCHING)
def test_a_network_without_dropout(make: Callable[[], Callback]) -> None:
    without = untouched("plain", dropout=False)
    torch.manual_seed(0)
    assert_equal(trained(make(), dropout=False), without)


@pytest.mark.filterwarnings("ignore:You're resuming from a checkpoint that ended before the epoch ended")
@pytest.mark.parametrize("make", WATCHING)
def test_resumes_at_the_end_and_in_the_midst_of_an_epoch(
    make: Callable[[], Callback], tmp_path: Path
) -> None:
    options: dict[str, Any] = {"max_epochs": 2, "limit_train_batches": 3}
    saves = [SaveAfter(step, tmp_path / f"{step}.ckpt") for step in (2, 3)]
    fit(make(), *saves, **options)
    for step in (2, 3):
        assert fit(make(), ckpt_path=tmp_path / f"{step}.ckpt", **options).global_step == 6
