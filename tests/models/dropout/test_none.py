"""No dropout passes everything."""

import torch

from dropout_lab.models.dropout import NoDropout


def test_passes_x_itself() -> None:
    layer = NoDropout()
    x = torch.randn(3, 4)
    assert layer(x) is x
    assert layer.eval()(x) is x


def test_all_units_are_kept() -> None:
    layer = NoDropout()
    layer(torch.randn(2, 3, 4, 4))
    assert layer.kept is not None
    assert layer.kept.shape == (2, 3, 4, 4)
    assert layer.kept.all()


def test_has_no_rate_to_set() -> None:
    layer = NoDropout()
    layer.set_rate(0.5)
    assert torch.equal(layer(torch.ones(3)), torch.ones(3))
