"""Draws the pictures of docs/variants.md: python docs/variants_figures.py (seconds).

Each shows a small batch, what the layer drew, its output in training, and the curve that tells the variant from
the others. All see the same batch, behind its ReLU or, where the layer wants it, before.
"""

from collections.abc import Callable
from pathlib import Path

import torch
from matplotlib.axes import Axes
from rich.progress import track

from dropout_lab.models.dropout import (
    Chain,
    DropAct,
    DropAlan,
    DropConnect,
    DropCorr,
    DropIn,
    DropInv,
    Dropout,
    GaussianDropout,
    MalDrop,
    MaliciousDropConnect,
    MultinomialDropout,
    NestedDropout,
    NoDropout,
    SpatialDropout,
    SpatialMalDrop,
    StandardDropout,
    Standout,
    VariationalDropout,
)
from dropout_lab.models.dropout.mal_drop import advantages
from variants_classics import (
    chain_fates,
    channel_partners,
    connect_distribution,
    identity,
    kl_by_alpha,
    multinomial_probability,
    nested_survival,
    noise_histogram,
    standard_probability,
    standout_probability,
)
from variants_curves import (
    act_inclusion,
    alan_probability,
    correlation_lift,
    drop_in_mean,
    sorted_channels,
    sorted_units,
    sorted_weights,
)
from variants_frame import (
    CLASSES,
    DROPPED,
    KEPT,
    MASK_SEED,
    REVIVED,
    SAMPLES,
    UNITS,
    Picture,
    activations,
    draw,
    final_weight,
    labels,
    masked_picture,
    pre_activations,
)
from variants_list import ORDER, shipped_settings

FOLDER = Path(__file__).with_name("variants")


def drop_in() -> Picture:
    """Living, revived and dead units."""
    torch.manual_seed(MASK_SEED)
    layer = DropIn(p=0.5, value=0.6)
    x = activations()
    after = layer(x)
    return Picture(layer, x, _states(x, after), after, drop_in_mean)


def chain() -> Picture:
    """Dropout, then Drop-in."""
    torch.manual_seed(MASK_SEED)
    layer = Chain([StandardDropout(0.5), DropIn(p=0.5, value=0.6)])
    x = activations()
    after = layer(x)
    inner = layer.layers[0]
    assert isinstance(inner, Dropout)
    assert inner.kept is not None
    return Picture(layer, x, _states(x * inner.kept, after), after, chain_fates)


def drop_alan() -> Picture:
    """Pre-activations."""
    return _before_relu(masked_picture(DropAlan("beta"), pre_activations(), alan_probability))


def standout() -> Picture:
    """Pre-activations."""
    return _before_relu(masked_picture(Standout(), pre_activations(), standout_probability))


def mal_drop() -> Picture:
    """Units that help."""
    return masked_picture(MalDrop(rho=4), activations(), sorted_units)


def spatial_mal_drop() -> Picture:
    """Channels that help."""
    return masked_picture(SpatialMalDrop(rho=2), activations(), sorted_channels, group=4)


def spatial() -> Picture:
    """Channels."""
    return masked_picture(SpatialDropout(0.5), activations(), channel_partners, group=4)


def gaussian() -> Picture:
    """Noise in the place of a mask."""
    return _noisy(GaussianDropout(0.5), noise_histogram)


def variational() -> Picture:
    """Noise in the place of a mask."""
    return _noisy(VariationalDropout(0.5), kl_by_alpha)


def first_weight() -> torch.nn.Linear:
    """A linear layer before the units, of the pictures of masked weights."""
    linear = torch.nn.Linear(UNITS, UNITS, bias=False)
    torch.nn.init.normal_(linear.weight, std=0.4, generator=torch.Generator().manual_seed(11))
    return linear


