"""What does not fit a network is left out, all at once, and what counts units is scaled to it."""

from pathlib import Path
from typing import Any

import pytest
from torch import nn

from dropout_lab.app.compare.budget import LEAST_EPOCHS
from dropout_lab.app.compare.command import parse
from dropout_lab.app.compare.fitting import Fitting, Room, by_reason, candidates_of, fit_to_network, study_of
from dropout_lab.app.compare.question import ask
from dropout_lab.app.errors import UserError
from dropout_lab.app.study.grid import expand
from dropout_lab.models.dropout import DropoutFactory
from dropout_lab.models.networks import Head, Network
from dropout_lab.models.networks.base import ImageShape, dropout_places

# More than any of these take, and hardly any of it to try them.
ROOM = Room(minutes=0.5, jobs=1, seeds=3, takes_fewer=False)
HERE = "tests.app.compare.test_fitting"
SMALL = "--data digits --data.train_limit 60 --model.network.hidden [16,12] --trainer.accelerator cpu"


class NoPlace(Network):
    """A network that takes no dropout."""

    def __init__(self, image_shape: ImageShape, num_classes: int) -> None:
        body = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.ReLU())
        super().__init__(image_shape, num_classes, body, Head(_Hand(), nn.Linear(8, num_classes)))


class Deaf(Network):
    """A network that takes dropout, and makes nothing of it."""

    def __init__(self, image_shape: ImageShape, num_classes: int, dropout: DropoutFactory) -> None:
        body = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.ReLU())
        super().__init__(image_shape, num_classes, body, Head(_Hand(), nn.Linear(8, num_classes)))


class Alone(Network):
    """A network whose dropout stands behind no affine map."""

    def __init__(self, image_shape: ImageShape, num_classes: int, dropout: DropoutFactory) -> None:
        (layer,) = dropout_places(dropout, 1)
        super().__init__(
            image_shape, num_classes, nn.Flatten(), Head(layer.alone("pixels"), nn.Linear(64, num_classes))
        )


class _Hand(nn.Module):
    def forward(self, x: Any, target: Any = None, weight: Any = None) -> Any:
        return x


class FailsInTraining(nn.Module):
    """A layer that can be built, and be evaluated."""

    def forward(self, x: Any) -> Any:
        if self.training:
            raise RuntimeError("no way\nand more")
        return x


def fitted(words: str) -> Fitting:
    return fit_to_network({"name": "x", **ask(*parse(words.split()))}, ROOM, lambda done, count: None)


def test_misfits_are_told_all_at_once() -> None:
    told: list[tuple[int, int]] = []
    words = (
        f"{SMALL} --rates 0.1 0.5 --variants standard maldrop standout MalDrop(rho=13) {HERE}.FailsInTraining"
    )
    question = {"name": "x", **ask(*parse(words.split()))}
    found = fit_to_network(question, ROOM, lambda done, count: told.append((done, count)))
    assert told == [(done, 9) for done in range(1, 10)]
    assert [*found.content["grid"]["variant"]] == ["none", "standard", "maldrop", "standout"]
    assert found.left_out == [
        "MalDrop(rho=13): rho must be at most 12, what there is to drop, got 13",
        f"{HERE}.FailsInTraining: RuntimeError: no way",
    ]
    assert [line for line in found.content["deviations"] if "MalDrop(rho=13)" in line]
    assert question["grid"]["variant"].keys() > found.content["grid"]["variant"].keys(), (
        "what was asked stays"
    )
    # 8 and 64 of 256 are as many of 12.
    rho = {run.labels["rate"]: _dropout(run.settings)["rho"] for run in _of(found, "maldrop")}
    assert rho == {0.1: 1, 0.5: 3}
    assert all(cost.step > 0 and cost.of(2) > cost.of(1) > 0 for cost in found.costs.values())
    assert found.costs.keys() == found.content["grid"]["variant"].keys()


