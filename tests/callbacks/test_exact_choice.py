"""ExactChoice: what it measures, by loops; in a fit it changes nothing and a resumed epoch counts on."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dropout_lab.callbacks import ExactChoice
from dropout_lab.callbacks.exact_choice import measured
from dropout_lab.models import ImageClassifier
from dropout_lab.models.dropout import Chain, DropoutFactory, MalDrop, StandardDropout
from tests.callbacks.fits import SaveAfter, fit, small_network

HEAD = "exact_choice/network.head.stage.dropout"


def loss_without(h: np.ndarray, y: int, weight: np.ndarray, dropped: tuple[int, ...]) -> float:
    kept = h.copy()
    kept[list(dropped)] = 0
    logits = weight @ kept
    return float(np.log(np.exp(logits).sum()) - logits[y])


def test_measures_by_loops() -> None:
    units, weight = torch.rand(7, 6, dtype=torch.float64), torch.randn(4, 6, dtype=torch.float64)
    target = torch.randint(4, (7,))
    rho, omega = 2, 0.4
    found = measured(MalDrop(rho, omega), units, target, weight)
    totals: dict[str, list[float]] = {name: [] for name in found}
    subsets = list(itertools.combinations(range(6), rho))
    for h, y in zip(units.numpy(), target.tolist(), strict=True):
        w = weight.numpy()
        losses = {subset: loss_without(h, y, w, subset) for subset in subsets}
        exact = max(losses, key=lambda subset: losses[subset])
        others = w.sum(0) - w[y]
        scores = {
            "contribution": h * w[y] - omega * h * others,
            "loss": np.array([loss_without(h, y, w, (j,)) for j in range(6)]),
        }
        totals["loss/none"].append(loss_without(h, y, w, ()))
        totals["loss/chance"].append(float(np.mean(list(losses.values()))))
        totals["loss/exact"].append(losses[exact])
        for name, score in scores.items():
            chosen = tuple(sorted(np.argsort(-score)[:rho].tolist()))
            totals[f"loss/{name}"].append(losses[chosen])
            totals[f"shared/{name}"].append(len({*chosen} & {*exact}) / rho)
            totals[f"same/{name}"].append(float(chosen == exact))
    for name, values in totals.items():
        assert found[name] == pytest.approx(np.mean(values), rel=1e-9), name


def test_the_exact_choice_is_the_worst_and_single_units_agree() -> None:
    units, weight, target = torch.randn(50, 9), torch.randn(5, 9), torch.randint(5, (50,))
    found = measured(MalDrop(3), units, target, weight)
    assert found["loss/exact"] >= max(
        found[f"loss/{name}"] for name in ("none", "chance", "contribution", "loss")
    )
    alone = measured(MalDrop(1), units, target, weight)
    assert alone["shared/loss"] == alone["same/loss"] == 1


def trained(*callbacks: Any, dropout: DropoutFactory, **trainer: Any) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    model = ImageClassifier(small_network(dropout))
    made = fit(*callbacks, classifier=model, **trainer)
    return {**model.network.state_dict(), **made.logged_metrics}


@pytest.mark.parametrize(
    "dropout",
    [lambda: MalDrop(2), lambda: MalDrop(2, mask="batch"), lambda: Chain([StandardDropout(), MalDrop(2)])],
    ids=["sample", "batch", "chain"],
)
def test_training_is_the_same_and_measured_each_so_many_steps(dropout: DropoutFactory) -> None:
    options: dict[str, Any] = {"limit_train_batches": 4}
    alone = trained(dropout=dropout, **options)
    watched = trained(ExactChoice(every_n_steps=2), dropout=dropout, **options)
    assert all(torch.equal(watched[name], value) for name, value in alone.items() if "." in name)
    measures = {name: value.item() for name, value in watched.items() if name.startswith("exact_choice/")}
    assert len(measures) == 9
    assert all(
        0 <= value <= 1 for name, value in measures.items() if "/s" in name.removeprefix("exact_choice")
    )


@pytest.mark.filterwarnings("ignore:You're resuming from a checkpoint that ended before the epoch ended")
def test_a_resumed_epoch_counts_on(tmp_path: Path) -> None:
    options: dict[str, Any] = {"limit_train_batches": 4}
    whole = trained(ExactChoice(1), SaveAfter(2, tmp_path / "2.ckpt"), dropout=lambda: MalDrop(2), **options)
    again = trained(ExactChoice(1), dropout=lambda: MalDrop(2), ckpt_path=tmp_path / "2.ckpt", **options)
    for name in (name for name in whole if name.startswith(HEAD)):
        torch.testing.assert_close(again[name], whole[name])


def test_nothing_to_measure() -> None:
    with pytest.warns(UserWarning, match="ExactChoice measures nothing: the network has no MalDrop layer"):
        fit(ExactChoice(), network=small_network(StandardDropout), limit_train_batches=1)
    # Nor while ρ is 0.
    made = fit(ExactChoice(), network=small_network(lambda: MalDrop(0)), limit_train_batches=1)
    assert not [name for name in made.logged_metrics if name.startswith("exact_choice")]


def test_a_layer_too_large_is_refused() -> None:
    with pytest.raises(
        ValueError, match="10,400,600 of rho=13 out of 26 units, more than 1,000,000; take a small"
    ):
        fit(ExactChoice(), network=small_network(lambda: MalDrop(13), hidden=(26,)), limit_train_batches=1)


def test_bad_interval() -> None:
    with pytest.raises(ValueError, match="every_n_steps must be a whole number, 1 or more, got 0"):
        ExactChoice(0)
