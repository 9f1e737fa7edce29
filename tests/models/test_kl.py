"""The divergence of learned noise in the training loss."""

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import pytest
import torch
import torch.nn.functional as F
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor, nn

from dropout_lab.datamodules import DigitsDataModule
from dropout_lab.models import ImageClassifier
from dropout_lab.models.dropout import Chain, DropAlan, StandardDropout, VariationalDropout
from dropout_lab.models.networks import FullyConnected
from tests.models.test_monte_carlo import trainer

Granularity = Literal["layer", "unit"]
GRANULARITIES: tuple[Granularity, ...] = ("layer", "unit")


def network_with(make: Callable[[], nn.Module]) -> FullyConnected:
    return FullyConnected([20, 12], (1, 8, 8), dropout=make)


def variational(granularity: Granularity) -> VariationalDropout:
    return VariationalDropout(0.2, granularity)


class Steps(Callback):
    """Draws the noise of each step once more and keeps what the loss should be, and what was logged."""

    def __init__(self) -> None:
        self.expected: list[tuple[float, float]] = []
        self.logged: list[dict[str, float]] = []
        self.state: Tensor | None = None

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, ImageClassifier)
        state = torch.get_rng_state()
        images, target = batch
        with torch.no_grad():
            cross_entropy = F.cross_entropy(pl_module(images, target), target)
            # By hand, over modules: each layer's divergence once, wherever it stands.
            parts = [each.kl() for each in pl_module.modules() if isinstance(each, VariationalDropout)]
        torch.set_rng_state(state)
        self.expected.append((cross_entropy.item(), sum(part.item() for part in parts)))

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        assert isinstance(pl_module, ImageClassifier)
        self.logged.append(pl_module.steps.latest)


def fitted(model: ImageClassifier, **arguments: object) -> tuple[Steps, Trainer]:
    steps = Steps()
    fit = trainer(
        **{"max_epochs": 1, "limit_train_batches": 3, "limit_val_batches": 1, **arguments},
        log_every_n_steps=1,
        callbacks=[steps],
    )
    fit.fit(model, datamodule=DigitsDataModule(train_limit=400))
    return steps, fit


@pytest.mark.parametrize("kl_weight", [0.0, 1.0, 2.5])
@pytest.mark.parametrize(
    "make",
    [
        partial(variational, "layer"),
        partial(variational, "unit"),
        lambda: Chain([variational("unit"), StandardDropout(0.1)]),
        lambda: Chain([StandardDropout(0.1), Chain([variational("layer"), variational("unit")])]),
        lambda: Chain([DropAlan(), variational("layer")]),
    ],
    ids=["layer", "unit", "chain", "chain-of-chain", "chain-that-is-a-stage"],
)
def test_loss_is_cross_entropy_and_its_share_of_the_divergence(
    make: Callable[[], nn.Module], kl_weight: float
) -> None:
    model = ImageClassifier(network_with(make), kl_weight=kl_weight)
    steps, fit = fitted(model)
    assert len(steps.logged) == 3
    losses = []
    for (cross_entropy, kl), logged in zip(steps.expected, steps.logged, strict=True):
        assert kl > 0
        assert logged["train/kl"] == pytest.approx(kl, rel=1e-5)
        losses.append(cross_entropy + kl_weight * kl / 400)
        assert logged["train/loss_step"] == pytest.approx(losses[-1], rel=1e-5)
    assert fit.callback_metrics["train/loss"].item() == pytest.approx(sum(losses) / 3, rel=1e-5)
    # Likelihood is that of the labels alone, and so is all that is measured in evaluation.
    mean = sum(cross_entropy for cross_entropy, _ in steps.expected) / 3
    assert fit.callback_metrics["train/nll"].item() == pytest.approx(mean, rel=1e-5)
    assert fit.callback_metrics["val/loss"].item() == pytest.approx(fit.callback_metrics["val/nll"].item())


def test_other_networks_have_none() -> None:
    model = ImageClassifier(network_with(StandardDropout))
    assert model.kl() is None
    steps, fit = fitted(model)
    assert not any("train/kl" in logged for logged in steps.logged)
    assert "train/kl" not in fit.callback_metrics
    for (cross_entropy, _), logged in zip(steps.expected, steps.logged, strict=True):
        assert logged["train/loss_step"] == pytest.approx(cross_entropy, rel=1e-5)


@pytest.mark.parametrize("granularity", GRANULARITIES)
def test_divergence_reaches_the_gradient(granularity: Granularity) -> None:
    model = ImageClassifier(network_with(partial(variational, granularity)))
    kl = model.kl()
    assert kl is not None
    kl.backward()  # type: ignore[no-untyped-call]
    layers = [each for each in model.modules() if isinstance(each, VariationalDropout)]
    assert len(layers) == 2
    for layer in layers:
        assert layer.log_alpha.grad is not None
        assert (layer.log_alpha.grad < 0).all()


@pytest.mark.parametrize("granularity", GRANULARITIES)
def test_noise_is_learned_in_a_fit_of_the_digits(granularity: Granularity) -> None:
    model = ImageClassifier(
        network_with(partial(variational, granularity)), lambda params: torch.optim.Adam(params, lr=1e-2)
    )
    layers = [each for each in model.modules() if isinstance(each, VariationalDropout)]
    before = [layer.log_alpha.detach().clone() for layer in layers]
    assert [start.shape for start in before] == ([(), ()] if granularity == "layer" else [(20,), (12,)])
    _, fit = fitted(model, max_epochs=15, limit_train_batches=1.0)
    held = {id(parameter) for group in fit.optimizers[0].param_groups for parameter in group["params"]}
    for layer, start in zip(layers, before, strict=True):
        assert id(layer.log_alpha) in held
        assert layer.log_alpha.isfinite().all()
        assert (layer.log_alpha.detach() != start).all()
    assert fit.callback_metrics["train/accuracy"] > 0.5


def test_without_weight_the_noise_dies_and_with_a_large_one_it_grows() -> None:
    alphas = []
    for kl_weight in (0.0, 100.0):
        torch.manual_seed(0)
        model = ImageClassifier(
            network_with(partial(variational, "layer")),
            lambda params: torch.optim.Adam(params, lr=1e-2),
            kl_weight=kl_weight,
        )
        fitted(model, max_epochs=10, limit_train_batches=1.0)
        layers = [each for each in model.modules() if isinstance(each, VariationalDropout)]
        alphas.append([layer.log_alpha.exp().item() for layer in layers])
    assert all(alpha < 0.25 for alpha in alphas[0])
    assert all(alpha > 0.25 for alpha in alphas[1])
