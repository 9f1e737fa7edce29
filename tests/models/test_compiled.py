"""Compiled networks in real fits."""

import copy
import pickle
from functools import partial
from pathlib import Path
from typing import Any, final

import pytest
import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import nn
from torch._dynamo.utils import counters

from dropout_lab.callbacks import (
    CollapseDetector,
    ConfusionMatrix,
    DeadUnits,
    InferenceGap,
    PassRateTracker,
    PredictionPanels,
    RhoScheduler,
    Timing,
)
from dropout_lab.callbacks.schedules import Randomized
from dropout_lab.datamodules import DigitsDataModule
from dropout_lab.models import ImageClassifier
from dropout_lab.models.classifier import replays_graphs
from dropout_lab.models.dropout import (
    Chain,
    DropAct,
    DropConnect,
    Dropout,
    DropoutFactory,
    ForeignDropout,
    MalDrop,
    NoDropout,
    StandardDropout,
    VariationalDropout,
    as_dropout,
)
from dropout_lab.models.dropout.base import CountDropout
from tests.callbacks.fits import SaveAfter, fit, small_network
from tests.models.dropout.test_contract import VARIANTS, WITHOUT_MASK, make

# Of one size.
FEW: dict[str, Any] = {"limit_train_batches": 2, "limit_val_batches": 1}


@pytest.fixture
def traced_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run what was traced as it stands: making machine code of it takes ten times as long."""
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager"))


@final
class NoMoreCompiling(Callback):
    """Lets an error be raised where anything is compiled after the first epoch."""

    def __init__(self) -> None:
        self.patch: Any = torch._dynamo.config.patch(error_on_recompile=True)
        self.active = False

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.current_epoch == 0:
            self.patch.__enter__()
            self.active = True

    def leave(self) -> None:
        if self.active:
            self.patch.__exit__(None, None, None)


def fit_compiled(
    dropout: DropoutFactory, *callbacks: Callback, epochs: int = 2, **options: Any
) -> tuple[ImageClassifier, Trainer]:
    """Fit, and raise if the second epoch compiles anything or a graph breaks."""
    counters.clear()
    model = ImageClassifier(small_network(dropout), compile="default")
    strict = NoMoreCompiling()
    try:
        trainer = fit(*callbacks, strict, classifier=model, max_epochs=epochs, **options)
    finally:
        strict.leave()
    assert counters["stats"]["unique_graphs"] >= 2
    assert not counters["graph_break"]
    return model, trainer


def watchers() -> list[Callback]:
    return [
        PassRateTracker(),
        DeadUnits(),
        InferenceGap(),
        CollapseDetector(),
        Timing(),
        ConfusionMatrix(),
        PredictionPanels(),
    ]


@pytest.mark.slow
def test_without_dropout_machine_code_learns_the_same() -> None:
    # The one test of `make test` in which Inductor makes machine code of it.
    results = []
    for mode in (None, "default"):
        torch.manual_seed(0)
        model = ImageClassifier(small_network(NoDropout), compile=mode)
        results.append((model, fit(classifier=model, max_epochs=2)))
    (plain, one), (compiled, other) = results
    for mine, theirs in zip(plain.parameters(), compiled.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-5)
    for name in ("train/loss", "val/loss"):
        torch.testing.assert_close(
            one.callback_metrics[name], other.callback_metrics[name], rtol=1e-3, atol=1e-4
        )
    assert compiled.state_dict().keys() == plain.state_dict().keys()


@pytest.mark.slow
@pytest.mark.usefixtures("traced_alone")
def test_with_all_callbacks_and_a_schedule(tmp_path: Path) -> None:
    model, trainer = fit_compiled(
        lambda: MalDrop(4), *watchers(), RhoScheduler(Randomized()), logs=tmp_path, **FEW
    )
    assert model.network.dropout_layers()["head.stage.dropout"].kept is not None
    figures = trainer.callback_metrics
    assert figures["train/loss"].isfinite()
    assert any(name.startswith("dead/") for name in figures)
    assert any(name.startswith("pass_rate/") for name in figures)
    assert any(name.startswith("gap/") for name in figures)


def dead_bias(network: nn.Module) -> nn.Module:
    """Let three of the first layer's 32 units be dead."""
    (linear, *_) = (each for each in network.modules() if isinstance(each, nn.Linear))
    with torch.no_grad():
        linear.bias[:3] = -1e4
    return network


