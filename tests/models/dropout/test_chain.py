"""Several variants one after another."""

import pytest
import torch
from torch import nn

from dropout_lab.models.dropout import (
    Chain,
    DropAlan,
    DropConnect,
    DropIn,
    Dropout,
    MalDrop,
    NestedDropout,
    NoDropout,
    SpatialDropout,
    StandardDropout,
    Standout,
    VariationalDropout,
    sampling,
)


def test_layers_apply_in_order() -> None:
    first, second = StandardDropout(0.5), DropIn(1.0, value=2.0, scale="none")
    x = torch.ones(20, 30)
    # Dropped units are revived after; before, there is nothing to revive.
    assert set(Chain([first, second])(x).unique().tolist()) == {2.0}
    assert set(Chain([DropIn(1.0, 3.0, "none"), first])(x).unique().tolist()) == {0.0, 2.0}


def test_equals_its_layers_one_after_another() -> None:
    x = torch.randn(20, 30).relu()
    layers: list[nn.Module] = [StandardDropout(0.3), DropIn(0.5), nn.Dropout(0.1)]
    torch.manual_seed(1)
    out = Chain(layers)(x)
    torch.manual_seed(1)
    for layer in layers:
        x = layer(x)
    assert torch.equal(out, x)


def test_evaluation_is_that_of_the_layers() -> None:
    x = torch.rand(4, 5)
    chain = Chain([StandardDropout(0.25, inverted=False), DropIn()]).eval()
    assert torch.equal(chain(x), 0.75 * x)


def test_a_unit_dropped_and_revived_is_kept() -> None:
    chain = Chain([StandardDropout(0.5), DropIn(0.5, value=0.7)])
    out = chain(torch.rand(20, 30) + 0.1)
    assert chain.kept is not None
    assert torch.equal(chain.kept, out != 0)


def test_kept_is_what_all_kept() -> None:
    standard, spatial = StandardDropout(0.5), SpatialDropout(0.5)
    chain = Chain([standard, nn.Dropout(0.0), spatial])
    out = chain(torch.ones(6, 4, 3, 3))
    assert chain.kept is not None
    assert standard.kept is not None
    assert spatial.kept is not None
    assert torch.equal(chain.kept, standard.kept & spatial.kept)
    assert torch.equal(chain.kept, out != 0)


def test_labels_are_handed_on() -> None:
    malicious = MalDrop(2)
    chain = Chain([StandardDropout(0.0), malicious])
    assert chain.needs_labels
    x, target, weight = torch.rand(6, 5) + 0.1, torch.arange(6) % 3, torch.randn(3, 5)
    out = chain(x, target, weight)
    assert torch.equal(out, MalDrop(2)(x, target, weight))
    assert malicious.pass_rate.sum().item() == pytest.approx(3)
    with pytest.raises(ValueError, match="MalDrop needs labels"):
        chain(x)
    assert not Chain([StandardDropout()]).needs_labels


@pytest.mark.parametrize("order", [1, -1])
def test_dropout_and_maldrop_in_either_order(order: int) -> None:
    layers: list[nn.Module] = [StandardDropout(0.5), MalDrop(3)]
    layers.sort(key=lambda layer: order * isinstance(layer, MalDrop))
    x, target, weight = torch.rand(50, 8) + 0.1, torch.arange(50) % 3, torch.randn(3, 8)
    out = Chain(layers)(x, target, weight)
    assert ((out == 0).sum(1) >= 3).all()


def test_inner_place_leaves_out_what_needs_labels() -> None:
    standard = StandardDropout()
    inner = Chain([standard, MalDrop(1)]).inner()
    first, second = inner.get_submodule("layers").children()
    assert first is standard
    assert isinstance(second, NoDropout)
    assert not inner.needs_labels
    inner(torch.ones(2, 3))


@pytest.mark.parametrize("first", [DropAlan, Standout, DropConnect])
def test_first_layer_may_take_over_its_stage(first: type[Dropout]) -> None:
    chain = Chain([first(), DropIn(), MalDrop(1)])
    assert chain.needs_stage
    with pytest.raises(ValueError, match="Chain works on .* cannot stand after a pooling layer"):
        chain.alone("a pooling layer")
    linear, x = nn.Linear(5, 7), torch.randn(4, 5)
    stage = chain.join(linear, nn.ReLU())
    assert stage(x, torch.arange(4) % 3, torch.randn(3, 7)).shape == (4, 7)
    assert len([part for part in stage.modules() if isinstance(part, Dropout)]) == 3


def test_joined_after_dropalan_leaves_the_activation_out() -> None:
    linear, x = nn.Linear(5, 7), torch.randn(4, 5)
    stage = Chain([DropAlan(), StandardDropout()]).join(linear, nn.ReLU()).eval()
    assert torch.equal(stage(x), linear(x))


@pytest.mark.parametrize("later", [DropAlan, Standout, DropConnect])
def test_later_layer_may_not(later: type[Dropout]) -> None:
    with pytest.raises(ValueError, match=f"{later.__name__} takes over its stage and must be the first"):
        Chain([StandardDropout(), later()])


def test_bad_layers() -> None:
    with pytest.raises(ValueError, match=r"layers needs at least one dropout layer, got \[\]"):
        Chain([])
    with pytest.raises(TypeError, match="a dropout place needs a torch.nn.Module, got float"):
        Chain([0.5])  # type: ignore[list-item]


def test_rate_and_kl_are_those_of_the_layers() -> None:
    standard, nested, noise = StandardDropout(), NestedDropout(0.5), VariationalDropout(0.4)
    chain = Chain([standard, nested, noise])
    chain.set_rate(0.2)
    assert (standard.p, nested.p) == (0.2, 0.2)
    chain(torch.randn(3, 4))
    total = chain.kl()
    assert total is not None
    assert torch.equal(total, noise.kl())
    assert Chain([standard]).kl() is None


def test_gradient_with_a_fixed_mask() -> None:
    chain = Chain([StandardDropout(0.3), DropIn(0.5, value=0.5, scale="none")])

    def forward(units: torch.Tensor) -> torch.Tensor:
        torch.manual_seed(1)
        out: torch.Tensor = chain(units)
        return out

    x = (torch.rand(3, 5, dtype=torch.float64) + 0.1).requires_grad_()
    assert torch.autograd.gradcheck(forward, x)


def test_sampling_after_training_on_another_batch_size() -> None:
    chain = Chain([StandardDropout(0.5), MalDrop(3)])
    chain(torch.rand(6, 8), torch.arange(6) % 3, torch.randn(3, 8))
    with sampling(chain):
        out = chain(torch.rand(4, 8))
    assert chain.kept is not None
    assert chain.kept.shape == out.shape == (4, 8)
