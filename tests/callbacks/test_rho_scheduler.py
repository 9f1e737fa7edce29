"""RhoScheduler in real fits."""

import csv
import os
from pathlib import Path
from typing import Any, final

import pytest
import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.callbacks import ModelCheckpoint
from torch import nn

from dropout_lab.app.run.history import EpochTable
from dropout_lab.callbacks import RhoScheduler
from dropout_lab.callbacks.schedules import (
    Alternating,
    Constant,
    Linear,
    Moment,
    Periodic,
    Randomized,
    Schedule,
)
from dropout_lab.datamodules import DigitsDataModule
from dropout_lab.models import ImageClassifier
from dropout_lab.models.dropout import (
    Chain,
    DropoutFactory,
    MalDrop,
    NoDropout,
    StandardDropout,
    VariationalDropout,
    scheduled_layers,
)
from dropout_lab.models.networks import Head, Network
from tests.callbacks.fits import BATCH_SIZE, fit, scalars, small_network

STEPS = 13
HEAD = "network.head.stage.dropout"
FIRST = "network.body.1.dropout"


@final
class Record(Callback):
    """Keeps what each batch was trained with, whatever the layer calls it."""

    def __init__(self) -> None:
        self.values: list[dict[str, float]] = []

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        found = {}
        for name, layer in scheduled_layers(pl_module).items():
            found[name] = layer.rho if isinstance(layer, MalDrop) else rate(layer)
        self.values.append(found)

    def of(self, layer: str = HEAD) -> list[float]:
        return [values[layer] for values in self.values]


def rate(layer: nn.Module) -> float:
    (found,) = {module.p for module in layer.modules() if isinstance(module, StandardDropout | nn.Dropout)}
    return float(found)


def fit_with(
    scheduler: RhoScheduler, dropout: DropoutFactory, *callbacks: Callback, **options: Any
) -> Record:
    record = Record()
    fit(scheduler, record, *callbacks, network=small_network(dropout), **options)
    return record


def maldrop() -> MalDrop:
    return MalDrop(4)


def both() -> Chain:
    return Chain([StandardDropout(0.5), MalDrop(4)])


def weights(network: nn.Module) -> list[torch.Tensor]:
    return [tensor.clone() for tensor in network.state_dict().values()]


def test_periodic_is_active_on_every_fifth_batch_across_epochs() -> None:
    record = fit_with(RhoScheduler(Periodic(8)), maldrop, max_epochs=3)
    assert record.of() == [8 if batch in range(0, 3 * STEPS, 5) else 0 for batch in range(3 * STEPS)]


def test_the_number_of_units_is_the_layers() -> None:
    record = fit_with(RhoScheduler(Randomized()), maldrop, max_epochs=4)
    expected = [Randomized().at(Moment(0, batch, 0.0, seed=0, units=16)) for batch in range(4 * STEPS)]
    assert record.of() == expected
    assert {0, 16} <= set(expected)


def test_probabilities_of_every_place_and_of_torch_layers() -> None:
    record = fit_with(RhoScheduler(Alternating(0.25)), StandardDropout, max_epochs=3)
    assert record.of(HEAD) == record.of(FIRST) == [0.25] * STEPS + [0] * STEPS + [0.25] * STEPS
    record = fit_with(RhoScheduler(Alternating(0.25), layers="*.head.*"), nn.Dropout, max_epochs=2)
    assert record.of(HEAD) == [0.25] * STEPS + [0] * STEPS
    assert set(record.of(FIRST)) == {0.5}


def test_progress_goes_by_steps_and_ends_with_the_run() -> None:
    record = fit_with(RhoScheduler(Linear(0, 0.5)), StandardDropout, max_epochs=2)
    assert record.of() == pytest.approx([0.5 * step / (2 * STEPS) for step in range(2 * STEPS)])
    record = fit_with(RhoScheduler(Linear(0, 0.5)), StandardDropout, max_epochs=-1, max_steps=20)
    assert record.of() == pytest.approx([0.5 * step / 20 for step in range(20)])


