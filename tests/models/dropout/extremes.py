"""Layers of every variant, shapes and finite numbers at the ends of their types, for tests of numerics."""

import copy
import functools
import itertools
import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

from dropout_lab.models.dropout import (
    Chain,
    DropAct,
    DropAlan,
    DropConnect,
    DropCorr,
    DropIn,
    DropInv,
    Dropout,
    ForeignDropout,
    GaussianDropout,
    MalDrop,
    MultinomialDropout,
    NestedDropout,
    NoDropout,
    SpatialDropout,
    SpatialMalDrop,
    StandardDropout,
    Standout,
    VariationalDropout,
)

DTYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16)

RATES = (0.0, 1e-6, 0.5, 1 - 1e-3, 1 - 2**-20, 1 - 2**-24)
"""Rates of dropping; the last is the largest that float32 tells from 1."""


@functools.cache
def settings(sets: int) -> list[Dropout]:
    """Return layers of every variant with arguments of every kind, for inputs of so many sets of units."""
    layers: list[Dropout] = [NoDropout()]
    for p in RATES:
        layers += [StandardDropout(p), StandardDropout(p, inverted=False), SpatialDropout(p)]
        layers += [GaussianDropout(p), GaussianDropout(p, "zero"), MultinomialDropout(p)]
        for of in ("all", "positive"):
            layers += [DropAct(p, True, of), DropInv(p, True, of), DropCorr(p, "unit", "sample", True, of)]
    layers += [DropAct(0.5), DropInv(0.5), DropCorr(0.5, "sample", "batch"), DropCorr(0.5, "unit", "batch")]
    layers += [DropCorr(0.5, keep=2, growth=1.5), DropCorr(0.5, "sample", "batch", True, keep=5)]
    layers += [NestedDropout(p) for p in (1e-30, 1e-3, 0.5, 1.0)]
    for p, value, scope in itertools.product((0.0, 1e-6, 0.5, 1.0), ("mean", 0.3), ("batch", "sample")):
        layers += [DropIn(p, value, scale, scope) for scale in ("count", "mass", "none")]  # type: ignore[arg-type]
        layers += [DropIn(p, value, "count", scope, scale_revived=False)]  # type: ignore[arg-type]
    layers += [DropIn(0.5, "uniform"), DropIn(0.5, 0.0), DropIn(1.0, 1e30), DropIn(1.0, 1e5)]
    layers += [
        DropAlan(distribution, scaled, inference, 0.999)  # type: ignore[arg-type]
        for distribution, scaled, inference in (
            ("alpha", False, "identity"),
            ("alpha", True, "identity"),
            ("alpha", False, "expectation"),
            ("beta", False, "expectation"),
            ("beta", True, "identity"),
        )
    ]
    layers += [DropAlan(scaled=True, max_drop=1 - 2**-20), DropAlan(scaled=True, max_drop=0.8)]
    layers += [
        DropAlan(scaled=True, min_drop=0.0, saturation=1e-6),
        DropAlan(scaled=True, min_drop=0.999, saturation=1e6),
        DropAlan(inference="expectation", min_drop=0.5, saturation=1.0, negative_slope=0.01),
        DropAlan("alpha", scaled=True, negative_slope=0.0),
    ]
    for rho in sorted({0, 1, sets}):
        layers += [SpatialMalDrop(rho), MalDrop(rho), MalDrop(rho, 0.0, "loss"), MalDrop(rho, 2.0, "exact")]
        layers += [MalDrop(rho, mask="batch"), MalDrop(rho, score="exact", mask="batch")]
        layers += [SpatialMalDrop(rho, mask="batch")]
    layers += [
        Standout(1.0, 0.0, "sigmoid", True),
        Standout(100.0, -100.0),
        Standout(0.0, 1e4, "inverted"),
        Standout(-3.0, 3.0, "inverted", True),
    ]
    for p in (0.0, 0.5, 1 - 2**-20):
        layers += [DropConnect(p, mask) for mask in ("sample", "batch", "gaussian")]
    layers += [DropConnect(0.5, "gaussian", "mean"), DropConnect(0.5, "batch", samples=1)]
    layers += [VariationalDropout(p, kind) for p in (1e-6, 0.5) for kind in ("layer", "unit")]
    layers += [
        Chain([StandardDropout(0.5), DropIn(0.5, 0.3)]),
        Chain([StandardDropout(0.5), MalDrop(1)]),
        Chain([MalDrop(1), StandardDropout(0.5)]),
        Chain([DropAlan(), SpatialDropout(0.5)]),
    ]
    return [*layers, ForeignDropout(nn.Dropout(0.5)), ForeignDropout(nn.AlphaDropout(0.5))]


