"""The last panel of the pictures of the sources' variants: what many draws give, against the formula."""

import itertools

import numpy as np
import torch
from matplotlib.axes import Axes
from torch import Tensor

from dropout_lab.models.dropout import (
    DropAlan,
    DropCorr,
    DropIn,
    Dropout,
)
from dropout_lab.models.dropout.drop_alan import drop_probability
from dropout_lab.models.dropout.mal_drop import contributions
from variants_frame import (
    BLUE,
    CHANNELS,
    DARK,
    DRAWS,
    MASK_SEED,
    ORANGE,
    SAMPLES,
    SHOWN,
    UNITS,
    activations,
    array,
    describe,
    dots,
    drop_frequency,
    final_weight,
    labels,
    line,
)


def drop_in_mean(axes: Axes) -> None:
    """How the layer's mean changes with the size of its living units."""
    x, p, value = activations(), 0.5, 0.6
    living, dead = (x > 0).sum().item(), (x == 0).sum().item()
    sizes = torch.linspace(0.4, 2, 9)
    ratios = []
    torch.manual_seed(MASK_SEED)
    layer = DropIn(p=p, value=value)
    mass = DropIn(p=p, value=value, scale="mass")
    for size in sizes:
        batch = x / x.sum() * living * size
        ratios.append(
            [sum(layer(batch).sum() for _ in range(200)) / 200 / batch.sum(), mass(batch).sum() / batch.sum()]
        )
    measured = torch.tensor(ratios)
    fine = torch.linspace(0.35, 2.05, 200)
    added = p * dead * value / living
    line(axes, fine, (1 + added / fine) / (1 + added), "exact, count")
    dots(axes, sizes, measured[:, 0], "scale='count'")
    dots(axes, sizes, measured[:, 1], "scale='mass'", ORANGE)
    axes.axhline(1, color=DARK, linewidth=0.6, linestyle=":")
    describe(axes, "does the layer keep its mean?", "mean living activation", "mean after / before")


def alan_probability(axes: Axes) -> None:
    """d(x), α and β."""
    x = torch.linspace(-3, 1, 401)
    at = torch.linspace(-2.9, 0.9, UNITS)
    line(axes, x, drop_probability(x, "beta", 0.999), "β", BLUE)
    line(axes, x, drop_probability(x, "alpha", 0.999), "α", ORANGE)
    dots(axes, at, drop_frequency(DropAlan("beta"), at, DRAWS), "β, measured")
    axes.set_ylim(-0.05, 1.05)
    describe(axes, "drop probability", "pre-activation z", "d(z)")


def sorted_units(axes: Axes) -> None:
    """A sample's units by V."""
    scores = contributions(activations(), labels(), final_weight(), 1 / 9)[SHOWN].sort(descending=True).values
    _ranked(axes, scores, 4, f"unit of sample {SHOWN + 1}, sorted by V")


def sorted_channels(axes: Axes) -> None:
    """A sample's channels by V."""
    scores = contributions(activations(), labels(), final_weight(), 1 / 9)[SHOWN]
    _ranked(
        axes,
        scores.view(CHANNELS, -1).sum(1).sort(descending=True).values,
        2,
        f"channel of sample {SHOWN + 1}, sorted by V",
    )


def sorted_weights(axes: Axes, scores: Tensor, rho: int) -> None:
    """The highest scores of a batch's weights."""
    highest = scores.sort(descending=True).values[: 3 * rho]
    _ranked(axes, highest, rho, "weight, sorted by score")


def _ranked(axes: Axes, scores: Tensor, rho: int, xlabel: str) -> None:
    places = np.arange(len(scores)) + 1
    axes.bar(places[:rho], array(scores[:rho]), color=DARK, label=f"dropped (ρ = {rho})")
    axes.bar(places[rho:], array(scores[rho:]), color=BLUE, label="kept")
    axes.axhline(0, color=DARK, linewidth=0.6)
    describe(axes, "the most helpful drop", xlabel, "V")


def act_inclusion(axes: Axes, layer: Dropout, exponent: int) -> None:
    """How often a unit of a sample drops, by its activation."""
    x = activations()[SHOWN]
    positive = x[x > 0].sort().values
    count = int(0.2 * UNITS)
    weights = array(positive) ** exponent
    exact = np.zeros(len(weights))
    for drawn in itertools.permutations(range(len(weights)), count):
        left, probability = weights.sum(), 1.0
        for unit in drawn:
            probability *= weights[unit] / left
            left -= weights[unit]
        exact[list(drawn)] += probability
    line(axes, positive, exact)
    dots(axes, x, drop_frequency(layer, x, DRAWS))
    describe(axes, "how often a unit drops", f"activation x (sample {SHOWN + 1})", "share of draws")


def correlation_lift(axes: Axes) -> None:
    """How much more often than apart two units drop together, by their correlation."""
    x = activations()
    torch.manual_seed(MASK_SEED)
    layer = DropCorr(0.2)
    dropped = []
    for _ in range(DRAWS // SAMPLES):
        layer(x)
        assert layer.kept is not None
        dropped.append(~layer.kept)
    drawn = torch.cat(dropped).double()
    alone = drawn.mean(0)
    lift = (drawn.T @ drawn / len(drawn)) / alone.outer(alone)
    first, second = torch.triu_indices(UNITS, UNITS, 1)
    # Of units that hardly ever drop the quotient is a matter of chance.
    often = (alone[first] > 0.1) & (alone[second] > 0.1)
    first, second = first[often], second[often]
    dots(axes, torch.corrcoef(x.T)[first, second], lift[first, second], "a pair of units")
    axes.axhline(1, color=DARK, linewidth=1, linestyle=":", label="independent")
    describe(axes, "which units drop together", "correlation in the batch", "P(i, j) / P(i) P(j)")
