"""All callbacks at once, wherever a fit can be cut short, and without a trace in what is trained."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning import Callback
from tensorboard.plugins.custom_scalar import layout_pb2

from dropout_lab.app.main import main
from dropout_lab.app.run.folder import RunFolder
from dropout_lab.callbacks import (
    BestStep,
    CollapseDetector,
    ConfusionMatrix,
    DeadUnits,
    InferenceGap,
    PassRateTracker,
    PredictionPanels,
    RhoScheduler,
    ScaleFactors,
    Timing,
    TrainAccuracy,
)
from dropout_lab.callbacks.schedules import Constant
from dropout_lab.models import ImageClassifier
from dropout_lab.models.dropout import (
    Chain,
    DropoutFactory,
    GaussianDropout,
    MalDrop,
    NoDropout,
    StandardDropout,
)
from tests.callbacks.fits import empty_figure, events, fit, small_network
from tests.programs import run_ranks

REPOSITORY = Path(__file__).parents[2]
WATCHERS: list[Callable[[], Callback]] = [
    PassRateTracker,
    DeadUnits,
    ScaleFactors,
    InferenceGap,
    CollapseDetector,
    Timing,
    ConfusionMatrix,
    PredictionPanels,
    lambda: TrainAccuracy(500),
    lambda: BestStep(thresholds=[0.2, 0.99]),
]
SITUATIONS: dict[str, dict[str, Any]] = {
    "rehearsal": {"fast_dev_run": True},
    "few batches": {"limit_train_batches": 2, "limit_val_batches": 1},
    "one batch": {"limit_train_batches": 1, "limit_val_batches": 1},
    "no validation": {"limit_val_batches": 0},
    "validation within the epoch": {"val_check_interval": 4},
    "validation every second epoch": {
        "check_val_every_n_epoch": 2,
        "max_epochs": 3,
        "limit_train_batches": 2,
    },
    "no sanity check": {"num_sanity_val_steps": 0, "limit_train_batches": 2},
    "accumulated gradients": {"accumulate_grad_batches": 4},
    "steps": {"max_epochs": -1, "max_steps": 15},
}


def both() -> Chain:
    return Chain([StandardDropout(), MalDrop(2)])


@pytest.fixture
def _undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw empty figures where nobody looks at them."""
    monkeypatch.setattr("dropout_lab.callbacks.confusion_matrix.confusion_figure", empty_figure)
    monkeypatch.setattr("dropout_lab.callbacks.examples.panel_figure", empty_figure)


@pytest.mark.usefixtures("_undrawn")
@pytest.mark.filterwarnings("ignore:.* measures nothing. it needs validation")
@pytest.mark.parametrize("situation", SITUATIONS)
def test_a_fit_cut_short(situation: str, tmp_path: Path) -> None:
    watchers = [make() for make in WATCHERS]
    trainer = fit(*watchers, network=small_network(both), logs=tmp_path, **SITUATIONS[situation])
    assert trainer.global_step > 0


# With what is drawn too.
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.* measures nothing. it needs validation")
@pytest.mark.parametrize("situation", SITUATIONS)
@pytest.mark.parametrize("dropout", [StandardDropout, lambda: MalDrop(2)], ids=["StandardDropout", "MalDrop"])
def test_a_fit_of_one_layer_cut_short(situation: str, dropout: DropoutFactory, tmp_path: Path) -> None:
    watchers = [make() for make in WATCHERS]
    trainer = fit(*watchers, network=small_network(dropout), logs=tmp_path, **SITUATIONS[situation])
    assert trainer.global_step > 0


@pytest.mark.usefixtures("_undrawn")
@pytest.mark.parametrize("dropout", [NoDropout, GaussianDropout])
def test_no_masks_to_track(dropout: DropoutFactory, tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="PassRateTracker"):
        fit(*(make() for make in WATCHERS), network=small_network(dropout), logs=tmp_path)


