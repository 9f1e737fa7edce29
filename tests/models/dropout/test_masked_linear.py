"""Rows at a time against all at once."""

import pytest
import torch

from dropout_lab.models.dropout import drop_connect as module
from dropout_lab.models.dropout.drop_connect import MaskedLinear, masked_linear


@pytest.mark.parametrize("chunk", [1, 20, 10**6])
@pytest.mark.parametrize("bias", [True, False])
def test_equals_the_product_with_masked_weights(
    chunk: int, bias: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK", chunk)
    x, weight = torch.randn(4, 6).requires_grad_(), torch.randn(7, 6).requires_grad_()
    offset = torch.randn(7).requires_grad_() if bias else None
    kept = torch.rand(7, 6) < 0.5
    upstream = torch.randn(4, 7)
    inputs = [x, weight, *([] if offset is None else [offset])]
    out = masked_linear(x, weight, offset, kept)
    expected = torch.nn.functional.linear(x, weight * kept, offset)
    torch.testing.assert_close(out, expected)
    found = torch.autograd.grad(out, inputs, upstream)
    torch.testing.assert_close(found, torch.autograd.grad(expected, inputs, upstream))
    assert (found[1][~kept] == 0).all()


def test_gradients_only_where_they_are_wanted() -> None:
    kept = torch.rand(7, 6) < 0.5
    x, weight = torch.randn(4, 6), torch.randn(7, 6)
    (of_weight,) = torch.autograd.grad(masked_linear(x, weight.requires_grad_(), None, kept).sum(), weight)
    (of_x,) = torch.autograd.grad(masked_linear(x.requires_grad_(), weight.detach(), None, kept).sum(), x)
    assert of_weight.shape == weight.shape
    assert of_x.shape == x.shape


def test_no_masked_weights_are_kept_for_the_gradient() -> None:
    weight, kept = torch.randn(50, 40, requires_grad=True), torch.rand(50, 40) < 0.5
    saved: list[torch.Tensor] = []

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        saved.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda each: each):
        masked_linear(torch.randn(3, 40), weight, None, kept)
    assert sum(each.numel() == weight.numel() and each.is_floating_point() for each in saved) == 1
    assert any(each is weight or each.data_ptr() == weight.data_ptr() for each in saved)


def test_autocast_takes_its_own_precision() -> None:
    x, weight, kept = torch.randn(4, 6), torch.randn(7, 6), torch.rand(7, 6) < 0.5
    with torch.autocast("cpu", torch.bfloat16):
        out = masked_linear(x, weight, None, kept)
    assert out.dtype == torch.bfloat16


def test_gradcheck() -> None:
    x, weight = (torch.randn(*shape, dtype=torch.float64, requires_grad=True) for shape in ((3, 5), (4, 5)))
    kept = torch.rand(4, 5) < 0.6
    assert torch.autograd.gradcheck(lambda v, w: MaskedLinear.apply(v, w, kept), (x, weight))
