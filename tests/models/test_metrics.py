"""Metrics of a split against plain NumPy."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import dropout_lab.models.metrics
from dropout_lab.models.metrics import SplitMetrics


def batches(classes: int) -> list[tuple[Tensor, Tensor]]:
    return [(3 * torch.randn(size, classes), torch.randint(classes, (size,))) for size in (40, 40, 13)]


def reference(logits: np.ndarray, target: np.ndarray) -> dict[str, float]:
    shifted = np.exp(logits - logits.max(1, keepdims=True))
    probabilities = shifted / shifted.sum(1, keepdims=True)
    confidence, predicted = probabilities.max(1), probabilities.argmax(1)
    correct = predicted == target
    ece = 0.0
    for low, high in zip(np.linspace(0, 1, 16)[:-1], np.linspace(0, 1, 16)[1:], strict=True):
        inside = (confidence > low) & (confidence <= high)
        if inside.any():
            ece += inside.mean() * abs(correct[inside].mean() - confidence[inside].mean())
    ranks = np.argsort(-logits, axis=1)[:, :5]
    return {
        "accuracy": correct.mean(),
        "top5": np.mean([label in row for label, row in zip(target, ranks, strict=True)]),
        "nll": -np.log(probabilities[np.arange(len(target)), target]).mean(),
        "ece": ece,
    }


@pytest.mark.parametrize("buffer", [10**9, 100])
def test_equal_numpy_over_all_batches(buffer: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dropout_lab.models.metrics, "BUFFER_NUMBERS", buffer)
    metrics = SplitMetrics(10)
    seen = batches(10)
    for logits, target in seen:
        metrics.update(F.cross_entropy(logits, target), logits, target)
    found = {name: value.item() for name, value in metrics.compute().items()}
    all_logits, all_targets = (torch.cat(part) for part in zip(*seen, strict=True))
    expected = reference(all_logits.double().numpy(), all_targets.numpy())
    assert found.pop("loss") == pytest.approx(expected["nll"], rel=1e-5)
    assert found == pytest.approx(expected, rel=1e-5)


def test_forgets_on_reset() -> None:
    metrics = SplitMetrics(10)
    (first, second, _) = batches(10)
    metrics.update(torch.tensor(5.0), *first)
    metrics.reset()
    metrics.update(torch.tensor(2.0), *second)
    fresh = SplitMetrics(10)
    fresh.update(torch.tensor(2.0), *second)
    assert metrics.compute() == fresh.compute()


def test_no_top5_of_five_classes() -> None:
    metrics = SplitMetrics(5)
    metrics.update(torch.tensor(1.0), *batches(5)[0])
    assert set(metrics.compute()) == {"loss", "accuracy", "nll", "ece"}


def test_keeps_no_graph() -> None:
    metrics = SplitMetrics(3)
    logits = torch.randn(4, 3, requires_grad=True)
    target = torch.tensor([0, 1, 2, 0])
    metrics.update(F.cross_entropy(logits, target), logits, target)
    assert all(not tensor.requires_grad for batch in metrics._held for tensor in batch)