def malicious_drop_connect() -> Picture:
    """The weights that help a batch, and by how much."""
    layer, linear = MaliciousDropConnect(rho=48, mask="batch"), first_weight()
    stage = layer.join(linear, torch.nn.ReLU())
    with torch.no_grad():
        after = stage(activations(), labels(), final_weight())
        brought = linear.weight * activations().unsqueeze(1)
        lead = advantages(labels(), final_weight(), layer.balance(CLASSES)).unsqueeze(2)
    return Picture(
        layer,
        activations(),
        layer.pass_rate.view(UNITS, UNITS).long(),
        after,
        lambda axes: sorted_weights(axes, (brought * lead).sum(0).flatten(), layer.rho),
        middle_title="mask of the weights W",
        middle_ylabel="unit of the output",
    )


def drop_connect() -> Picture:
    """A mask of weights, and pre-activations with them."""
    layer, linear = DropConnect(0.5, mask="batch"), first_weight()
    stage = layer.join(linear, torch.nn.ReLU())
    masks = layer.join(torch.nn.Linear(UNITS, UNITS, bias=False), torch.nn.Identity())
    # Inputs with a single 1 read the masked weights out of the layer, column by column.
    torch.nn.init.ones_(next(masks.parameters()))
    with torch.no_grad():
        torch.manual_seed(MASK_SEED)
        after = stage(activations())
        torch.manual_seed(MASK_SEED)
        kept = masks(torch.eye(UNITS)).T.long()
    return Picture(
        layer,
        activations(),
        kept,
        after,
        lambda axes: connect_distribution(axes, linear),
        before_title="input v",
        middle_title="mask of the weights W",
        middle_ylabel="unit of the output",
    )


DRAWINGS: dict[type[Dropout], Callable[[], Picture]] = {
    DropIn: drop_in,
    DropAlan: drop_alan,
    MalDrop: mal_drop,
    SpatialMalDrop: spatial_mal_drop,
    MaliciousDropConnect: malicious_drop_connect,
    DropAct: lambda: masked_picture(DropAct(), activations(), lambda axes: act_inclusion(axes, DropAct(), 1)),
    DropInv: lambda: masked_picture(
        DropInv(), activations(), lambda axes: act_inclusion(axes, DropInv(), -1)
    ),
    DropCorr: lambda: masked_picture(DropCorr(), activations(), correlation_lift),
    NoDropout: lambda: masked_picture(NoDropout(), activations(), identity),
    StandardDropout: lambda: masked_picture(StandardDropout(), activations(), standard_probability),
    GaussianDropout: gaussian,
    VariationalDropout: variational,
    Standout: standout,
    DropConnect: drop_connect,
    SpatialDropout: spatial,
    NestedDropout: lambda: masked_picture(NestedDropout(0.1), activations(), nested_survival),
    MultinomialDropout: lambda: masked_picture(MultinomialDropout(), activations(), multinomial_probability),
    Chain: chain,
}


def main() -> None:
    """Draw every variant; one without a drawing is a KeyError."""
    FOLDER.mkdir(exist_ok=True)
    settings = shipped_settings()
    for variant in track(ORDER, description="variants"):
        draw(DRAWINGS[variant](), FOLDER / f"{settings[variant.__name__].stem}.png")


def _states(living: torch.Tensor, after: torch.Tensor) -> torch.Tensor:
    states = torch.full(living.shape, DROPPED)
    states[after != 0] = REVIVED
    states[living != 0] = KEPT
    return states


def _before_relu(picture: Picture) -> Picture:
    return Picture(
        picture.layer, picture.before, picture.middle, picture.after, picture.curve, "pre-activation z"
    )


def _noisy(layer: Dropout, curve: Callable[[Axes], None]) -> Picture:
    # The same seed draws the same noise: on ones it is seen by itself.
    torch.manual_seed(MASK_SEED)
    noise = layer(torch.ones(SAMPLES, UNITS)).detach()
    torch.manual_seed(MASK_SEED)
    after = layer(activations()).detach()
    return Picture(layer, activations(), noise, after, curve, middle_title="noise factor")


if __name__ == "__main__":
    main()