def _uneven(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """Return numbers of all sizes that the type has, of both signs."""
    info = torch.finfo(dtype)
    low, high = math.log2(info.smallest_normal), math.log2(info.max)
    powers = torch.rand(shape, dtype=torch.float64) * (high - low) + low
    return torch.exp2(powers.clamp(max=high - 0.01)) * torch.randn(shape).sign()


def _alternating(shape: tuple[int, ...]) -> Tensor:
    return (1.0 - 2.0 * (torch.arange(math.prod(shape)) % 2)).view(shape).double()


def _outlier(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    x = torch.randn(shape, dtype=torch.float64)
    x.view(-1)[0] = torch.finfo(dtype).max
    return x


def _columns(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    row = torch.randn(1, math.prod(shape[1:]), dtype=torch.float64) * (torch.finfo(dtype).max / 8)
    return row.expand(shape[0], -1).reshape(shape)


Values = Callable[[tuple[int, ...], torch.dtype], Tensor]
VALUES: dict[str, Values] = {
    "zeros": lambda shape, dtype: torch.zeros(shape),
    "negative zeros": lambda shape, dtype: -torch.zeros(shape),
    "ones": lambda shape, dtype: torch.ones(shape),
    "denormal": lambda shape, dtype: torch.full(
        shape, torch.finfo(dtype).smallest_normal * torch.finfo(dtype).eps, dtype=torch.float64
    ),
    "least normal": lambda shape, dtype: torch.full(shape, torch.finfo(dtype).tiny, dtype=torch.float64),
    "most": lambda shape, dtype: torch.full(shape, torch.finfo(dtype).max, dtype=torch.float64),
    "least": lambda shape, dtype: torch.full(shape, torch.finfo(dtype).min, dtype=torch.float64),
    "most and least": lambda shape, dtype: torch.finfo(dtype).max * _alternating(shape),
    "half of most": lambda shape, dtype: torch.finfo(dtype).max / 2 * torch.randn(shape).sign().double(),
    "root of most": lambda shape, dtype: torch.finfo(dtype).max ** 0.5 * torch.randn(shape).double(),
    "alternating": lambda shape, dtype: _alternating(shape),
    "most and denormal": lambda shape, dtype: torch.where(
        _alternating(shape) > 0,
        torch.tensor(torch.finfo(dtype).max / 4, dtype=torch.float64),
        torch.tensor(torch.finfo(dtype).tiny / 4, dtype=torch.float64),
    ),
    "outlier": _outlier,
    "of all sizes": _uneven,
    "constant columns": _columns,
    "all negative": lambda shape, dtype: -torch.rand(shape) - 0.1,
    "half dead": lambda shape, dtype: torch.randn(shape).relu(),
    "normal": lambda shape, dtype: torch.randn(shape),
}

Layout = Callable[[Tensor], Tensor]
SHAPES: dict[str, tuple[tuple[int, ...], Layout]] = {
    "few": ((4, 6), lambda x: x),
    "one sample": ((1, 6), lambda x: x),
    "one unit": ((4, 1), lambda x: x),
    "one number": ((1, 1), lambda x: x),
    "transposed": ((5, 4), lambda x: x.t().contiguous().t()),
    "images": ((3, 2, 2, 2), lambda x: x),
    "channels last": ((2, 3, 4, 4), lambda x: x.contiguous(memory_format=torch.channels_last)),
    "many": ((20, 130), lambda x: x),
}


class Case(NamedTuple):
    """One layer, of :func:`settings`, with one input."""

    setting: int
    dtype: torch.dtype
    shape: str
    values: str

    def seed(self) -> int:
        """Return a number of its own."""
        places = (DTYPES.index(self.dtype), list(SHAPES).index(self.shape), list(VALUES).index(self.values))
        return self.setting + 1000 * (places[0] + 20 * places[1] + 400 * places[2])

    def layer(self) -> Dropout:
        """Return the layer."""
        return copy.deepcopy(settings(SHAPES[self.shape][0][1])[self.setting])

    def input(self) -> Tensor:
        """Return the input."""
        shape, layout = SHAPES[self.shape]
        return layout(VALUES[self.values](shape, self.dtype).to(self.dtype))


def cases() -> Iterator[Case]:
    """Yield all cases, some 86,000."""
    for shape, (size, _) in SHAPES.items():
        for setting, layer in enumerate(settings(size[1])):
            # A linear layer's input is (B, D).
            if not isinstance(layer, DropConnect) or len(size) == 2:
                yield from (Case(setting, dtype, shape, values) for dtype in DTYPES for values in VALUES)