def test_a_rate_that_does_not_fit_is_skipped() -> None:
    question = {"name": "x", **ask(*parse(f"{SMALL} --variants standard --rates 0.1 0.5".split()))}
    question["grid"]["rate"][0.5]["values"]["p"] = 1.5
    found = fit_to_network(question, ROOM, lambda done, count: None)
    assert found.left_out == ["standard at 0.5: p must be in [0, 1), got 1.5"]
    labels = {(run.labels["variant"], run.labels["rate"]) for run in expand(study_of(found.content))}
    assert labels == {("none", 0.1), ("standard", 0.1)}


@pytest.mark.slow
def test_what_fits_at_no_rate_is_named_alone() -> None:
    found = fitted(
        f"--data digits --network {HERE}.Alone --variants standard dropconnect standout --rates 0.2 0.5"
    )
    assert [*found.content["grid"]["variant"]] == ["none", "standard"]
    (first, second) = found.left_out
    assert first.startswith(
        "dropconnect: DropConnect works on an affine map and its activation and cannot stand after"
    )
    assert second.startswith("standout: Standout works on")


def test_one_reason_is_one_line() -> None:
    assert by_reason([("a at 0.1", "no"), ("b", "why"), ("c", "no"), ("c", "no")]) == [
        "a at 0.1, c: no",
        "b: why",
    ]


def test_the_split_varies_where_a_seed_draws_it() -> None:
    content = fitted(f"{SMALL} --variants standard --rates 0.5").content
    assert content["seeds"]["vary"] == ["weights", "split"]


def test_a_fault_of_all_is_an_error() -> None:
    with pytest.raises(UserError, match="no option .*rot"):
        fitted(f"{SMALL} --data.rot 3")
    with pytest.raises(UserError, match=r"no variant fits: MalDrop\(rho=99\): rho must be at most 12"):
        fitted(f"{SMALL} --variants MalDrop(rho=99)")


@pytest.mark.parametrize("network", ["NoPlace", "Deaf"])
def test_a_network_without_a_place(network: str) -> None:
    with pytest.raises(
        UserError, match=f"{network} has no place for dropout: .*networks.Head.*another --network"
    ):
        fitted(f"--data digits --network {HERE}.{network} --variants standard")


def test_one_rate_where_more_do_not_fit() -> None:
    question = {"name": "x", **ask(*parse(f"{SMALL} --variants standard dropalan-beta".split()))}
    tried: list[tuple[int, int]] = []
    small = Room(minutes=1e-6, jobs=1, seeds=3, takes_fewer=True)
    found = fit_to_network(question, small, lambda done, count: tried.append((done, count)))
    assert [*found.content["grid"]["rate"]] == [0.25]
    assert {str(run.labels["variant"]) for run in candidates_of(found.content)} == {
        "none",
        "standard",
        "dropalan-beta",
    }
    assert tried == [(1, 5), (2, 5), (3, 5)], "other rates are not tried"
    assert (found.budget.fits, found.budget.epochs) == (False, LEAST_EPOCHS)
    assert found.content["base"]["settings"]["trainer"]["max_epochs"] == LEAST_EPOCHS
    assert found.content["deviations"][-1].startswith("Each variant has one rate")


def test_the_middle_rate_is_tried_first() -> None:
    content = {"name": "x", **ask(*parse(f"{SMALL} --variants standard gaussian".split()))}
    labels = [run.labels for run in candidates_of(content)]
    assert [(each["variant"], each["rate"]) for each in labels if each["variant"] != "none"] == [
        (variant, rate) for rate in (0.25, 0.1, 0.5) for variant in ("standard", "gaussian")
    ]


def _dropout(settings: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = settings["model"]["network"]["init_args"]["dropout"]["init_args"]
    return found


def _of(found: Fitting, variant: str) -> list[Any]:
    return [run for run in candidates_of(found.content) if run.labels["variant"] == variant]


def test_a_folder_of_few_images_has_small_batches(tmp_path: Path) -> None:
    content = ask(*parse(f"--data {tmp_path}".split()))
    assert content["base"]["settings"]["data"]["init_args"]["batch_size"] is None
