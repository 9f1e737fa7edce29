"""channels_last: the same results from the same numbers in another order of memory."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dropout_lab.datamodules import DigitsDataModule
from dropout_lab.models import ImageClassifier
from dropout_lab.models.dropout import Dropout, MalDrop, StandardDropout
from dropout_lab.models.networks import GavierMNIST
from tests.callbacks.fits import small_network
from tests.models.dropout.test_contract import OF_WEIGHTS, VARIANTS, inputs, make
from tests.models.test_classifier import trainer


def is_channels_last(x: Tensor) -> bool:
    return x.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("mode", [True, False])
@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.__name__)
def test_every_variant_gives_the_same(variant: type[Dropout], mode: bool) -> None:
    if variant in OF_WEIGHTS:
        pytest.skip("a linear layer's input is (B, D)")
    torch.manual_seed(3)
    layer = make(variant)
    x, target, weight = inputs(torch.randn(6, 3, 4, 5).relu())
    # A training forward, so that pass rates are not all 1.
    layer(x, target, weight)
    other = copy.deepcopy(layer)
    results = []
    for each, memory in ((layer, torch.contiguous_format), (other, torch.channels_last)):
        torch.manual_seed(5)
        given = x.clone(memory_format=memory).requires_grad_()
        out = each.train(mode)(given, target, weight)
        out.square().sum().backward()
        assert given.grad is not None
        results.append((out.detach(), given.grad, each.kept))
    (out, gradient, kept), (out_last, gradient_last, kept_last) = results
    torch.testing.assert_close(out_last, out)
    torch.testing.assert_close(gradient_last, gradient)
    assert (kept is None) == (kept_last is None)
    if kept is not None and kept_last is not None:
        assert torch.equal(kept_last, kept)
    for mine, theirs in zip(layer.state_dict().values(), other.state_dict().values(), strict=True):
        torch.testing.assert_close(theirs, mine)


def digits() -> DigitsDataModule:
    return DigitsDataModule(batch_size=10, train_limit=40)


def small_cnn(**options: Any) -> GavierMNIST:
    return GavierMNIST(image_shape=(1, 8, 8), **options)


def test_a_fit_learns_the_same() -> None:
    results = []
    for last in (False, True):
        torch.manual_seed(0)
        model = ImageClassifier(small_cnn(dropout=lambda: MalDrop(4)), channels_last=last)
        trainer(max_epochs=2).fit(model, datamodule=digits())
        results.append(model)
    plain, last_model = results
    weights = [each for each in last_model.network.parameters() if each.dim() == 4]
    assert all(is_channels_last(each) for each in weights)
    for mine, theirs in zip(plain.parameters(), last_model.parameters(), strict=True):
        torch.testing.assert_close(theirs, mine, rtol=1e-3, atol=1e-4)


def test_images_and_feature_maps_are_channels_last() -> None:
    network = GavierMNIST(image_shape=(3, 8, 8), dropout=lambda: StandardDropout(0.2))
    model = ImageClassifier(network, channels_last=True)
    seen: list[bool] = []
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(
                lambda _, given, out: seen.extend((is_channels_last(given[0]), is_channels_last(out)))
            )
    model(torch.randn(4, 3, 8, 8))
    assert seen == [True] * 4


def test_without_convolutions_nothing_changes() -> None:
    model = ImageClassifier(small_network(), channels_last=True)
    seen: list[Tensor] = []
    model.network.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    images = torch.randn(4, 3, 8, 8)[:, :1]
    model.eval()(images)
    assert seen[0] is images


@pytest.mark.slow
def test_a_checkpoint_goes_both_ways(tmp_path: Path) -> None:
    data = digits()
    for first, second in ((False, True), (True, False)):
        file = tmp_path / f"{first}.ckpt"
        # In double precision, where Adam makes nothing large of rounding.
        fit = trainer(max_epochs=1, precision="64-true")
        model = ImageClassifier(small_cnn(), channels_last=first)
        fit.fit(model, datamodule=data)
        fit.save_checkpoint(file)
        results = []
        for last in (first, second):
            again = ImageClassifier(small_cnn(), channels_last=last)
            torch.manual_seed(1)
            fit = trainer(max_epochs=2, precision="64-true")
            fit.fit(again, datamodule=data, ckpt_path=file, weights_only=True)
            results.append(again)
        for mine, theirs in zip(results[0].parameters(), results[1].parameters(), strict=True):
            torch.testing.assert_close(theirs, mine)
