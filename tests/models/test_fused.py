"""Fused optimizers: the same weights, and no optimizer changed that somebody has chosen."""

import copy
from collections.abc import Callable, Iterator

import pytest
import torch
from pytorch_lightning.plugins.precision import MixedPrecision
from torch import nn
from torch.optim import LBFGS, SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop

from dropout_lab.models import ImageClassifier
from dropout_lab.models.optimizers import use_fused
from tests.callbacks.fits import fit, small_network

MakeOptimizer = Callable[[Iterator[nn.Parameter]], Optimizer]
FUSED: dict[str, MakeOptimizer] = {
    "Adam": lambda parameters: Adam(parameters, lr=1e-2, weight_decay=1e-2),
    "AMSGrad": lambda parameters: Adam(parameters, lr=1e-2, amsgrad=True),
    "AdamW": lambda parameters: AdamW(parameters, lr=1e-2),
    "SGD": lambda parameters: SGD(parameters, lr=1e-2),
    "SGD with momentum": lambda parameters: SGD(
        parameters, lr=1e-2, momentum=0.9, dampening=0.1, weight_decay=1e-2
    ),
    "Adagrad": lambda parameters: Adagrad(parameters, lr=1e-2, initial_accumulator_value=0.1),
}


class Own(Optimizer):
    """A user's optimizer, which knows nothing of the option."""

    def __init__(self, parameters: Iterator[nn.Parameter]) -> None:
        super().__init__(parameters, {"lr": 0.1})


LEFT_ALONE: dict[str, MakeOptimizer] = {
    "RMSprop": RMSprop,
    "LBFGS": LBFGS,
    "a user's": Own,
    "fused=False": lambda parameters: Adam(parameters, fused=False),
    "foreach=True": lambda parameters: Adam(parameters, foreach=True),
    "foreach=False": lambda parameters: SGD(parameters, foreach=False),
    "capturable": lambda parameters: Adam(parameters, capturable=True),
    "differentiable": lambda parameters: SGD(parameters, differentiable=True),
}


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 10))


def train(module: nn.Module, optimizer: Optimizer, steps: int = 5) -> None:
    torch.manual_seed(1)
    for _ in range(steps):
        optimizer.zero_grad()
        module(torch.randn(8, 3, 8, 8)).square().mean().backward()
        optimizer.step()


def assert_same_weights(one: nn.Module, other: nn.Module) -> None:
    for mine, theirs in zip(one.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs)


def is_fused(optimizer: Optimizer) -> set[object]:
    return {group.get("fused") for group in optimizer.param_groups}


@pytest.mark.parametrize("make", FUSED.values(), ids=FUSED)
def test_the_weights_are_the_same(make: MakeOptimizer) -> None:
    plain, fused = network(), network()
    optimizer = make(fused.parameters())
    use_fused(optimizer)
    assert is_fused(optimizer) == {True}
    train(plain, make(plain.parameters()))
    train(fused, optimizer)
    assert_same_weights(plain, fused)


@pytest.mark.parametrize("make", LEFT_ALONE.values(), ids=LEFT_ALONE)
def test_left_alone(make: MakeOptimizer) -> None:
    optimizer = make(network().parameters())
    before = copy.deepcopy(optimizer.param_groups[0])
    use_fused(optimizer)
    after = optimizer.param_groups[0]
    assert {key: after[key] for key in after if key != "params"} == {
        key: before[key] for key in before if key != "params"
    }


def test_parameters_without_kernels_are_left_alone() -> None:
    whole = [nn.Parameter(torch.zeros(3, dtype=torch.complex64)), nn.Parameter(torch.zeros(3))]
    for parameters in (whole, [nn.Parameter(torch.zeros(3, device="meta"))]):
        optimizer = Adam(parameters)
        use_fused(optimizer)
        assert is_fused(optimizer) == {None}


@pytest.mark.parametrize(("momentum", "expected"), [(0.0, True), (0.9, None)])
def test_a_frozen_parameter_may_be_thawed(momentum: float, expected: bool | None) -> None:
    module = network()
    bias = next(parameter for parameter in module.parameters() if parameter.dim() == 1)
    bias.requires_grad_(False)
    optimizer = SGD(module.parameters(), lr=0.1, momentum=momentum)
    use_fused(optimizer)
    assert is_fused(optimizer) == {expected}
    train(module, optimizer, steps=1)
    bias.requires_grad_(True)
    train(module, optimizer, steps=2)


@pytest.mark.parametrize("to_fused", [True, False])
@pytest.mark.parametrize("make", FUSED.values(), ids=FUSED)
def test_state_goes_both_ways(make: MakeOptimizer, to_fused: bool) -> None:
    module = network()
    first, second = make(module.parameters()), make(module.parameters())
    use_fused(second if to_fused else first)
    train(module, first)
    other = copy.deepcopy(module)
    again = make(other.parameters())
    if to_fused:
        use_fused(again)
    again.load_state_dict(copy.deepcopy(first.state_dict()))
    # As for every option of an optimizer, a checkpoint's word counts.
    assert is_fused(again) == is_fused(first)
    train(module, first)
    train(other, again)
    assert_same_weights(module, other)


@pytest.mark.parametrize("make", FUSED.values(), ids=FUSED)
@pytest.mark.parametrize("to_channels_last", [True, False])
def test_state_takes_the_layout_of_its_parameters(make: MakeOptimizer, to_channels_last: bool) -> None:
    formats = [torch.contiguous_format, torch.channels_last]
    before, after = formats if to_channels_last else formats[::-1]
    module = network().to(memory_format=before)
    optimizer = make(module.parameters())
    use_fused(optimizer)
    train(module, optimizer)
    other = copy.deepcopy(module).to(memory_format=after)
    again = make(other.parameters())
    use_fused(again)
    again.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    train(module, optimizer)
    train(other, again)
    assert_same_weights(module, other)


def test_a_fit_uses_it_and_clips() -> None:
    # On the CPU Lightning makes bfloat16 of 16-mixed, which has no scaler.
    scaled = MixedPrecision("16-mixed", "cpu", scaler=torch.amp.GradScaler("cpu"))
    trainer = fit(network=small_network(), gradient_clip_val=0.1, plugins=[scaled], limit_train_batches=2)
    (optimizer,) = trainer.optimizers
    assert is_fused(optimizer) == {True}
    # With it, Lightning refuses to clip.
    assert "_step_supports_amp_scaling" not in vars(optimizer)


def test_a_fit_can_do_without() -> None:
    model = ImageClassifier(small_network(), lambda parameters: Adam(parameters, lr=1e-3, fused=False))
    trainer = fit(classifier=model, fast_dev_run=True)
    assert is_fused(trainer.optimizers[0]) == {False}


def test_options_that_exclude_each_other_are_a_wrong_argument() -> None:
    model = ImageClassifier(small_network(), lambda parameters: Adam(parameters, fused=True, foreach=True))
    with pytest.raises(ValueError, match="optimizer: .*fused.* and .*foreach.* cannot be"):
        model.configure_optimizers()
