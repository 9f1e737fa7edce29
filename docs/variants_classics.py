"""The last panel of the pictures of the classics: what many draws give, against the formula."""

import numpy as np
import torch
from matplotlib.axes import Axes
from scipy import stats
from torch import nn

from dropout_lab.models.dropout import (
    Chain,
    DropConnect,
    DropIn,
    GaussianDropout,
    MultinomialDropout,
    NestedDropout,
    SpatialDropout,
    StandardDropout,
    Standout,
    VariationalDropout,
)
from dropout_lab.models.dropout.drop_connect import preactivation_moments
from dropout_lab.models.dropout.multinomial import sampling_probabilities
from dropout_lab.models.dropout.variational import negative_kl
from variants_frame import (
    BLUE,
    CHANNELS,
    DARK,
    DRAWS,
    DROPPED,
    KEPT,
    MASK_SEED,
    ORANGE,
    REVIVED,
    SAMPLES,
    SHOWN,
    STATES,
    UNITS,
    activations,
    array,
    describe,
    dots,
    drop_frequency,
    line,
)


def identity(axes: Axes) -> None:
    """Nothing happens."""
    x = activations()
    line(axes, torch.tensor([0.0, 3.5]), torch.tensor([0.0, 3.5]), "y = x")
    dots(axes, x.flatten(), x.flatten(), "a unit")
    describe(axes, "output against input", "input x", "output")


def standard_probability(axes: Axes) -> None:
    """The same probability for every unit."""
    x = activations()[SHOWN]
    axes.axhline(0.5, color=DARK, linewidth=1.2, label="exact")
    dots(axes, x, drop_frequency(StandardDropout(0.5), x, DRAWS))
    axes.set_ylim(0, 1)
    describe(axes, "how often a unit drops", f"activation x (sample {SHOWN + 1})", "share of draws")


def noise_histogram(axes: Axes) -> None:
    """Noise against its density."""
    torch.manual_seed(MASK_SEED)
    noise = GaussianDropout(0.5)(torch.ones(DRAWS))
    axes.hist(array(noise), bins=60, density=True, color=BLUE, alpha=0.55, label="measured")
    at = np.linspace(-3, 5, 200)
    line(axes, at, stats.norm.pdf(at, 1, 1))
    axes.plot([0, 2], [0.0, 0.0], "^", color=ORANGE, clip_on=False, label="a mask's 0 and 1/(1 − p)")
    axes.set_ylim(0, 0.62)
    describe(axes, "noise N(1, p/(1 − p))", "noise factor", "density")


def kl_by_alpha(axes: Axes) -> None:
    """What the noise costs: little noise costs much."""
    alpha = torch.linspace(0.02, 1, 200)
    line(axes, alpha, -negative_kl(alpha.log()), "Kingma's polynomial")
    at = torch.linspace(0.05, 0.5, 10)
    found = []
    for p in at.tolist():
        layer = VariationalDropout(p)
        layer(torch.ones(1, UNITS))
        found.append(layer.kl().detach() / UNITS)
    dots(axes, at / (1 - at), torch.stack(found), "the layer's kl()")
    describe(axes, "the loss asks for more noise", "α, variance of the noise", "KL of a unit + const")


def standout_probability(axes: Axes) -> None:
    """π(z) of both gates."""
    z = torch.linspace(-4, 4, 200)
    at = torch.linspace(-3.8, 3.8, UNITS)
    line(axes, z, z.sigmoid(), "gate='sigmoid'", BLUE)
    line(axes, z, (-z).sigmoid(), "gate='inverted'", ORANGE)
    dots(axes, at, 1 - drop_frequency(Standout(), at, DRAWS), "measured")
    axes.set_ylim(-0.05, 1.35)
    describe(axes, "keep probability", "pre-activation z", "π(z)")


