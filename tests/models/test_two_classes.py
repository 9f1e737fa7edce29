"""Metrics of two classes against scikit-learn."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn import metrics as reference
from torch import Tensor

from dropout_lab.models.metrics import TWO_CLASS_NAMES, SplitMetrics, TwoClassMetrics


def computed(logits: Tensor, target: Tensor, batch: int = 7) -> dict[str, float]:
    metrics = SplitMetrics(2)
    for part, labels in zip(torch.split(logits, batch), torch.split(target, batch), strict=True):
        metrics.update(F.cross_entropy(part, labels), part, labels)
    return {name: value.item() for name, value in metrics.compute().items()}


@pytest.mark.parametrize("scale", [0.3, 50.0])
def test_equal_scikit_learn(scale: float) -> None:
    target = (torch.rand(200) < 0.15).long()
    logits = scale * (torch.randn(200, 2) + F.one_hot(target, 2))
    logits[:40] = logits[:40].round()
    found = computed(logits, target)
    truth, scores = target.numpy(), (logits[:, 1] - logits[:, 0]).numpy()
    predicted = (scores > 0).astype(int)
    expected = {
        "majority": max(np.mean(truth), 1 - np.mean(truth)),
        "balanced_accuracy": reference.balanced_accuracy_score(truth, predicted),
        "sensitivity": reference.recall_score(truth, predicted),
        "specificity": reference.recall_score(truth, predicted, pos_label=0),
        "auroc": reference.roc_auc_score(truth, scores),
        "ap": reference.average_precision_score(truth, scores),
        "f1": reference.f1_score(truth, predicted),
    }
    assert {name: found[name] for name in TWO_CLASS_NAMES} == pytest.approx(expected, rel=1e-5)


def test_always_the_commoner_class_is_found_out() -> None:
    target = torch.tensor([0] * 98 + [1] * 2)
    found = computed(torch.tensor([[1.0, 0.0]]).repeat(100, 1), target)
    assert found["accuracy"] == found["majority"] == pytest.approx(0.98)
    assert (found["balanced_accuracy"], found["auroc"], found["sensitivity"], found["f1"]) == (0.5, 0.5, 0, 0)
    assert found["ap"] == pytest.approx(0.02)


@pytest.mark.parametrize(
    ("label", "undefined"),
    [
        (0, {"sensitivity", "balanced_accuracy", "auroc", "ap"}),
        (1, {"specificity", "balanced_accuracy", "auroc", "ap"}),
    ],
)
def test_a_class_that_is_not_there_is_nan_without_a_warning(label: int, undefined: set[str]) -> None:
    found = computed(torch.randn(20, 2), torch.full((20,), label))
    assert {name for name, value in found.items() if math.isnan(value)} == undefined
    assert found["majority"] == 1


def test_logits_that_are_not_finite() -> None:
    found = computed(torch.full((4, 2), math.nan), torch.tensor([0, 1, 0, 1]))
    assert math.isnan(found["auroc"])
    assert math.isnan(found["ap"])


def test_names_and_reset() -> None:
    metrics = SplitMetrics(2)
    logits, target = torch.randn(8, 2), torch.tensor([0, 1] * 4)
    metrics.update(torch.tensor(1.0), logits, target)
    assert set(metrics.names()) == set(metrics.compute())
    metrics.reset()
    metrics.update(torch.tensor(1.0), logits, 1 - target)
    assert metrics.compute()["auroc"].item() == computed(logits, 1 - target)["auroc"]
    assert "auroc" not in SplitMetrics(3).names()


def test_joined_over_processes() -> None:
    target = (torch.rand(50) < 0.3).long()
    logits = torch.randn(50, 2)
    here, there, alone = TwoClassMetrics(), TwoClassMetrics(), TwoClassMetrics()
    here.update(logits[:20], target[:20])
    there.update(logits[20:], target[20:])
    alone.update(logits, target)

    def gather(state: Tensor, group: object) -> list[Tensor]:
        return [state, (there.scores if state.is_floating_point() else there.targets)[0]]

    here.dist_sync_fn, here.distributed_available_fn = gather, lambda: True
    assert here.compute() == alone.compute()
