"""Deterministic mode: the same run twice is the same to the last bit."""

import json
import math
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from dropout_lab.app.main import main
from dropout_lab.app.run.folder import RunFolder

REPOSITORY = Path(__file__).parents[2]
VARIANTS = sorted(file.stem for file in (REPOSITORY / "configs" / "dropout").glob("*.yaml"))
SOME = ["drop_corr", "mal_drop"]
NETWORKS = ["AlanCNN", "GavierMNIST", "GavierCIFAR", "MalDropCNN"]


def fit(name: str, *words: str) -> RunFolder:
    """Train two epochs of a few batches on the digits, the way a user does."""
    main([
        "fit", "--seed_everything", "7", "--data", "DigitsDataModule", "--data.batch_size", "50", "--name", name,
        "--trainer.accelerator", "cpu", "--trainer.max_epochs", "2", "--trainer.limit_train_batches", "4",
        "--trainer.limit_val_batches", "2", "--trainer.log_every_n_steps", "1", *words,
    ])  # fmt: skip
    return RunFolder(Path("runs") / name / "version_0")


def with_variant(variant: str) -> list[str]:
    """Return the words for a shipped variant in a small network."""
    network = ["--model.network", "FullyConnected", "--model.network.hidden", "[24, 20]"]
    config = REPOSITORY / "configs" / "dropout" / f"{variant}.yaml"
    place = yaml.safe_load(config.read_text())["model"]["network"]["init_args"]["dropout"]
    return [*network, "--model.network.dropout", json.dumps(place)]


def weights(run: RunFolder) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = torch.load(run.checkpoint("last"), weights_only=True)["state_dict"]
    return state


def curves(run: RunFolder) -> dict[str, list[tuple[int, float]]]:
    """Return all scalars that TensorBoard shows, but for times."""
    accumulator = EventAccumulator(str(run.path), size_guidance={"scalars": 0})
    accumulator.Reload()
    tags = [tag for tag in accumulator.Tags()["scalars"] if "time" not in tag]
    return {
        tag: [(each.step, each.value) for each in accumulator.Scalars(tag) if not math.isnan(each.value)]
        for tag in tags
    }


def without_times(part: object) -> object:
    """Return a result without its times, dates and folder."""
    if not isinstance(part, dict):
        return part
    named = {name: without_times(value) for name, value in part.items()}
    changing = ("second", "time", "folder", "path", "checkpoint", "name", "started", "finished", "version")
    return {name: value for name, value in named.items() if not any(word in name for word in changing)}


def check_same_twice(*words: str) -> None:
    first, second = fit("first", *words), fit("second", *words)
    mine, its = weights(first), weights(second)
    assert mine.keys() == its.keys()
    for name, value in mine.items():
        assert torch.equal(value, its[name]), name
    assert curves(first) == curves(second)
    assert curves(first)
    assert without_times(first.result()) == without_times(second.result())


@pytest.fixture(autouse=True)
def _algorithms_as_before() -> Iterator[None]:
    torch.use_deterministic_algorithms(False)
    yield
    torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize("variant", SOME)
def test_some_variants_are_the_same_twice(variant: str) -> None:
    check_same_twice(*with_variant(variant), "--trainer.deterministic", "true")


@pytest.mark.slow
@pytest.mark.parametrize("variant", sorted({*VARIANTS} - {*SOME}))
def test_variants_are_the_same_twice(variant: str) -> None:
    check_same_twice(*with_variant(variant), "--trainer.deterministic", "true")


@pytest.mark.slow
@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("how", ["true", "warn"])
def test_networks_are_the_same_twice(network: str, how: str) -> None:
    check_same_twice("--model.network", network, "--data.image_size", "24", "--trainer.deterministic", how)


PRECISIONS = ["16-true", "bf16-true", "bf16-mixed", "64-true"]


@pytest.mark.slow
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_in_every_precision(variant: str, precision: str) -> None:
    # Adam's ε of 1e-8 is 0 in float16, and its first steps 0/0.
    words = ["--model.optimizer", "torch.optim.SGD", "--model.optimizer.lr", "0.01"]
    run = fit("run", *with_variant(variant), *words, "--trainer.precision", precision)
    assert all(value.isfinite().all() for value in weights(run).values() if value.is_floating_point())
    assert len(curves(run)["val/loss"]) == 2