def connect_distribution(axes: Axes, linear: nn.Linear) -> None:
    """A pre-activation over masks of the weights, against its normal limit."""
    v = activations()[SHOWN : SHOWN + 1]
    layer = DropConnect(0.5, mask="sample")
    torch.manual_seed(MASK_SEED)
    with torch.no_grad():
        drawn = layer.join(linear, nn.Identity())(v.expand(DRAWS, -1))
        mean, spread = preactivation_moments(v, linear.weight, None, layer.drop_probability)
        parts = (linear.weight * v).square()
        # The output that depends least on a single weight: the normal is the limit of many small parts.
        unit = int((parts.amax(1) / parts.sum(1)).argmin())
    drawn, mean, spread = drawn[:, unit], mean[0, unit], spread[0, unit]
    axes.hist(array(drawn), bins=60, density=True, color=BLUE, alpha=0.55, label="measured")
    at = np.linspace(drawn.min().item(), drawn.max().item(), 200)
    line(axes, at, stats.norm.pdf(at, mean.item(), spread.item()), "normal limit")
    axes.set_ylim(top=1.3 * axes.get_ylim()[1])
    describe(axes, "a pre-activation, over masks", f"u = ((W ∘ M) v), unit {unit + 1}", "density")


def channel_partners(axes: Axes) -> None:
    """Which units drop with unit 1."""
    torch.manual_seed(MASK_SEED)
    layer = SpatialDropout(0.5)
    layer(activations()[SHOWN : SHOWN + 1].view(1, CHANNELS, 2, 2).expand(DRAWS, -1, -1, -1))
    assert layer.kept is not None
    dropped = (~layer.kept).expand(-1, -1, 2, 2).flatten(1).float()
    together = dropped[dropped[:, 0] > 0].mean(0)
    axes.axhline(0.5, color=DARK, linewidth=1, linestyle=":", label="StandardDropout")
    dots(axes, torch.arange(UNITS) + 1, together)
    axes.set(ylim=(0, 1.3), yticks=[0, 0.5, 1])
    describe(axes, "which drop with unit 1", "unit", "P(drops | unit 1 drops)")


def nested_survival(axes: Axes) -> None:
    """How often a unit is kept, by its index."""
    index = torch.arange(UNITS) + 1
    line(axes, index, 0.9 ** (index - 1.0), "exact (1 − p)^(i−1)")
    dots(axes, index, 1 - drop_frequency(NestedDropout(0.1), torch.ones(UNITS), DRAWS))
    axes.set_ylim(0, 1.15)
    describe(axes, "how often a unit is kept", "index of the unit i", "share of draws")


def multinomial_probability(axes: Axes) -> None:
    """How often a unit drops, by its size in the batch."""
    x = activations()
    torch.manual_seed(MASK_SEED)
    layer = MultinomialDropout(0.5)
    layer(x.repeat(DRAWS // SAMPLES, 1))
    assert layer.kept is not None
    q = sampling_probabilities(x)
    fine = torch.linspace(q.min().item(), q.max().item(), 100)
    line(axes, fine, (1 - fine) ** (UNITS // 2))
    axes.axhline(0.5, color=DARK, linewidth=1, linestyle=":", label="p")
    dots(axes, q, 1 - layer.kept.double().mean(0))
    describe(axes, "how often a unit drops", "q, its share of the layer's size", "share of draws")


def chain_fates(axes: Axes) -> None:
    """What becomes of living and dead units."""
    x = activations().repeat(200, 1)
    torch.manual_seed(MASK_SEED)
    first, second = StandardDropout(0.5), DropIn(p=0.5, value=0.6)
    after = Chain([first, second])(x)
    assert first.kept is not None
    survived = (x > 0) & first.kept
    exact = {"living": (0.5, 0.25, 0.25), "dead": (0.0, 0.5, 0.5)}
    for place, group in enumerate((x > 0, x == 0)):
        shares = [survived[group], ((after != 0) & ~survived)[group], (after == 0)[group]]
        bottom = 0.0
        for state, share in zip((KEPT, REVIVED, DROPPED), shares, strict=True):
            height = share.double().mean().item()
            name, color = STATES[state]
            axes.bar(
                place,
                height,
                0.6,
                bottom,
                color=color,
                label=("zero" if state == DROPPED else name) if place == 0 else None,
            )
            bottom += height
        for level in np.cumsum(list(exact.values())[place])[:2]:
            axes.plot([place - 0.38, place + 0.38], [level, level], color=BLUE, linewidth=1)
    axes.plot([], [], color=BLUE, linewidth=1, label="exact")
    axes.set(xlim=(-0.5, 2.6), xticks=[0, 1])
    axes.set_xticklabels(["living", "dead"])
    describe(axes, "what becomes of a unit", "in the layer's input", "share")
