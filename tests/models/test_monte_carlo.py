"""Monte Carlo dropout in test and predict."""

import math
from collections.abc import Callable

import pytest
import torch
from pytorch_lightning import Trainer
from torch import Tensor, nn

from dropout_lab.datamodules import DigitsDataModule
from dropout_lab.models import ImageClassifier
from dropout_lab.models.dropout import MalDrop, NoDropout, Stage, StandardDropout, sampling
from dropout_lab.models.networks import FullyConnected, Head, Network
from dropout_lab.models.steps import Prediction, entropy


def classifier(**arguments: object) -> ImageClassifier:
    network = FullyConnected(
        [32], (1, 8, 8), dropout=lambda: StandardDropout(0.5), normalization="batch", weight_scale=0.3
    )
    return ImageClassifier(network, **arguments)  # type: ignore[arg-type]


def trainer(**arguments: object) -> Trainer:
    quiet = {
        "logger": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "enable_checkpointing": False,
        "accelerator": "cpu",
    }
    return Trainer(**{**quiet, **arguments})  # type: ignore[arg-type]


def mean_softmax(model: ImageClassifier, data: DigitsDataModule, passes: int) -> Tensor:
    """Batch after batch, pass after pass, as a trainer meets them."""
    batches = []
    with torch.no_grad(), sampling(model.network):
        for images, _ in data.test_dataloader():
            total = torch.zeros(len(images), 10, dtype=torch.float64)
            for _ in range(passes):
                total += model.network(images).double().softmax(1)
            batches.append(total / passes)
    return torch.cat(batches)


def predicted(found: object) -> tuple[Tensor, Tensor, Tensor]:
    assert isinstance(found, list)
    assert all(isinstance(batch, Prediction) for batch in found)
    return (
        torch.cat([batch.probabilities for batch in found]),
        torch.cat([batch.entropy for batch in found]),
        torch.cat([batch.target for batch in found]),
    )


def test_metrics_are_those_of_the_mean_softmax() -> None:
    # 359 images: the last batch is a short one, and a mean over batches is not a mean over samples.
    model, data = classifier(mc_samples=30), DigitsDataModule(batch_size=100)
    torch.manual_seed(7)
    (found,) = trainer().test(model, datamodule=data, verbose=False)
    torch.manual_seed(7)
    mean = mean_softmax(model, data, 30)
    target = data.splits.test.labels
    assert found["test/accuracy"] == pytest.approx((mean.argmax(1) == target).double().mean().item())
    nll = -mean[torch.arange(len(target)), target].log().mean().item()
    assert found["test/nll"] == pytest.approx(nll, rel=1e-5)
    assert found["test/loss"] == pytest.approx(nll, rel=1e-5)
    assert found["test/entropy"] == pytest.approx(-(mean * mean.log()).sum(1).mean().item(), rel=1e-5)
    single = trainer().test(classifier(), datamodule=data, verbose=False)[0]
    assert set(found) == {*single, "test/entropy"}


def test_entropy_is_a_mean_over_the_samples_of_all_processes() -> None:
    ours, theirs = classifier(mc_samples=2).test_entropy, classifier(mc_samples=2).test_entropy
    values = torch.rand(7)
    ours.update(values[:5])
    theirs.update(values[5:])
    # What torchmetrics does with the states of all processes.
    ours._reduce_states(theirs.metric_state)
    assert ours.compute().item() == pytest.approx(values.mean().item())


def test_entropy_starts_anew_at_each_test() -> None:
    model, data = classifier(mc_samples=2), DigitsDataModule()
    found = []
    for scale in (1.0, 0.1, 1.0):
        with torch.no_grad():
            model.network.head.linear.weight.mul_(scale)
        torch.manual_seed(7)
        found.append(trainer().test(model, datamodule=data, verbose=False)[0]["test/entropy"])
    assert found[0] < 2 < found[1] == found[2]


def test_predictions_are_the_mean_softmax_and_its_entropy() -> None:
    model, data = classifier(mc_samples=30), DigitsDataModule(batch_size=100)
    torch.manual_seed(7)
    probabilities, entropies, target = predicted(trainer().predict(model, datamodule=data))
    torch.manual_seed(7)
    mean = mean_softmax(model, data, 30)
    assert torch.allclose(probabilities.double(), mean, atol=1e-6)
    assert torch.allclose(probabilities.sum(1), torch.ones(359))
    assert torch.allclose(entropies.double(), -(mean * mean.log()).sum(1), atol=1e-5)
    assert ((entropies >= 0) & (entropies <= math.log(10))).all()
    assert torch.equal(target, data.splits.test.labels)
    assert not any(layer.sampling for layer in model.network.dropout_layers().values())


