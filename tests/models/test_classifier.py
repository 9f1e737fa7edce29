"""The LightningModule: loss, metrics, optimizer, checkpoint."""

import copy
import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from pytorch_lightning import Callback, LightningModule, Trainer, seed_everything
from pytorch_lightning.cli import ReduceLROnPlateau

from dropout_lab.datamodules import DigitsDataModule
from dropout_lab.models import ImageClassifier
from dropout_lab.models.classifier import fill_window
from dropout_lab.models.dropout import StandardDropout
from dropout_lab.models.networks import FullyConnected


def classifier(**arguments: object) -> ImageClassifier:
    network = FullyConnected([32], (1, 8, 8), dropout=lambda: StandardDropout(0.2))
    return ImageClassifier(network, **arguments)  # type: ignore[arg-type]


def trainer(**arguments: object) -> Trainer:
    quiet = {
        "logger": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "accelerator": "cpu",
    }
    return Trainer(**{**quiet, "enable_checkpointing": False, **arguments})  # type: ignore[arg-type]


def test_learns_the_digits() -> None:
    fit = trainer(max_epochs=25)
    model, data = classifier(), DigitsDataModule()
    fit.fit(model, datamodule=data)
    assert fit.callback_metrics["train/accuracy"] > 0.9
    assert fit.callback_metrics["val/accuracy"] > 0.9
    (test,) = fit.test(model, datamodule=data, verbose=False)
    assert set(test) == {"test/loss", "test/accuracy", "test/top5", "test/nll", "test/ece"}
    assert test["test/accuracy"] > 0.9


def test_metrics_are_those_of_the_whole_split() -> None:
    model, data = classifier(), DigitsDataModule(batch_size=50)
    (found,) = trainer().test(model, datamodule=data, verbose=False)
    images = data.normalization(data.splits.test.pixels)
    logits = model.eval()(images)
    labels = data.splits.test.labels
    assert found["test/accuracy"] == pytest.approx((logits.argmax(1) == labels).double().mean().item())
    assert found["test/loss"] == pytest.approx(F.cross_entropy(logits, labels).item(), rel=1e-5)


def test_class_weights_weigh_the_loss_and_not_the_likelihood() -> None:
    weights = [float(weight) for weight in range(1, 11)]
    model, data = classifier(class_weights=weights), DigitsDataModule(batch_size=10)
    (found,) = trainer().test(model, datamodule=data, verbose=False)
    logits = model.eval()(data.normalization(data.splits.test.pixels))
    labels = data.splits.test.labels
    expected = F.cross_entropy(logits, labels, weight=torch.tensor(weights)).item()
    assert found["test/loss"] == pytest.approx(expected, rel=1e-5)
    assert found["test/nll"] == pytest.approx(F.cross_entropy(logits, labels).item(), rel=1e-5)
    assert "class_weights" not in model.state_dict()


def test_default_optimizer_is_adam() -> None:
    optimizer = classifier().configure_optimizers()
    assert isinstance(optimizer, torch.optim.Adam)
    assert optimizer.param_groups[0]["lr"] == 1e-3


@pytest.mark.parametrize("interval", ["epoch", "step"])
def test_scheduler_steps_at_its_interval(interval: str) -> None:
    model = classifier(
        optimizer=lambda parameters: torch.optim.SGD(parameters, lr=1.0),
        scheduler=lambda optimizer: torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5),
        scheduler_interval=interval,
    )
    fit = trainer(max_epochs=2, limit_train_batches=3, limit_val_batches=1)
    fit.fit(model, datamodule=DigitsDataModule())
    steps = {"epoch": 2, "step": 6}[interval]
    assert fit.optimizers[0].param_groups[0]["lr"] == pytest.approx(0.5**steps)


def test_scheduler_that_watches_a_metric() -> None:
    model = classifier(
        scheduler=lambda optimizer: ReduceLROnPlateau(
            optimizer, monitor="val/loss", patience=0, threshold=1e9
        )
    )
    fit = trainer(max_epochs=3, limit_train_batches=1, limit_val_batches=1)
    fit.fit(model, datamodule=DigitsDataModule())
    assert fit.optimizers[0].param_groups[0]["lr"] < 1e-3


def test_predictions_are_probabilities_with_labels() -> None:
    data = DigitsDataModule()
    predictions = trainer().predict(classifier(), datamodule=data)
    assert predictions is not None
    probabilities = torch.cat([batch.probabilities for batch in predictions])  # type: ignore[union-attr]
    labels = torch.cat([batch.target for batch in predictions])  # type: ignore[union-attr]
    assert torch.allclose(probabilities.sum(1), torch.ones(359))
    assert torch.equal(labels, data.splits.test.labels)


