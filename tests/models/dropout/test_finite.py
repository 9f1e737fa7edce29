"""Finite out of finite: every variant, in every type, at the ends of its range.

Where the exact result is a number of the type, so is the layer's, and it is that number but for rounding; likewise its
gradients are finite. An exact result beyond the range, as x/(1 − p) of an x near the largest number, is infinite.
"""

from collections import Counter
from itertools import islice

import numpy as np
import pytest
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
    SpatialDropout,
    SpatialMalDrop,
    StandardDropout,
    Standout,
)
from tests.models.dropout.extremes import Case, cases
from tests.models.dropout.laws import Wide, law, sizes, wide

# Of an exact result: some roundings, the first that of a factor in float32.
ROUNDING = {torch.float64: 1e-6, torch.float32: 1e-5, torch.bfloat16: 2.5e-2, torch.float16: 4e-3}

FEW, MANY = 173, 5
"""`make test` checks one case in so many, `make test-all` one in five: primes, so that every kind comes in."""


def check(case: Case) -> None:
    """Check training, with its gradients, and evaluation."""
    torch.manual_seed(case.seed())
    layer, x = case.layer(), case.input()
    assert x.isfinite().all(), case
    module: nn.Module = layer
    if isinstance(layer, DropConnect):
        module = layer.join(nn.Linear(x.shape[1], x.shape[1]), nn.ReLU())
    module.to(case.dtype)
    target = torch.arange(len(x)) % 3
    weight = (torch.randn(3, x[0].numel()) * (torch.finfo(case.dtype).max ** 0.5 / 8)).to(case.dtype)
    before = x.clone()
    x.requires_grad_()
    for mode in (True, False):
        x.grad = None
        torch.manual_seed(case.seed() + 1)
        out = module.train(mode)(x, target, weight)
        assert out.shape == x.shape, case
        assert out.dtype == x.dtype, case
        _check_output(case, layer, module, x, out)
        if out.requires_grad:
            out.backward((torch.rand(out.shape) * 2 - 1).to(out.dtype))
            _check_gradients(case, layer, module, x)
    assert torch.equal(x.detach(), before), case
    assert torch.equal(x.detach().signbit(), before.signbit()), case
    if isinstance(layer, MalDrop | SpatialMalDrop):
        assert layer.kept is not None
        assert ((~layer.kept).flatten(1).sum(1) == layer.rho).all(), case


def _check_output(case: Case, layer: Dropout, module: nn.Module, x: Tensor, out: Tensor) -> None:
    exact = law(layer, module, x, case.seed() + 1)
    most = torch.finfo(case.dtype).max
    units = wide(x)
    if exact is None:
        factor = np.longdouble(1)
        if isinstance(layer, Chain | ForeignDropout):
            factor = np.longdouble(4)
        if isinstance(layer, DropIn):
            factor = np.longdouble(1) if layer.value_rule == "mean" and layer.scale == "none" else factor
        held = np.abs(units).max() * factor <= most
        if isinstance(layer, DropIn) and layer.value_rule != "mean":
            held = held and float(layer.value) <= most
        assert out.isfinite().all() or not held, (case, layer)
        return
    saturates = layer.training and (
        (isinstance(layer, DropAlan) and layer.scaled)
        or (isinstance(layer, GaussianDropout) and layer.noise == "zero")
    )
    limit = most * (1 - ROUNDING[case.dtype])
    whole = np.abs(exact)
    if isinstance(layer, DropConnect):
        # Six standard deviations of noise; in evaluation the sum of the samples, for float16 in float32.
        added = layer.samples if not layer.training and case.dtype != torch.float16 else 1
        whole = sizes(module, x) * 6 * added
    if isinstance(layer, Chain):
        # A unit that the first layer makes infinite is no number for the second.
        whole = np.full_like(exact, np.abs(units).max() * 2)
    held_all: Wide = (whole <= limit) | saturates
    finite = out.detach().isfinite().numpy()
    assert finite[held_all].all(), (case, layer, exact, out)
    if saturates:
        exact = np.clip(exact, -most, most)
    info = torch.finfo(case.dtype)
    slack = (
        info.smallest_normal
        if isinstance(layer, DropConnect | Standout)
        else info.smallest_normal * info.eps * 2
    )
    # A sum's rounding goes by its terms.
    scale = whole if isinstance(layer, DropConnect) else np.abs(exact)
    if isinstance(layer, GaussianDropout):
        p = wide(layer.drop_probability)
        spread = p / (1 - p) if layer.noise == "zero" else np.sqrt(p / (1 - p))
        scale = np.abs(units) * (1 + 6 * spread)
    rounding = ROUNDING[case.dtype]
    if isinstance(layer, DropAlan | Standout | DropAct | DropInv | DropCorr):
        # 1 − d and 1 − k/N lose as much as they are smaller than 1.
        rounding = max(rounding, 1e-3)
    near = np.abs(wide(out) - exact) <= scale * rounding + slack
    assert near[held_all].all(), (case, layer, exact, out)


def _check_gradients(case: Case, layer: Dropout, module: nn.Module, x: Tensor) -> None:
    most = torch.finfo(case.dtype).max
    largest = wide(x.abs().max())
    slope: Wide = np.asarray(2000, dtype=np.longdouble)
    if isinstance(layer, StandardDropout | SpatialDropout):
        slope = 1 / (1 - wide(layer.drop_probability))
    if isinstance(layer, DropAlan):
        slope = np.asarray(2 / (1 - layer.max_drop), dtype=np.longdouble)
    if isinstance(layer, DropConnect):
        slope = np.abs(wide(module.get_parameter("affine.weight"))).sum() * 6
    rare = isinstance(layer, MultinomialDropout) and case.values in (
        "of all sizes",
        "most and denormal",
        "outlier",
    )
    mass = isinstance(layer, DropIn) and layer.scale != "none"
    # What the noise of a sum is scaled down by on the way forward may be infinite on the way back.
    drawn = isinstance(layer, DropConnect) and layer.mask == "gaussian"
    if drawn or (isinstance(layer, DropConnect) and not layer.training):
        slope = slope * largest
    if slope <= most and not rare and not mass:
        assert x.grad is not None
        assert x.grad.isfinite().all(), (case, layer)
    bound: Wide = np.asarray(largest * 8 * x.numel())
    if isinstance(layer, Standout):
        bound = bound * largest
    for name, parameter in module.named_parameters():
        if parameter.grad is not None and bound <= most:
            assert parameter.grad.isfinite().all(), (case, layer, name)


@pytest.mark.parametrize(
    ("every", "least"), [(FEW, 400), pytest.param(MANY, 10_000, marks=pytest.mark.slow)], ids=["some", "many"]
)
def test_cases(every: int, least: int) -> None:
    checked: Counter[torch.dtype] = Counter()
    for case in islice(cases(), 0, None, every):
        check(case)
        checked[case.dtype] += 1
    assert checked.total() >= least
    assert len(checked) == 4
