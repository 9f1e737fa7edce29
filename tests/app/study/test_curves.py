"""From settings to the curves of a layer."""

from typing import Any

import numpy as np
import pytest

from dropout_lab.app.errors import UserError
from dropout_lab.app.report.figures.distributions import Array, dropout_curves
from tests.app.study.studies import dropout

X = np.array([-2.0, -0.5, 0.0, 1.0])


def of(name: str, **arguments: Any) -> tuple[Array, Array] | None:
    return dropout_curves(dropout({"class_path": name, "init_args": arguments}), X)


@pytest.mark.parametrize(
    ("name", "arguments", "drop", "expectation"),
    [
        ("DropAlan", {"distribution": "alpha"}, [0.8, 0.4, 0, 0], [-0.4, -0.3, 0, 1]),
        ("DropAlan", {"distribution": "beta"}, [0.9, 0.8, 0, 0], [-0.2, -0.1, 0, 1]),
        ("DropAlan", {"distribution": "beta", "scaled": True}, [0.9, 0.8, 0, 0], [-2, -0.5, 0, 1]),
        ("DropAlan", {"min_drop": 0.5, "saturation": 0.5}, [0.75, 0.5, 0, 0], [-0.5, -0.25, 0, 1]),
        ("DropAlan", {"negative_slope": 0.5}, [0.8, 0.8, 0, 0], [-0.2, -0.05, 0, 1]),
        # What does not replace the activation follows a ReLU.
        ("StandardDropout", {"p": 0.5}, [0.5] * 4, [0, 0, 0, 1]),
        ("StandardDropout", {"p": 0.5, "inverted": False}, [0.5] * 4, [0, 0, 0, 0.5]),
        ("NoDropout", {}, [0] * 4, [0, 0, 0, 1]),
    ],
)
def test_by_hand(name: str, arguments: dict[str, Any], drop: list[float], expectation: list[float]) -> None:
    found = of(name, **arguments)
    assert found is not None
    assert [curve.tolist() for curve in found] == [pytest.approx(drop), pytest.approx(expectation)]


@pytest.mark.parametrize("name", ["DropIn", "MalDrop", "DropConnect", "Standout", "torch.nn.Dropout"])
def test_a_layer_that_looks_at_more_than_the_unit_has_none(name: str) -> None:
    assert of(name, **({"rho": 1} if name == "MalDrop" else {})) is None


def test_settings_that_say_nothing_of_dropout() -> None:
    assert dropout_curves({"model": {"network": "GavierMNIST"}}, X) is None


def test_wrong_settings() -> None:
    with pytest.raises(UserError, match="p must be in .0, 1., got 1.5"):
        of("StandardDropout", p=1.5)
    with pytest.raises(UserError, match="DropAln") as raised:
        of("DropAln")
    assert "\n" not in str(raised.value)
