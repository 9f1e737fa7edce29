"""PassRateTracker against masks kept and counted by hand."""

from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor

from dropout_lab.callbacks import PassRateTracker
from dropout_lab.callbacks.pass_rate_tracker import Passes, count_passes
from dropout_lab.models import ImageClassifier
from dropout_lab.models.dropout import (
    Chain,
    DropIn,
    Dropout,
    GaussianDropout,
    MalDrop,
    NoDropout,
    StandardDropout,
    dropout_layers,
)
from tests.callbacks.fits import SaveAfter, events, fit, scalars, small_network

HEAD = "network.head.stage.dropout"
INNER = "network.body.1.dropout"


class Masks(Callback):
    """Keeps every mask of every training batch, by epoch."""

    def __init__(self, name: str = HEAD) -> None:
        self.name = name
        self.epochs: list[list[Tensor]] = []

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.epochs.append([])

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        kept = dropout_layers(pl_module)[self.name].kept
        assert kept is not None
        self.epochs[-1].append(kept)

    def rates(self) -> list[Tensor]:
        return [torch.cat(masks).double().mean(0) for masks in self.epochs]


@pytest.mark.parametrize(
    ("shape", "batch_size"),
    [
        ((6, 5), 6),
        ((1, 5), 6),
        ((5,), 6),
        ((6, 3, 2, 2), 6),
        ((6, 3, 1, 1), 6),
        ((1, 3, 1, 1), 6),
        ((600, 4), 600),
    ],
)
def test_a_batch_is_counted_unit_by_unit(shape: tuple[int, ...], batch_size: int) -> None:
    kept = torch.rand(shape) < 0.7
    units = kept.expand(batch_size, *shape) if len(shape) == 1 else kept.expand(batch_size, *shape[1:])
    expected = [sum(int(passed) for passed in unit) for unit in units.flatten(1).t()]
    counted = count_passes(kept, batch_size)
    assert counted.passed.tolist() == expected
    assert counted.samples == batch_size


def test_more_rows_than_a_byte_holds() -> None:
    assert count_passes(torch.ones(1000, 3, dtype=torch.bool), 1000).passed.tolist() == [1000] * 3


def test_masks_of_any_layout_are_counted() -> None:
    kept = (torch.rand(7, 300) < 0.5).t()
    assert torch.equal(count_passes(kept, 300).passed, kept.sum(0))


def test_figures_are_those_of_the_masks(tmp_path: Path) -> None:
    masks = Masks()
    # Few samples of a high p: some units never pass, some always.
    network = small_network(lambda: StandardDropout(0.8))
    fit(masks, PassRateTracker(), network=network, logs=tmp_path, max_epochs=2, limit_train_batches=1)
    for epoch, rate in enumerate(masks.rates()):
        expected = {
            "mean": rate.mean(), "min": rate.min(), "max": rate.max(),
            "never": (rate == 0).double().mean(), "always": (rate == 1).double().mean(),
        }  # fmt: skip
        for name, value in expected.items():
            assert scalars(tmp_path, f"pass_rate/{HEAD}/{name}")[epoch][1] == pytest.approx(value.item())
    histograms = events(tmp_path).Histograms(f"pass_rate/{HEAD}")
    assert [event.histogram_value.num for event in histograms] == [16, 16]
    assert histograms[0].histogram_value.sum == pytest.approx(masks.rates()[0].sum().item())


@pytest.mark.parametrize("make", [lambda: MalDrop(5), lambda: Chain([StandardDropout(0.5), DropIn(0.9)])])
def test_a_whole_epoch_with_a_smaller_last_batch(make: Any, tmp_path: Path) -> None:
    masks = Masks()
    fit(masks, PassRateTracker(), network=small_network(make), logs=tmp_path)
    assert sum(len(kept) for kept in masks.epochs[0]) == 1222
    (rate,) = masks.rates()
    assert [value for _, value in scalars(tmp_path, f"pass_rate/{HEAD}/min")] == pytest.approx(
        [rate.min().item()]
    )
    assert [value for _, value in scalars(tmp_path, f"pass_rate/{HEAD}/max")] == pytest.approx(
        [rate.max().item()]
    )


