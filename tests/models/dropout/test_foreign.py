"""Layers from elsewhere fit a dropout place."""

from collections.abc import Callable

import pytest
import torch
from torch import nn
from torchvision.ops import DropBlock2d

from dropout_lab.models.dropout import ForeignDropout, StandardDropout, as_dropout
from dropout_lab.models.networks import FullyConnected, MalDropCNN


@pytest.mark.parametrize(
    "make", [nn.Dropout, nn.Dropout2d, nn.AlphaDropout, lambda: DropBlock2d(0.1, 3), nn.Identity]
)
def test_fits_a_place_of_feature_maps(make: Callable[[], nn.Module]) -> None:
    network = MalDropCNN(image_shape=(3, 16, 16), dropout=make)
    assert network(torch.randn(2, 3, 16, 16)).shape == (2, 10)


@pytest.mark.parametrize(
    "make", [nn.Dropout, nn.Dropout1d, nn.AlphaDropout, nn.FeatureAlphaDropout, nn.Identity]
)
def test_fits_a_hidden_stage(make: Callable[[], nn.Module]) -> None:
    network = FullyConnected([5, 5], dropout=make)
    assert network(torch.randn(2, 3, 32, 32)).shape == (2, 10)


def test_a_variant_is_not_wrapped() -> None:
    assert isinstance(as_dropout(StandardDropout()), StandardDropout)
    assert isinstance(as_dropout(nn.Dropout()), ForeignDropout)


def test_rates_reach_the_layers_of_torch() -> None:
    network = FullyConnected([5, 5], dropout=nn.AlphaDropout, rates=[0.1, 0.7])
    rates = [
        layer.layer.p for layer in network.dropout_layers().values() if isinstance(layer, ForeignDropout)
    ]
    assert rates == [0.1, 0.7]


def test_what_is_no_module_is_refused() -> None:
    with pytest.raises(TypeError, match=r"a dropout place needs a torch\.nn\.Module, got int"):
        as_dropout(3)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("make", "rates", "message"),
    [
        (nn.Dropout, [1.5], r"p must be in \[0, 1\), got 1.5"),
        (lambda: DropBlock2d(0.1, 3), [0.5], "rates cannot set p of DropBlock2d"),
    ],
)
def test_rates_that_cannot_be_set(make: Callable[[], nn.Module], rates: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FullyConnected([5], dropout=make, rates=rates)