def test_trained_from_python_a_checkpoint_loads_safely(tmp_path: Path) -> None:
    fit = trainer(max_epochs=1, limit_train_batches=2, limit_val_batches=1)
    model = classifier()
    fit.fit(model, datamodule=DigitsDataModule())
    fit.save_checkpoint(tmp_path / "model.ckpt")
    network = FullyConnected([32], (1, 8, 8), dropout=lambda: StandardDropout(0.2))
    again = ImageClassifier.load_from_checkpoint(tmp_path / "model.ckpt", network=network, weights_only=True)
    images = torch.randn(3, 1, 8, 8)
    assert torch.equal(again.eval()(images), model.eval()(images))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"class_weights": [1.0]}, "class_weights needs 10 numbers"),
        ({"class_weights": [0.0] * 10}, "class_weights needs 10 numbers above 0"),
        ({"scheduler_interval": "batch"}, "scheduler_interval must be 'epoch' or 'step', got 'batch'"),
    ],
)
def test_bad_arguments(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        classifier(**arguments)


def test_loss_of_a_new_network_is_near_the_logarithm_of_the_classes() -> None:
    network = FullyConnected([32], (1, 8, 8), weight_scale=1e-3)
    (found,) = trainer().test(ImageClassifier(network), datamodule=DigitsDataModule(), verbose=False)
    assert found["test/loss"] == pytest.approx(math.log(10), abs=1e-3)


def test_compiles_without_recompiling_at_every_batch() -> None:
    model = classifier()
    torch._dynamo.reset()
    step = torch.compile(model.validation_step, backend="aot_eager")
    batch = (torch.randn(4, 1, 8, 8), torch.tensor([1, 2, 3, 4]))
    model.train()
    trainer().strategy.connect(model)
    with torch.no_grad():
        step(batch, 0)
    with torch.no_grad(), torch._dynamo.config.patch(error_on_recompile=True):
        for _ in range(4):
            step(batch, 0)


class Masks(Callback):
    """Keeps the mask of every batch."""

    def __init__(self) -> None:
        self.masks: list[torch.Tensor] = []

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: object) -> None:
        (layer,) = (module for module in pl_module.modules() if isinstance(module, StandardDropout))
        assert layer.kept is not None
        self.masks.append(layer.kept)


def masks_of_a_fit(monkeypatch: pytest.MonkeyPatch, rank: int, seed: int | None = 3) -> list[torch.Tensor]:
    """Train as a rank; with None as a script does that seeds torch alone, the same on all ranks."""
    monkeypatch.setattr(ImageClassifier, "global_rank", property(lambda self: rank))
    if seed is None:
        torch.manual_seed(0)
        monkeypatch.setattr(Trainer, "world_size", 2)
    else:
        seed_everything(seed, verbose=False)
    masks = Masks()
    fit = trainer(max_epochs=2, limit_train_batches=2, limit_val_batches=1, callbacks=[masks])
    fit.fit(classifier(), datamodule=DigitsDataModule())
    return masks.masks


@pytest.mark.parametrize("seed", [3, None])
def test_each_rank_and_batch_has_masks_of_its_own_that_can_be_drawn_again(
    monkeypatch: pytest.MonkeyPatch, seed: int | None
) -> None:
    monkeypatch.setenv("PL_GLOBAL_SEED", "0")
    if seed is None:
        monkeypatch.delenv("PL_GLOBAL_SEED")
    first, again, other = (masks_of_a_fit(monkeypatch, rank, seed) for rank in (0, 0, 1))
    assert all(torch.equal(one, two) for one, two in zip(first, again, strict=True))
    assert not any(torch.equal(one, two) for one, two in zip(first, other, strict=True))
    assert not any(torch.equal(first[0], later) for later in first[1:])


def test_lbfgs_counts_each_image_once() -> None:
    fit, data = trainer(max_epochs=1), DigitsDataModule(train_limit=300)
    fit.fit(classifier(optimizer=lambda parameters: torch.optim.LBFGS(parameters, lr=0.1)), datamodule=data)
    right = fit.callback_metrics["train/accuracy"].item() * 300
    assert right == pytest.approx(round(right), abs=1e-3)


def test_sparse_adam_is_refused_before_training() -> None:
    with pytest.raises(ValueError, match="SparseAdam steps by sparse gradients"):
        classifier(optimizer=torch.optim.SparseAdam).configure_optimizers()


@pytest.mark.parametrize("accumulated", [2, 3, 4])
def test_the_last_step_of_an_epoch_is_a_mean_over_its_batches(accumulated: int) -> None:
    data = DigitsDataModule(batch_size=50, train_limit=200)
    model = ImageClassifier(FullyConnected([8], (1, 8, 8)), lambda params: torch.optim.SGD(params, lr=0.5))
    expected = copy.deepcopy(model.network)
    fit = trainer(max_epochs=1, accumulate_grad_batches=accumulated, limit_val_batches=0)
    fit.fit(model, datamodule=data)
    data.trainer = None
    parameters = [*expected.parameters()]
    batches = [*data.train_dataloader()]
    assert len(batches) == 4
    for first in range(0, 4, accumulated):
        window = batches[first : first + accumulated]
        losses = [F.cross_entropy(expected(images), labels) for images, labels in window]
        gradients = torch.autograd.grad(torch.stack(losses).mean(), parameters)
        with torch.no_grad():
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter.sub_(0.5 * gradient)
    for found, parameter in zip(model.network.parameters(), parameters, strict=True):
        torch.testing.assert_close(found, parameter)


@pytest.mark.parametrize(
    ("batch", "batches", "accumulated", "factor"),
    [
        (0, 9, 1, 1),
        (8, 9, 4, 4),
        (7, 9, 4, 1),
        (8, 10, 4, 2),
        (9, 10, 4, 2),
        (1, 2, 8, 4),
        (5, math.inf, 4, 1),
    ],
)
def test_window(batch: int, batches: float, accumulated: int, factor: float) -> None:
    assert fill_window(batch, batches, accumulated) == factor


class Looks(Callback):
    """Looks at something in evaluation after the first epoch, and forgets to go back."""

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.current_epoch == 1:
            pl_module.eval()


def test_a_network_that_is_trained_in_evaluation_is_said() -> None:
    fit = trainer(max_epochs=3, limit_train_batches=2, limit_val_batches=0, callbacks=[Looks()])
    with pytest.warns(
        UserWarning, match=r"in evaluation in training \(epoch 1, batch 0\): nothing drops"
    ) as said:
        fit.fit(classifier(), datamodule=DigitsDataModule())
    assert sum("in evaluation" in str(each.message) for each in said) == 1