def test_without_samples_it_is_the_plain_pass() -> None:
    model, data = classifier(), DigitsDataModule()
    probabilities, entropies, _ = predicted(trainer().predict(model, datamodule=data))
    with torch.no_grad():
        logits = model.eval()(data.normalization(data.splits.test.pixels))
    assert torch.allclose(probabilities, logits.softmax(1), atol=1e-6)
    log_probabilities = logits.log_softmax(1)
    assert torch.allclose(entropies, -(log_probabilities.exp() * log_probabilities).sum(1), atol=1e-5)
    (found,) = trainer().test(model, datamodule=data, verbose=False)
    assert "test/entropy" not in found
    target = data.splits.test.labels
    assert found["test/accuracy"] == pytest.approx((logits.argmax(1) == target).double().mean().item())


def test_statistics_of_batch_norm_stay() -> None:
    model = classifier(mc_samples=3)
    before = {name: tensor.clone() for name, tensor in model.network.state_dict().items()}
    trainer().test(model, datamodule=DigitsDataModule(), verbose=False)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.network.state_dict().items())


def test_validation_is_deterministic() -> None:
    model, data = classifier(mc_samples=30), DigitsDataModule()
    first, second = (trainer().validate(model, datamodule=data, verbose=False)[0] for _ in range(2))
    assert first == second
    assert first == trainer().validate(copy_without_samples(model), datamodule=data, verbose=False)[0]
    assert "val/entropy" not in first


def copy_without_samples(model: ImageClassifier) -> ImageClassifier:
    other = classifier()
    other.load_state_dict(model.state_dict())
    return other


@pytest.mark.parametrize("sure", [1, 10, 50, 1000])
def test_entropy_is_within_its_bounds(sure: int) -> None:
    logits = torch.zeros(11, 10)
    logits[:10] = sure * torch.eye(10)
    for passes in (1, 7, 30, 47, 1000):
        log_mean = torch.stack([logits.log_softmax(1)] * passes).logsumexp(0) - math.log(passes)
        found = entropy(log_mean)
        assert found.isfinite().all()
        assert (found >= 0).all()
        assert (found <= math.log(10) * (1 + 1e-6)).all()
        assert found[10].item() == pytest.approx(math.log(10), rel=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mc_samples": -1}, "mc_samples must be a whole number, 0 or more, got -1"),
        ({"mc_samples": 2.5}, "mc_samples must be a whole number, 0 or more, got 2.5"),
        ({"mc_samples": math.nan}, "mc_samples must be a whole number, 0 or more, got nan"),
        ({"kl_weight": -0.1}, "kl_weight must be a number of 0 or more, got -0.1"),
        ({"kl_weight": math.nan}, "kl_weight must be a number of 0 or more, got nan"),
        ({"kl_weight": math.inf}, "kl_weight must be a number of 0 or more, got inf"),
    ],
)
def test_bad_arguments(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        classifier(**arguments)


class Functional(Network):
    """Drops by torch.nn.functional in training."""

    def __init__(self) -> None:
        linear = nn.Linear(64, 10)
        super().__init__(
            (1, 8, 8), 10, nn.Flatten(), Head(Stage(nn.Identity(), nn.Identity(), NoDropout()), linear)
        )

    def forward(self, images: Tensor, target: Tensor | None = None) -> Tensor:
        logits: Tensor = self.head(nn.functional.dropout(self.body(images), 0.5, self.training), target)
        return logits


def without(dropout: Callable[[], nn.Module]) -> Network:
    return FullyConnected([8], (1, 8, 8), 10, dropout=dropout)


@pytest.mark.parametrize("passes", [1, 5])
@pytest.mark.parametrize(
    "make", [Functional, lambda: without(NoDropout), lambda: without(lambda: MalDrop(rho=2))]
)
def test_passes_that_are_all_equal_are_said_and_have_no_entropy(
    make: Callable[[], Network], passes: int
) -> None:
    model, data = ImageClassifier(make(), mc_samples=passes), DigitsDataModule()
    with pytest.warns(
        UserWarning, match=f"mc_samples={passes}: no pass differs from the one without dropout"
    ):
        (found,) = trainer().test(model, datamodule=data, verbose=False)
    assert "test/entropy" not in found
    with pytest.warns(UserWarning, match=f"mc_samples={passes}: no pass differs"):
        trainer().predict(model, datamodule=data)
