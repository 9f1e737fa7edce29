"""What each variant computes, given its mask or noise, in numbers of a wider range than float64 where there are any."""

import math
from typing import Any

import numpy as np
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
    GaussianDropout,
    MalDrop,
    NestedDropout,
    NoDropout,
    SpatialDropout,
    SpatialMalDrop,
    StandardDropout,
    Standout,
    VariationalDropout,
)

Wide = np.ndarray[Any, Any]


def wide(x: Tensor) -> Wide:
    """Return a tensor in long double."""
    return x.detach().double().numpy().astype(np.longdouble)


def law(layer: Dropout, module: nn.Module, x: Tensor, seed: int) -> Wide | None:
    """Return the exact output of the forward that was made from a seed; None where there is no formula for it here.

    Args:
        layer: has made the forward, so that its ``kept`` is the mask.
        module: the layer, or the stage of a DropConnect.
        x: what the module was given.
        seed: set just before it.
    """
    if isinstance(layer, DropConnect):
        return _drop_connect(layer, module, x, seed)
    units = wide(x)
    if isinstance(layer, Chain) and not layer.training:
        return None
    if not layer.training:
        return _evaluation(layer, units)
    torch.manual_seed(seed)
    if isinstance(layer, GaussianDropout | VariationalDropout):
        noise = wide(torch.randn(x.shape))
        if isinstance(layer, VariationalDropout):
            return np.asarray(units * (1 + np.exp(wide(layer.log_alpha) / 2) * noise))
        p = wide(layer.drop_probability)
        if layer.noise == "zero":
            return np.asarray(units * (p / (1 - p)) * noise)
        return np.asarray(units * (1 + np.sqrt(p / (1 - p)) * noise))
    if layer.kept is None:
        return None
    kept = wide(layer.kept)
    if isinstance(layer, StandardDropout | SpatialDropout):
        inverted = isinstance(layer, SpatialDropout) or layer.inverted
        return units * kept / ((1 - wide(layer.drop_probability)) if inverted else 1)
    if isinstance(layer, NoDropout | NestedDropout | MalDrop | SpatialMalDrop):
        return units * kept
    if isinstance(layer, DropAct | DropInv | DropCorr):
        samples = []
        for sample, passed in zip(units, kept.repeat(len(units) // len(kept), axis=0), strict=True):
            size = sample.size if layer.of == "all" else int((sample > 0).sum())
            count = max(0, min(math.floor(layer.p * size * (1 + 1e-7)), size - 1))
            share = np.longdouble(count) / max(size, 1)
            samples.append(sample * passed / (np.longdouble(1) - share if layer.rescale else 1))
        return np.asarray(samples)
    if isinstance(layer, Standout):
        return np.maximum(units, 0) * kept
    if isinstance(layer, DropAlan):
        units = _leaky(layer, units)
        return units * kept / (1 - _drop_alan(layer, units) if layer.scaled else 1)
    if isinstance(layer, DropIn) and layer.scale == "none" and layer.value_rule != "mean":
        return np.where((units == 0) & (kept > 0), wide(layer.value), units)
    if isinstance(layer, Chain) and all(isinstance(part, StandardDropout | MalDrop) for part in layer.layers):
        return units * kept * 2
    return None


def _evaluation(layer: Dropout, units: Wide) -> Wide:
    if isinstance(layer, StandardDropout) and not layer.inverted:
        return np.asarray(units * (1 - wide(layer.drop_probability)))
    if isinstance(layer, MalDrop | SpatialMalDrop):
        return units * wide(layer.pass_rate).reshape(layer.shape_of_sets(torch.empty(units.shape)))
    if isinstance(layer, Standout):
        sign = 1 if layer.gate == "sigmoid" else -1
        z = sign * (wide(layer.alpha) * units + wide(layer.beta))
        return np.asarray(np.maximum(units, 0) / (1 + np.exp(np.clip(-z, -11000, 11000))))
    if isinstance(layer, DropAlan):
        units = _leaky(layer, units)
        mean = layer.inference == "expectation" and not layer.scaled
        return np.asarray(units * (1 - _drop_alan(layer, units)) if mean else units)
    return units


def _drop_alan(layer: DropAlan, units: Wide) -> Wide:
    if layer.distribution == "alpha":
        return np.clip(-0.8 * units, 0, 0.8)
    least = layer.saturation / np.longdouble(1 - layer.min_drop)
    tail = np.clip(1 + layer.saturation / np.minimum(units, -least), layer.min_drop, layer.max_drop)
    return np.where(units < 0, tail, 0)


def _leaky(layer: DropAlan, units: Wide) -> Wide:
    return np.where(units < 0, layer.negative_slope * units, units)


def sizes(module: nn.Module, x: Tensor) -> Wide:
    """Return |W||x| + |b| of a linear stage, which no sum on the way can exceed."""
    linear = module.get_submodule("affine")
    assert isinstance(linear, nn.Linear)
    return np.abs(wide(x)) @ np.abs(wide(linear.weight)).T + np.abs(wide(linear.bias))


def _drop_connect(layer: DropConnect, module: nn.Module, x: Tensor, seed: int) -> Wide:
    linear = module.get_submodule("affine")
    assert isinstance(linear, nn.Linear)
    weight, bias, units = wide(linear.weight), wide(linear.bias), wide(x)
    p = wide(layer.drop_probability)
    torch.manual_seed(seed)
    if layer.training and layer.mask == "batch":
        kept = wide(torch.rand(weight.shape) >= layer.drop_probability)
        return np.asarray(np.maximum(units @ (weight * kept).T + bias, 0))
    if layer.training and layer.mask == "sample":
        kept = wide(torch.rand(len(x), *weight.shape) >= layer.drop_probability)
        return np.asarray(np.maximum(np.einsum("boi,bi->bo", weight * kept, units) + bias, 0))
    mean = (1 - p) * (units @ weight.T) + bias
    spread = np.sqrt(p * (1 - p) * (units**2 @ (weight**2).T))
    if layer.training:
        return np.asarray(np.maximum(mean + spread * wide(torch.randn(mean.shape)), 0))
    if layer.inference == "mean":
        return np.asarray(np.maximum(mean, 0))
    quantiles = module.get_buffer("quantiles").double().numpy().astype(np.longdouble)
    return np.asarray(np.maximum(mean + spread * quantiles[:, None, None], 0).mean(0))