def test_units_that_never_and_always_pass(tmp_path: Path) -> None:
    class Fixed(Dropout):
        def forward(self, x: Tensor, target: Tensor | None = None, weight: Tensor | None = None) -> Tensor:
            if self.training:
                self.kept = (torch.arange(x.shape[1]) >= 4).view(1, -1)
            return x

    fit(PassRateTracker(), network=small_network(Fixed), logs=tmp_path)
    shares = {
        name: scalars(tmp_path, f"pass_rate/{HEAD}/{name}")[0][1] for name in ("never", "always", "mean")
    }
    assert shares == {"never": 0.25, "always": 0.75, "mean": 0.75}


def test_a_layer_that_a_batch_has_not_run_is_not_counted_again() -> None:
    module = ImageClassifier(small_network())
    layer = dropout_layers(module)[HEAD]
    tracker, trainer = (
        PassRateTracker(HEAD),
        Trainer(accelerator="cpu", logger=False, enable_checkpointing=False),
    )
    tracker.on_train_start(trainer, module)
    layer.kept = torch.ones(4, 16, dtype=torch.bool)
    for step in range(3):
        tracker.on_train_batch_end(trainer, module, {}, (torch.zeros(4, 1), None), step)
    assert tracker.state_dict()["samples"] == {HEAD: 4}


def test_the_pattern_chooses_layers(tmp_path: Path) -> None:
    fit(PassRateTracker("*.head.*"), logs=tmp_path, limit_train_batches=2)
    watched = {
        tag.split("/")[1] for tag in events(tmp_path).Tags()["scalars"] if tag.startswith("pass_rate/")
    }
    assert watched == {HEAD}


def test_a_pattern_of_nothing_names_the_layers() -> None:
    with pytest.warns(
        UserWarning, match=rf"layers='no.\*'\) watches nothing: the dropout layers are {INNER}, {HEAD}"
    ):
        fit(PassRateTracker("no.*"), limit_train_batches=2)


@pytest.mark.parametrize("make", [GaussianDropout, NoDropout])
def test_layers_without_a_mask_are_left_out_and_named(make: type[Dropout], tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match=f"counts nothing: none of {INNER}, {HEAD} has left a mask"):
        fit(PassRateTracker(), network=small_network(make), logs=tmp_path, limit_train_batches=2)
    assert not [tag for tag in events(tmp_path).Tags()["scalars"] if tag.startswith("pass_rate/")]


def test_units_that_change_in_number_are_an_error() -> None:
    module = ImageClassifier(small_network())
    tracker, trainer = PassRateTracker(), Trainer(accelerator="cpu", logger=False, enable_checkpointing=False)
    tracker.on_train_start(trainer, module)
    for units in (16, 17):
        dropout_layers(module)[HEAD].kept = torch.ones(4, units, dtype=torch.bool)
        if units == 16:
            tracker.on_train_batch_end(trainer, module, {}, (torch.zeros(4, 1), None), 0)
    with pytest.raises(ValueError, match=f"{HEAD} had 16 units and now has 17"):
        tracker.on_train_batch_end(trainer, module, {}, (torch.zeros(4, 1), None), 0)


@pytest.mark.filterwarnings("ignore:You're resuming from a checkpoint that ended before the epoch ended")
def test_an_epoch_resumed_in_its_midst_counts_all_its_samples(tmp_path: Path) -> None:
    # The masks of a batch follow from seed, epoch and batch, so the whole epoch's are those of the parts.
    options: dict[str, Any] = {"max_epochs": 2, "limit_train_batches": 8}
    masks, midst = Masks(), tmp_path / "midst.ckpt"
    fit(masks, PassRateTracker(), SaveAfter(11, midst), logs=tmp_path / "whole", **options)
    saved = torch.load(midst, weights_only=True)["callbacks"]["PassRateTracker(layers='*')"]
    assert saved["samples"] == {INNER: 300, HEAD: 300}
    assert torch.equal(saved["passed"][HEAD], torch.cat(masks.epochs[1][:3]).sum(0))
    fit(PassRateTracker(), logs=tmp_path / "resumed", ckpt_path=midst, **options)
    for name in ("mean", "min", "max"):
        (_, second), (resumed,) = (
            scalars(tmp_path / run, f"pass_rate/{HEAD}/{name}") for run in ("whole", "resumed")
        )
        assert resumed == second


def test_passes_are_plain_in_a_checkpoint() -> None:
    tracker = PassRateTracker()
    tracker.load_state_dict({"passed": {HEAD: torch.tensor([3, 4])}, "samples": {HEAD: 5}})
    state = tracker.state_dict()
    assert type(state["passed"][HEAD]) is Tensor
    assert Passes(state["passed"][HEAD], state["samples"][HEAD]).samples == 5