@pytest.mark.parametrize(
    "dropout",
    [both, *(pytest.param(one, marks=pytest.mark.slow) for one in (StandardDropout, lambda: MalDrop(2)))],
    ids=["both", "StandardDropout", "MalDrop"],
)
def test_what_is_trained_stays_the_same_to_the_bit(dropout: DropoutFactory, tmp_path: Path) -> None:
    weights = []
    for watchers in ([], [make() for make in WATCHERS]):
        classifier = ImageClassifier(small_network(dropout))
        for parameter in classifier.parameters():
            torch.nn.init.normal_(
                parameter, std=0.1, generator=torch.Generator().manual_seed(parameter.numel())
            )
        fit(*watchers, classifier=classifier, logs=tmp_path / str(len(watchers)), max_epochs=2)
        weights.append(classifier.state_dict())
    for name, value in weights[0].items():
        assert torch.equal(value, weights[1][name]), name


def test_a_constant_rho_is_the_layers_own() -> None:
    losses = []
    for callbacks in ([], [RhoScheduler(Constant(2))], [RhoScheduler(Constant(5))]):
        torch.manual_seed(0)
        trainer = fit(*callbacks, network=small_network(lambda: MalDrop(2)), limit_train_batches=3)
        losses.append(trainer.callback_metrics["train/loss"].item())
    assert losses[0] == losses[1] != losses[2]


# Two processes with these callbacks are those of tests/app/run/test_ranks.py too.
@pytest.mark.slow
def test_from_the_command_line_with_two_processes() -> None:
    configs = [
        word
        for name in ("quickstart.yaml", "callbacks/all.yaml", "callbacks/rho_scheduler.yaml")
        for word in ("--config", str(REPOSITORY / "configs" / name))
    ]
    two = ["--trainer.accelerator", "cpu", "--trainer.devices", "2", "--trainer.strategy", "ddp"]
    words = ["fit", *configs, *two, "--trainer.max_epochs", "2", "--name", "run"]
    for done in run_ranks(*words):
        assert done.returncode == 0, done.stderr
        assert "Warning" not in done.stderr
    run = RunFolder(Path("runs/run/version_0"))
    assert run.result()["fit"]["epochs"] == 2
    tags = events(run.path).Tags()
    assert {"predictions/right", "predictions/wrong", "confusion/validation"} <= set(tags["images"])
    for start in ("pass_rate/", "dead/", "gap/", "time/", "p/", "train_eval/"):
        assert any(tag.startswith(start) for tag in tags["scalars"]), start


@pytest.mark.slow
def test_every_curve_of_a_callback_has_a_chart_and_every_chart_a_curve() -> None:
    names = ("quickstart", "callbacks/all", "callbacks/rho_scheduler")
    configs = [word for name in names for word in ("--config", str(REPOSITORY / "configs" / f"{name}.yaml"))]
    main(["fit", *configs, "--trainer.max_epochs", "1", "--trainer.val_check_interval", "6", "--name", "run"])
    recorded = events(Path("runs/run/version_0"))
    page = layout_pb2.Layout.FromString(
        recorded.Tensors("custom_scalars__config__")[0].tensor_proto.string_val[0]
    )
    patterns = [tag for section in page.category for chart in section.chart for tag in chart.multiline.tag]
    curves = {tag for tag in recorded.Tags()["scalars"] if not tag.startswith("hp/") and tag != "epoch"}
    for pattern in patterns:
        # Nothing is counted out or convolved in this run.
        if not pattern.startswith(("rho/", "dead_channels/")):
            assert any(re.match(pattern, tag) for tag in curves), pattern
    alone = {f"{split}/{name}" for split in ("train", "val") for name in ("nll", "top5")} | {
        "train/loss_step",
        "time/fit_s",
    }
    for tag in curves - alone:
        assert any(re.match(pattern, tag) for pattern in patterns), tag