def test_accumulated_batches_are_each_set_and_logged_once_a_step(tmp_path: Path) -> None:
    record = fit_with(RhoScheduler(Periodic(8, period=2)), maldrop, accumulate_grad_batches=3, logs=tmp_path)
    assert record.of() == [8, 0] * 6 + [8]
    assert scalars(tmp_path, f"rho/{HEAD}") == [(0, 8), (1, 0), (2, 8), (3, 0), (4, 8)]
    linear = fit_with(RhoScheduler(Linear(0, 0.5)), StandardDropout, accumulate_grad_batches=3)
    assert linear.of() == pytest.approx([0.5 * (batch // 3) / 5 for batch in range(STEPS)])


def test_logged_at_the_trainers_interval(tmp_path: Path) -> None:
    fit_with(RhoScheduler(Linear(0, 0.5)), StandardDropout, logs=tmp_path, log_every_n_steps=4)
    logged: list[object] = list(scalars(tmp_path, f"p/{FIRST}"))
    assert logged == [(step, pytest.approx(0.5 * step / STEPS)) for step in (3, 7, 11)]
    assert RhoScheduler.charts.keys() == {"ρ", "p"}


@pytest.mark.parametrize(
    "options", [{"fast_dev_run": True}, {"limit_val_batches": 0}, {"val_check_interval": 4}]
)
def test_other_ways_to_run(options: dict[str, Any]) -> None:
    record = fit_with(RhoScheduler(Linear(0.5, 0)), StandardDropout, **options)
    assert record.of()[0] == 0.5


def test_setting_what_is_set_already_changes_nothing() -> None:
    with_it, without = small_network(), small_network()
    without.load_state_dict(with_it.state_dict())
    fit(RhoScheduler(Constant(0.5)), network=with_it)
    fit(network=without)
    for one, other in zip(weights(with_it), weights(without), strict=True):
        assert torch.equal(one, other)


def test_parts_of_a_chain_are_set_by_name() -> None:
    record = fit_with(
        RhoScheduler(Periodic(8), layers="*.layers.1"), both,
        RhoScheduler(Alternating(0.2), layers="*.layers.0"), max_epochs=2,
    )  # fmt: skip
    assert record.of(f"{HEAD}.layers.1")[:6] == [8, 0, 0, 0, 0, 8]
    assert record.of(f"{FIRST}.layers.0") == record.of(f"{HEAD}.layers.0") == [0.2] * STEPS + [0] * STEPS


def test_one_schedule_cannot_be_a_number_and_a_probability() -> None:
    message = (
        f"rho of {HEAD}.layers.1 and p of {FIRST}.layers.0, {HEAD}.layers.0: .* layers: '{HEAD}.layers.1'"
    )
    with pytest.raises(ValueError, match=message):
        fit_with(RhoScheduler(Constant(8)), both)


def test_two_schedulers_of_one_layer() -> None:
    message = (
        f"{HEAD} is set by two RhoSchedulers, Constant.rho=8. .*Periodic.rho=8, period=5. .*layers='.head.'"
    )
    with pytest.raises(ValueError, match=message):
        fit_with(RhoScheduler(Constant(8)), maldrop, RhoScheduler(Periodic(8), layers="*head*"))


@pytest.mark.parametrize(
    ("dropout", "pattern", "message"),
    [
        (
            StandardDropout,
            "*.haed.*",
            f"no layer's name matches layers='.*haed.*'; there are {FIRST}, {HEAD}",
        ),
        (
            NoDropout,
            "*",
            f"no dropout layer .* has a rho or a p to set; there are {FIRST} .NoDropout., {HEAD}",
        ),
        (VariationalDropout, "*", "no dropout layer .* has a rho or a p to set; .*VariationalDropout"),
        (nn.Identity, "*", "no dropout layer .* has a rho or a p to set; .*ForeignDropout"),
    ],
)
def test_nothing_to_set_is_a_warning(dropout: DropoutFactory, pattern: str, message: str) -> None:
    with pytest.warns(UserWarning, match=message):
        fit_with(RhoScheduler(Constant(0.3), layers=pattern), dropout, fast_dev_run=True)


def test_a_network_without_dropout() -> None:
    class Pass(nn.Module):
        def forward(self, x: torch.Tensor, target: object, weight: object) -> torch.Tensor:
            return x

    @final
    class Bare(Network):
        def __init__(self) -> None:
            super().__init__((1, 8, 8), 10, nn.Flatten(), Head(Pass(), nn.Linear(64, 10)))

    with pytest.warns(UserWarning, match="nothing to set: the network has no dropout layer"):
        fit(RhoScheduler(Constant(0.3)), network=Bare(), fast_dev_run=True)


@pytest.mark.parametrize(
    ("schedule", "dropout", "message"),
    [
        (
            Constant(17),
            maldrop,
            f"Constant.rho=17. does not suit {HEAD}, a MalDrop, in epoch 0: .*at most 16.*got 17",
        ),
        (
            Alternating(0.5, off=1),
            StandardDropout,
            f"Alternating.* {FIRST}, a StandardDropout, in epoch 1: .* got 1",
        ),
        (Randomized(17), maldrop, f"Randomized.* {HEAD}, .* no whole number from low=17 to high=16"),
        (
            Linear(0, 0.5),
            StandardDropout,
            "Linear.* has no end: give trainer.max_epochs or trainer.max_steps",
        ),
    ],
)
def test_values_that_do_not_suit(schedule: Schedule, dropout: DropoutFactory, message: str) -> None:
    endless = (
        {"max_epochs": -1, "max_time": {"minutes": 5}} if isinstance(schedule, Linear) else {"max_epochs": 2}
    )
    with pytest.raises(ValueError, match=message):
        fit_with(RhoScheduler(schedule), dropout, **endless)


def test_a_layer_that_does_not_know_its_units() -> None:
    network = small_network(maldrop)
    network.head.stage.dropout = MalDrop(4)
    with pytest.raises(
        ValueError, match=f"{HEAD} does not know its number of units yet; call the network once"
    ):
        fit(RhoScheduler(Randomized()), network=network, num_sanity_val_steps=0)


@final
class Save(Callback):
    """Saves a checkpoint after a number of batches, in the hook that ModelCheckpoint saves in."""

    def __init__(self, file: Path, batches: int) -> None:
        self.file = file
        self.batches = batches

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        if self.batches % STEPS and trainer.global_step == self.batches:
            trainer.save_checkpoint(self.file)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.global_step == self.batches:
            trainer.save_checkpoint(self.file)


@pytest.mark.parametrize("batches", [20, 26], ids=["mid-epoch", "epoch end"])
@pytest.mark.filterwarnings("ignore:You're resuming from a checkpoint that ended before the epoch ended")
def test_a_resumed_run_goes_on_with_the_same_sequence(batches: int, tmp_path: Path) -> None:
    file = tmp_path / "kept.ckpt"
    whole = fit_with(RhoScheduler(Randomized()), maldrop, Save(file, batches), max_epochs=3)
    again = fit_with(RhoScheduler(Randomized()), maldrop, max_epochs=3, ckpt_path=file)
    remaining = whole.of()[batches:]
    assert again.of()[: len(remaining)] == remaining
    assert len(set(remaining)) > 5


@pytest.mark.filterwarnings("ignore:You're resuming from a checkpoint that ended before the epoch ended")
def test_an_epoch_tells_what_its_batches_had(tmp_path: Path) -> None:
    file, whole, again = (
        tmp_path / "kept.ckpt",
        EpochTable(tmp_path / "a.csv"),
        EpochTable(tmp_path / "b.csv"),
    )
    record = fit_with(RhoScheduler(Randomized()), maldrop, whole, Save(file, 20), max_epochs=2)
    rows = told(whole.file)
    for row, values in zip(rows, (record.of()[:STEPS], record.of()[STEPS:]), strict=True):
        assert row == pytest.approx([sum(values) / STEPS, min(values), max(values)])
    # Batches before the checkpoint count too.
    fit_with(RhoScheduler(Randomized()), maldrop, again, max_epochs=2, ckpt_path=file)
    assert told(again.file) == rows[1:]
    assert (rows[0][1], rows[0][2]) != (rows[1][1], rows[1][2])


def told(file: Path) -> list[list[float]]:
    with file.open() as stream:
        return [
            [float(row[f"rho_{kind}/{HEAD}"]) for kind in ("mean", "min", "max")]
            for row in csv.DictReader(stream)
        ]


def test_a_resumed_run_has_its_share_of_training_done(tmp_path: Path) -> None:
    file = tmp_path / "kept.ckpt"
    whole = fit_with(RhoScheduler(Linear(0, 0.5)), StandardDropout, Save(file, 13), max_epochs=2)
    again = fit_with(RhoScheduler(Linear(0, 0.5)), StandardDropout, max_epochs=2, ckpt_path=file)
    assert again.of() == whole.of()[13:]


def vanilla() -> StandardDropout:
    return StandardDropout(0.5, inverted=False)


def test_a_checkpoint_is_evaluated_with_the_p_of_its_moment(tmp_path: Path) -> None:
    scheduler = RhoScheduler(Linear(0.1, 0.9))
    keep = ModelCheckpoint(tmp_path, filename="kept")
    trained = fit(
        scheduler,
        keep,
        classifier=ImageClassifier(small_network(vanilla)),
        max_epochs=2,
        enable_checkpointing=True,
    )
    in_fit = {
        name: float(value) for name, value in trained.callback_metrics.items() if name.startswith("val/")
    }
    fresh = ImageClassifier(small_network(vanilla))
    options = {
        "accelerator": "cpu",
        "logger": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    trainer = Trainer(callbacks=[RhoScheduler(Linear(0.1, 0.9)), ModelCheckpoint(tmp_path)], **options)  # type: ignore[arg-type]
    (measured,) = trainer.validate(
        fresh,
        DigitsDataModule(batch_size=BATCH_SIZE),
        tmp_path / "kept.ckpt",
        verbose=False,
        weights_only=True,
    )
    assert measured == pytest.approx(in_fit)
    assert rate(fresh.network.head) == pytest.approx(0.1 + 0.8 * 25 / 26)


def test_evaluation_without_a_state_says_so() -> None:
    trained = fit(network=small_network(vanilla))
    options = {"accelerator": "cpu", "logger": False, "enable_progress_bar": False}
    trainer = Trainer(callbacks=[RhoScheduler(Constant(0.3))], enable_checkpointing=False, **options)  # type: ignore[arg-type]
    with pytest.warns(
        UserWarning, match=f"knows no value for {FIRST}, {HEAD}: no checkpoint of a fit with Constant"
    ):
        trainer.test(trained.lightning_module, DigitsDataModule(batch_size=BATCH_SIZE), verbose=False)


@pytest.mark.parametrize(("dropout", "high"), [(StandardDropout, 0.9), (maldrop, None)])
def test_a_compiled_network_does_not_recompile(dropout: DropoutFactory, high: float | None) -> None:
    network = small_network(dropout)
    compiled = torch.compile(network, fullgraph=True, backend="eager")
    classifier = ImageClassifier(network)
    classifier.network = compiled  # type: ignore[assignment]
    layer = "network._orig_mod.head.stage.dropout"
    record = Record()
    torch._dynamo.reset()
    with torch._dynamo.config.patch(error_on_recompile=True):
        fit(
            RhoScheduler(Randomized(high=high)), record, classifier=classifier, limit_train_batches=8,
            limit_val_batches=0,
        )  # fmt: skip
    assert len(set(record.of(layer))) > 4


def test_the_seed_is_the_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    first = fit_with(RhoScheduler(Randomized()), maldrop).of()
    assert os.environ["PL_GLOBAL_SEED"] == "0"
    monkeypatch.setattr(
        "tests.callbacks.fits.seed_everything", lambda *_, **__: os.environ.update(PL_GLOBAL_SEED="1")
    )
    monkeypatch.setenv("PL_GLOBAL_SEED", "0")
    assert fit_with(RhoScheduler(Randomized()), maldrop).of() != first


def test_a_schedule_of_ones_own() -> None:
    class Half(Schedule):
        def at(self, moment: Moment) -> float:
            assert moment.units is not None
            return moment.units / 2 - 0.4

    assert fit_with(RhoScheduler(Half()), maldrop, fast_dev_run=True).of() == [8]
