"""The drop probability and the expectation of each method, from the settings of hand-made runs."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from dropout_lab.app.errors import UserError
from dropout_lab.app.report.figures.distributions import dropout_curves
from dropout_lab.app.report.results import Results, read_results
from dropout_lab.app.report.write import draw
from tests.app.study.studies import dropout
from tests.data.studies import study, write_study


def written(folder: Path, columns: dict[str, Any] | None = None) -> Results:
    scaled = {"distribution": "beta", "scaled": True, "max_drop": 0.95}
    content = study(
        grid={
            "method": {
                "cnn": dropout("NoDropout"),
                "dropout": dropout({"class_path": "StandardDropout", "init_args": {"p": 0.5}}),
                "alpha": dropout({"class_path": "DropAlan", "init_args": {"distribution": "alpha"}}),
                "beta": dropout({"class_path": "DropAlan", "init_args": {"distribution": "beta"}}),
                "beta-scaled": dropout({"class_path": "DropAlan", "init_args": scaled}),
                "dropin": dropout("DropIn"),
            },
            "logits": columns or {"relu": {}, "linear": {"model": {"network": {"init_args": {"relu_logits": False}}}}},
        },
        skip=[], select=None, paper=[],
    )  # fmt: skip
    content["report"] |= {
        "columns": "logits",
        "baseline": {"method": "dropout"},
        "figures": ["distributions"],
    }
    write_study(folder, content, lambda labels, seed: {"val/accuracy": 0.4, "test/accuracy": 0.4})
    results = read_results(folder)
    return replace(results, select=None)


def drawn(results: Results) -> Figure:
    figure = draw("distributions", results, "test/accuracy", {})
    assert figure is not None
    return figure


def at(figure: Figure, panel: int, line: int, x: float) -> float:
    found = figure.axes[panel].lines[line]
    return float(np.interp(x, np.asarray(found.get_xdata()), np.asarray(found.get_ydata())))


def names(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_d_and_the_expectation_of_each_method(tmp_path: Path) -> None:
    figure = drawn(written(tmp_path / "s"))
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        "probability of dropping", "expectation in training",
    ]  # fmt: skip
    assert names(figure) == ["ReLU", "cnn", "dropout", "alpha", "beta", "beta-scaled"]
    assert [at(figure, 0, line, -0.5) for line in range(4)] == pytest.approx([0, 0.5, 0.4, 0.8])
    # ReLU, cnn, dropout on it in dashes and nowhere apart from it, alpha, beta, beta-scaled.
    assert [at(figure, 1, line, -2.0) for line in (0, 1, 2)] == pytest.approx([0, 0, 0])
    assert np.isnan(np.asarray(figure.axes[1].lines[3].get_ydata())).all()
    assert [at(figure, 1, line, -2.0) for line in (4, 5, 6)] == pytest.approx([-0.4, -0.2, -2.0])
    assert figure.get_supxlabel() == "No d(x): dropin"


def test_lines_upon_each_other_are_told_apart(tmp_path: Path) -> None:
    lines = drawn(written(tmp_path / "s")).axes[0].lines
    # cnn, dropout, alpha, beta, and beta-scaled in dashes where it is beta's, solid where it is not.
    assert len(lines) == 6
    dashed, apart = (np.asarray(line.get_ydata()) for line in lines[4:])
    assert lines[4].get_linestyle() == "--"
    assert np.isfinite(dashed).all()
    x = np.asarray(lines[5].get_xdata())
    assert x[np.isfinite(apart)].max() == pytest.approx(-4.0, abs=0.02)


def test_columns_with_another_dropout_are_lines_of_their_own(tmp_path: Path) -> None:
    spec = {"model": {"network": {"init_args": {"dropout": {"class_path": "DropAlan"}}}}}
    figure = drawn(written(tmp_path / "s", {"as it is": {}, "alan": spec}))
    assert names(figure)[:3] == ["ReLU", "cnn, as it is", "cnn, alan"]
    # The same in both, by its own settings.
    assert "beta" in names(figure)


def test_methods_without_a_d_have_no_figure(results: Results) -> None:
    assert draw("distributions", results, "test/accuracy", {}) is None


@pytest.mark.parametrize(
    "spec", ["torchvision.models.resnet18", {"class_path": "subprocess.Popen"}, "this.x"]
)
def test_settings_of_a_strangers_study_name_dropout_alone(spec: Any) -> None:
    with pytest.raises(UserError, match="may not be named in settings|dropout"):
        dropout_curves(
            {"model": {"network": {"class_path": "X", "init_args": {"dropout": spec}}}}, np.ones(3)
        )
    assert "this" not in sys.modules