@pytest.mark.slow
@pytest.mark.usefixtures("traced_alone")
def test_dead_units_are_seen_in_compiled_code() -> None:
    found = []
    for mode in (None, "default"):
        torch.manual_seed(0)
        network = small_network(NoDropout)
        dead_bias(network)
        model = ImageClassifier(network, compile=mode)
        figures = fit(DeadUnits(), classifier=model, **FEW).callback_metrics
        found.append({name: value.item() for name, value in figures.items() if name.startswith("dead/")})
    assert found[0] == found[1]
    assert found[1]["dead/network.body.1.activation"] == pytest.approx(3 / 32)


@pytest.mark.slow
@pytest.mark.usefixtures("traced_alone")
def test_a_second_fit_sees_its_own_hooks() -> None:
    model = ImageClassifier(small_network(NoDropout), compile="default")
    fit(classifier=model, **FEW)
    figures = fit(DeadUnits(), classifier=model, **FEW).callback_metrics
    assert any(name.startswith("dead/") for name in figures)


@pytest.mark.slow
@pytest.mark.usefixtures("traced_alone")
def test_a_checkpoint_goes_from_compiled_to_plain_and_back(tmp_path: Path) -> None:
    file = tmp_path / "kept.ckpt"
    model, _ = fit_compiled(lambda: MalDrop(4), SaveAfter(2, file), **FEW)
    for mode in (None, "default"):
        again = ImageClassifier(small_network(lambda: MalDrop(4)), compile=mode)
        trainer = fit(classifier=again, ckpt_path=file, max_epochs=2, **FEW)
        assert trainer.global_step == 4
    assert again.state_dict().keys() == model.state_dict().keys()


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["aot_eager", "inductor"])
def test_a_run_can_be_repeated(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=backend))
    weights = []
    for _ in range(2):
        torch.manual_seed(0)
        model, _ = fit_compiled(StandardDropout, **FEW)
        weights.append(model.state_dict())
    for name, value in weights[0].items():
        assert torch.equal(value, weights[1][name]), name


@pytest.mark.slow
@pytest.mark.usefixtures("traced_alone")
def test_copies_are_as_good_as_without() -> None:
    model, trainer = fit_compiled(StandardDropout, **FEW)
    images = torch.randn(5, 1, 8, 8)
    for other in (copy.deepcopy(model.network), pickle.loads(pickle.dumps(model.network))):
        torch.testing.assert_close(other.eval()(images), model.network.eval()(images))
        assert all(
            mine is not theirs for mine, theirs in zip(model.parameters(), other.parameters(), strict=False)
        )
    (measured,) = trainer.test(model, DigitsDataModule(batch_size=100), verbose=False)
    assert 0 < measured["test/loss"] < 10


def test_the_method_of_every_module_is_still_there() -> None:
    model = ImageClassifier(small_network(), compile="default")
    assert callable(model.compile)


def test_an_unknown_mode() -> None:
    with pytest.raises(
        ValueError, match="compile must be null or one of default, reduce-overhead, max-autotune"
    ):
        ImageClassifier(small_network(), compile="fast")  # type: ignore[arg-type]


@pytest.mark.parametrize("mode", ["default", "reduce-overhead", "max-autotune", None])
def test_graphs_are_replayed_on_a_gpu(mode: Any) -> None:
    assert not replays_graphs(mode, torch.device("cpu"))
    assert replays_graphs(mode, torch.device("cuda")) == (mode in ("reduce-overhead", "max-autotune"))


