"""The gap is 0 where theory says so, and its closed form where it does not."""

import math
from functools import partial
from typing import Literal

import pytest
import torch
import torch.nn.functional as F
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor, nn

from dropout_lab.callbacks import InferenceGap
from dropout_lab.callbacks.inference_gap import GapSums, gap_sums, relative
from dropout_lab.models.dropout import (
    Chain,
    DropAct,
    DropAlan,
    DropConnect,
    DropIn,
    Dropout,
    DropoutFactory,
    GaussianDropout,
    MalDrop,
    SpatialDropout,
    StandardDropout,
    Standout,
)
from dropout_lab.models.dropout.drop_alan import drop_probability
from tests.callbacks.fits import fit, small_network
from tests.callbacks.survival import CASES, Options, WithoutDropout, network

LAYER = "network.head.stage.dropout"
FEW: Options = {"limit_train_batches": 1, "limit_val_batches": 1, "num_sanity_val_steps": 0}


def test_by_hand() -> None:
    evaluation = torch.tensor([[1.0, 2.0]])
    sums = gap_sums(evaluation, torch.tensor([[[2.0, 2.0]], [[4.0, 2.0]]]))
    # ȳ − e = (2, 0), s² = (2, 0), T = 2.
    assert [part.item() for part in sums] == [4 - 1, 1, 5]


@pytest.mark.parametrize("shift", [0.0, 0.05])
def test_a_finite_number_of_passes_brings_no_bias(shift: float) -> None:
    # Five standard errors over 200 measurements of 4 passes each; as it is, ‖ȳ − e‖² would be 1/4 too large.
    evaluation = torch.randn(32, 8)
    measured = torch.stack(
        [gap_sums(evaluation, evaluation + shift + torch.randn(4, 32, 8)).gap / 256 for _ in range(200)]
    )
    error = measured.std() / math.sqrt(len(measured))
    assert abs(measured.mean() - shift**2) < 5 * error
    assert error < 0.004


@pytest.mark.parametrize(
    ("part", "norm", "gap"), [(4.0, 16.0, 0.5), (-1.0, 16.0, 0), (0.0, 0.0, 0), (1.0, 0.0, math.inf)]
)
def test_relative(part: float, norm: float, gap: float) -> None:
    assert relative(part, norm) == gap


def gaps(dropout: DropoutFactory, passes: int = 200, hidden: tuple[int, ...] = (32,)) -> dict[str, float]:
    torch.manual_seed(1)
    trainer = fit(InferenceGap(passes), network=small_network(dropout, hidden), **FEW)
    return {name: float(value) for name, value in trainer.callback_metrics.items() if name.startswith("gap/")}


UNBIASED = {
    "standard": StandardDropout,
    "vanilla": partial(StandardDropout, inverted=False),
    "gaussian": GaussianDropout,
    "spatial": SpatialDropout,
    "standout": Standout,
    "alpha": partial(DropAlan, "alpha", inference="expectation"),
    "beta": partial(DropAlan, "beta", inference="expectation"),
    "beta scaled": partial(DropAlan, "beta", scaled=True, inference="expectation"),
}


@pytest.mark.parametrize("make", UNBIASED.values(), ids=UNBIASED.keys())
def test_none_where_evaluation_is_the_expectation(make: DropoutFactory) -> None:
    # The only dropout is before the last linear layer, so the logits too are linear in the noise.
    found = gaps(make)
    for name, most in ((LAYER, 0.5), ("logits", 0.9)):
        # A gap² within 5 standard errors of 0: √(2/units), 2,048 units or some 200 independent logits, times noise².
        assert 0 < found[f"gap/{name}/noise"] < 0.5
        assert found[f"gap/{name}"] < most * found[f"gap/{name}/noise"]


class InputOfLayer(Callback):
    """Records what the layer is given by the first validation batch."""

    def __init__(self, layer: nn.Module) -> None:
        self.layer = layer
        self.x = torch.empty(0)

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.handle = self.layer.register_forward_pre_hook(self.record)

    def record(self, module: nn.Module, args: tuple[Tensor, ...]) -> None:
        self.x = args[0][:64].clone()
        self.handle.remove()


@pytest.mark.parametrize("distribution", ["alpha", "beta"])
def test_drop_alan_with_the_identity_has_the_gap_of_its_closed_form(
    distribution: Literal["alpha", "beta"],
) -> None:
    torch.manual_seed(1)
    made = small_network(lambda: DropAlan(distribution), (32,))
    seen = InputOfLayer(made.dropout_layers()["head.stage.dropout"])
    measured = fit(seen, InferenceGap(passes=200), network=made, **FEW).callback_metrics
    # e = x and E y = x·(1 − d).
    gap = ((seen.x * drop_probability(seen.x, distribution, 0.999)).norm() / seen.x.norm()).item()
    noise = float(measured[f"gap/{LAYER}/noise"])
    assert gap > 5 * noise
    assert float(measured[f"gap/{LAYER}"]) == pytest.approx(gap, abs=noise / 2)


