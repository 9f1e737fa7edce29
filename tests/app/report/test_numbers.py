"""How numbers and labels are written."""

import math

import pytest

from dropout_lab.app.report.formatting import (
    label_words,
    mean_and_half,
    metric_name,
    number,
    points,
    probability,
    ratio,
    span,
)
from dropout_lab.app.statistics.estimate import Estimate, estimate
from dropout_lab.app.study.metrics import highest_is_best, scale_of, scaled


@pytest.mark.parametrize(
    ("metric", "value", "text"),
    [
        ("test/accuracy", 0.48123, "48.12"),
        ("val/accuracy@10", 0.48123, "48.12"),
        ("test/ap", 0.5, "50.00"),
        ("test/loss", 1.23456, "1.2346"),
        ("best_step", 28000.0, "28,000"),
        ("first_steps/0.6", 27000.0, "27,000"),
        ("train_seconds", 77.06, "77.1"),
        ("test/accuracy", -0.01, "−1.00"),
        ("test/accuracy", -1e-9, "0.00"),
        ("dead/network.head.activation@last4", 0.25, "25.00"),
        ("dead_channels/network.features.1", 0.5, "50.00"),
        ("scale_factor/network.head.stage.dropout", 19.99, "19.9900"),
        ("collapse/logit_std", 0.5, "0.5000"),
    ],
)
def test_numbers(metric: str, value: float, text: str) -> None:
    assert number(metric, value) == text


@pytest.mark.parametrize(
    ("metric", "name"),
    [
        ("test/accuracy", "test accuracy (%)"),
        ("val/balanced_accuracy", "validation balanced accuracy (%)"),
        ("train/loss@10", "training loss after epoch 10"),
        ("train_eval/accuracy@25", "dropout-off training accuracy after epoch 25 (%)"),
        ("val/accuracy@last20", "validation accuracy, mean of the last 20 (%)"),
        ("first_steps/0.6", "first step at 0.6 or more"),
        ("step_seconds", "step seconds (s)"),
        ("val/top5", "validation top-5 accuracy (%)"),
        ("dead/network.head.act_1@last4", "dead units of network.head.act_1, mean of the last 4 (%)"),
        ("dead_channels/network.features.1", "dead channels of network.features.1 (%)"),
        ("scale_factor/network.dropout#2@3", "largest factor of network.dropout#2 after epoch 3"),
        ("collapse/logit_std@last4", "standard deviation of the logits, mean of the last 4"),
    ],
)
def test_names_of_metrics(metric: str, name: str) -> None:
    assert metric_name(metric) == name


def test_of_which_less_is_better() -> None:
    assert highest_is_best("test/accuracy")
    assert highest_is_best("val/accuracy@10")
    for metric in (
        "test/loss",
        "val/loss@5",
        "test/nll",
        "test/ece",
        "best_step",
        "train_seconds",
        "first_steps/0.6",
        "dead/network.head.activation@last4",
        "dead_channels/network.features.1",
    ):
        assert highest_is_best(metric) is False


@pytest.mark.parametrize(
    "metric", ["scale_factor/network.dropout@last4", "collapse/logit_std", "pass_rate/d/mean", "rho_mean/d"]
)
def test_of_which_neither_is_better(metric: str) -> None:
    assert highest_is_best(metric) is None


def test_means_with_their_intervals() -> None:
    three, one = estimate([0.40, 0.41, 0.42]), estimate([0.40])
    assert mean_and_half("test/accuracy", three) == "41.00 ± 2.48"
    assert mean_and_half("test/accuracy", one) == "40.00"
    assert span("test/accuracy", three) == "95 % interval +38.52 to +43.48"
    assert span("test/accuracy", one) == "no interval: one seed"
    assert span("test/accuracy", estimate([0.2, 0.2, 0.2])) == "the same in all 3 seeds"
    assert (
        span("test/accuracy", Estimate(float("nan"), None, None, 3)) == "no interval: a value is not finite"
    )
    assert ratio(Estimate(1.5, 0.1, 0.25, 3)) == "×1.50 ± 0.25"
    assert ratio(Estimate(1.5, 0.1, 2.0, 3, scale=(0.0, math.inf))) == "×1.50 (0.00 to 3.50)"
    assert scaled("test/loss", 0.5) == 0.5


def test_an_interval_that_the_scale_cuts_is_told_by_its_ends() -> None:
    found = estimate([0.95, 0.97, 0.999], scale_of("test/accuracy"))
    assert found.half is not None
    assert found.mean + found.half > 1
    assert mean_and_half("test/accuracy", found) == f"97.30 ({100 * (found.mean - found.half):.2f} to 100.00)"
    assert scale_of("test/loss") is None


def test_differences_and_p() -> None:
    assert points("test/accuracy", 0.012, signed=True) == "+1.20 points"
    assert points("test/loss", -0.012, signed=True) == "−0.0120"
    assert [probability(p) for p in (None, 0.0004, 0.0123, 0.05, 0.9)] == [
        "–",
        "< 0.001",
        "0.012",
        "0.050",
        "0.90",
    ]


def test_labels() -> None:
    assert label_words({"method": "dropin", "layers": 3}) == "dropin, layers 3"
    assert label_words({}) == ""
