"""The loss and the metrics of logits that are huge but finite."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dropout_lab.models.metrics import SplitMetrics
from dropout_lab.models.steps import entropy

BOTH = torch.tensor([[1.0, -1.0], [-1.0, 1.0], [0.0, 0.0]])
TARGET = torch.tensor([1, 1, 0])


@pytest.mark.parametrize(
    ("dtype", "size"), [(torch.float32, 1e30), (torch.bfloat16, 1e30), (torch.float16, 2e4)]
)
def test_metrics_are_finite(dtype: torch.dtype, size: float) -> None:
    logits = (BOTH * size).to(dtype)
    metrics = SplitMetrics(2)
    metrics.update(F.cross_entropy(logits, TARGET), logits, TARGET)
    found = metrics.compute()
    assert all(value.isfinite() for value in found.values()), found
    # One of three is wrong by 2·size.
    assert found["nll"].item() == pytest.approx(2 * size / 3, rel=1e-2)
    assert found["accuracy"].item() == pytest.approx(2 / 3)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_loss_under_autocast_is_taken_in_float32(dtype: torch.dtype) -> None:
    linear = nn.Linear(2, 2, bias=False)
    nn.init.eye_(linear.weight)
    with torch.autocast("cpu", dtype):
        logits = linear(BOTH * 6e4)
        loss = F.cross_entropy(logits, TARGET)
    assert logits.dtype == dtype
    assert loss.item() == pytest.approx(4e4, rel=1e-2)
    (gradient,) = torch.autograd.grad(loss, linear.weight)
    assert gradient.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_entropy_is_from_0_to_ln_c(dtype: torch.dtype) -> None:
    logits: Tensor = (torch.randn(50, 10) * torch.finfo(dtype).max / 10).clamp(-6e4, 6e4).to(dtype)
    found = entropy(torch.cat([logits, torch.zeros(1, 10, dtype=dtype)]).log_softmax(1)).float()
    assert found.min() >= 0
    assert found.max() <= math.log(10) + 1e-2
    assert found[-1].item() == pytest.approx(math.log(10), rel=1e-2)
    assert entropy(torch.tensor([[0.0, -math.inf]])).item() == 0