@pytest.mark.parametrize(
    "make",
    [
        partial(MalDrop, rho=4),
        DropConnect,
        partial(DropConnect, mask="gaussian"),
        partial(DropAct, p=0.3),
        lambda: Chain([StandardDropout(0.3), DropIn(0.2)]),
        lambda: Chain([DropAlan(), StandardDropout(0.3)]),
        lambda: Chain([DropConnect(0.3), MalDrop(rho=2)]),
        lambda: nn.AlphaDropout(0.4),
    ],
    ids=[
        "maldrop",
        "dropconnect",
        "fast",
        "dropact",
        "chain",
        "stage chain",
        "label chain",
        "alpha",
    ],
)
def test_every_layer_is_measured(make: DropoutFactory) -> None:
    made = small_network(make)
    found = gaps(make, passes=8, hidden=(32, 16))
    assert found.keys() == {
        f"gap/{name}{noise}"
        for name in (*(f"network.{name}" for name in made.dropout_layers()), "logits")
        for noise in ("", "/noise")
    }
    assert all(math.isfinite(value) for value in found.values())


def test_maldrop_is_measured_dropping() -> None:
    # Its pass rate says that of 32 units 4 drop; which do is not random, so there is no noise.
    found = gaps(partial(MalDrop, rho=4), passes=4)
    assert found[f"gap/{LAYER}"] > 0.1
    assert found[f"gap/{LAYER}/noise"] == 0


class Writes(nn.Module):
    """Drops in place where autograd does not forbid it."""

    def forward(self, x: Tensor) -> Tensor:
        return F.dropout(x, 0.5, self.training, inplace=self.training and not torch.is_grad_enabled())


def test_a_layer_that_writes_into_its_input_is_given_copies() -> None:
    found = gaps(Writes)
    assert found[f"gap/{LAYER}"] < found[f"gap/{LAYER}/noise"]


def test_layers_of_a_pattern() -> None:
    trainer = fit(InferenceGap(passes=2, layers="*head*"), network=small_network(), **FEW)
    assert {name for name in trainer.callback_metrics if name.startswith("gap/")} == {
        f"gap/{LAYER}", f"gap/{LAYER}/noise", "gap/logits", "gap/logits/noise",
    }  # fmt: skip


def test_where_no_layer_matches_the_logits_are_measured_and_a_warning_names_the_layers() -> None:
    message = "layers='body'.* measures the logits alone: the dropout layers are network.body.1.dropout"
    with pytest.warns(UserWarning, match=message):
        trainer = fit(InferenceGap(passes=2, layers="body"), network=small_network(), **FEW)
    assert {name for name in trainer.callback_metrics if name.startswith("gap/")} == {
        "gap/logits", "gap/logits/noise",
    }  # fmt: skip


def test_hooks_are_seen_by_compiled_networks() -> None:
    made = small_network()
    made.compile(backend="eager")
    trainer = fit(InferenceGap(passes=2), network=made, **FEW)
    assert f"gap/{LAYER}" in trainer.callback_metrics


# DropAct draws, and remembers what it fell short of; MalDrop draws nothing.
@pytest.mark.parametrize("options", CASES)
@pytest.mark.parametrize(
    "make",
    [pytest.param(partial(MalDrop, rho=4), marks=pytest.mark.slow), partial(DropAct, p=0.3)],
    ids=["maldrop", "dropact"],
)
def test_changes_nothing(options: Options, make: DropoutFactory) -> None:
    random = []
    modules = []
    for callbacks in ([InferenceGap(passes=2)], []):
        trainer = fit(*callbacks, network=network(make), **options)
        modules.append(trainer.lightning_module)
        random.append(torch.get_rng_state())
    assert torch.equal(*random)
    one, other = modules
    for (name, tensor), same in zip(one.state_dict().items(), other.state_dict().values(), strict=True):
        assert torch.equal(tensor, same), name
    for mine, theirs in zip(one.modules(), other.modules(), strict=True):
        assert mine.training == theirs.training
        assert not mine._forward_pre_hooks
        if isinstance(mine, Dropout) and isinstance(theirs, Dropout):
            assert mine.kept is not None
            assert theirs.kept is not None
            assert torch.equal(mine.kept, theirs.kept)
            assert mine.sampling == theirs.sampling
        if isinstance(mine, DropAct) and isinstance(theirs, DropAct):
            assert mine.shortfall == theirs.shortfall


def test_a_network_without_dropout_has_no_gap() -> None:
    with pytest.warns(UserWarning, match="measures nothing: the network has no dropout layer"):
        trainer = fit(InferenceGap(), network=WithoutDropout(), **FEW)
    assert not any(name.startswith("gap/") for name in trainer.callback_metrics)


def test_without_validation_it_says_that_it_measures_nothing() -> None:
    with pytest.warns(UserWarning, match="InferenceGap measures nothing: it needs validation"):
        fit(InferenceGap(), limit_val_batches=0, limit_train_batches=1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"passes": 1}, "passes must be a whole number, 2 or more, got 1"),
        ({"passes": 2.5}, "passes must be"),
        ({"images": 0}, "images must be a whole number, 1 or more, got 0"),
    ],
)
def test_bad_arguments(arguments: Options, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        InferenceGap(**arguments)


def test_the_type_of_sums() -> None:
    sums = gap_sums(torch.zeros(2, 3, dtype=torch.bfloat16), torch.ones(2, 2, 3, dtype=torch.bfloat16))
    assert sums == GapSums(torch.tensor(6.0), torch.tensor(0.0), torch.tensor(0.0))