@pytest.mark.parametrize("training", [True, False])
def test_where_graphs_are_replayed_what_they_leave_is_copied(training: bool) -> None:
    model = ImageClassifier(small_network(lambda: MalDrop(4)))
    given: list[torch.Tensor] = []
    model.network.register_forward_hook(lambda _, __, out: given.append(out))
    masks: list[torch.Tensor | None] = []
    layer = model.network.dropout_layers()["head.stage.dropout"]
    layer.register_forward_hook(lambda each, *_: masks.append(each.kept))
    model.train(training)._replays_graphs = True
    logits = model(torch.randn(6, 1, 8, 8), torch.arange(6))
    assert torch.equal(logits, given[0])
    assert logits.data_ptr() != given[0].data_ptr()
    if training:
        left, kept = masks[0], layer.kept
        assert left is not None
        assert kept is not None
        assert torch.equal(left, kept)
        assert left.data_ptr() != kept.data_ptr()


def tensors(layer: nn.Module) -> dict[str, torch.Tensor]:
    """Return what a layer and its parts hold that is neither parameter nor buffer."""
    return {
        f"{name}.{key}": value
        for name, part in layer.named_modules()
        for key, value in vars(part).items()
        if torch.is_tensor(value)
    }


@pytest.mark.parametrize(
    "layer",
    [MalDrop(2), DropAct(), StandardDropout(), Chain([StandardDropout(), MalDrop(2)])],
    ids=lambda layer: type(layer).__name__,
)
def test_everything_that_a_forward_leaves_is_copied(layer: Dropout) -> None:
    layer(torch.rand(4, 7), torch.arange(4) % 3, torch.randn(3, 7))
    before = tensors(layer)
    layer.own()
    after = tensors(layer)
    assert before.keys() == after.keys()
    assert any("kept" in name for name in before)
    for name, value in before.items():
        assert torch.equal(value, after[name])
        assert value.data_ptr() != after[name].data_ptr(), name


ALL: list[tuple[str, DropoutFactory]] = [
    *((variant.__name__, lambda variant=variant: make(variant)) for variant in VARIANTS),
    ("Chain with MalDrop", lambda: Chain([StandardDropout(), MalDrop(4)])),
    ("MalDrop by loss", lambda: MalDrop(4, score="loss")),
    ("DropConnect by batch", lambda: DropConnect(mask="batch")),
    ("DropConnect by normal", lambda: DropConnect(mask="gaussian")),
    ("VariationalDropout by unit", lambda: VariationalDropout(granularity="unit")),
    ("torch.nn.Dropout", nn.Dropout),
    ("torch.nn.AlphaDropout", nn.AlphaDropout),
]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:PassRateTracker")
# DropConnect, whose stage does its work.
@pytest.mark.filterwarnings("ignore:DeadUnits has seen no training forward of network.body.1.dropout,")
@pytest.mark.parametrize("dropout", [dropout for _, dropout in ALL], ids=[name for name, _ in ALL])
def test_every_variant(dropout: DropoutFactory) -> None:
    layer = as_dropout(dropout())
    schedule = []
    # Another p is another graph of a layer of torch.nn.
    if layer.scheduled is not None and not isinstance(layer, ForeignDropout):
        schedule = [RhoScheduler(Randomized(high=None if isinstance(layer, CountDropout) else 0.9))]
    model, trainer = fit_compiled(dropout, *watchers(), *schedule)
    figures = trainer.callback_metrics
    assert figures["train/loss"].isfinite()
    assert figures["val/loss"].isfinite()
    assert any(name.startswith("dead/network.head.stage") for name in figures)
    if not isinstance(layer, (*WITHOUT_MASK, ForeignDropout)):
        kept = model.network.dropout_layers()["head.stage.dropout"].kept
        assert kept is not None
        assert kept.dtype == torch.bool
