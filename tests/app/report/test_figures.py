"""What the figures show."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from dropout_lab.app.plotting import save
from dropout_lab.app.report.figures.curves import SOURCE
from dropout_lab.app.report.results import Results, read_results
from dropout_lab.app.report.write import KINDS, draw
from dropout_lab.app.study.spec import FIGURES
from tests.data.studies import Labels, metrics_of, study, write_study

TEST = "test/accuracy"


def drawn(kind: str, results: Results) -> Figure:
    figure = draw(kind, results, TEST, {})
    assert figure is not None
    return figure


def one_column(folder: Path) -> Results:
    content = study()
    content["grid"]["layers"] = {2: content["grid"]["layers"][2]}
    content["paper"] = content["paper"][:3]
    return read_results(write_study(folder, content))


@pytest.mark.parametrize(
    "kind",
    ["curves", "sweep", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("loss", "time", "bars"))],
)
def test_a_panel_a_column_800_pixels_wide(kind: str, results: Results, tmp_path: Path) -> None:
    figure = drawn(kind, results)
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["layers 2", "layers 3"]
    assert imread(save(figure, tmp_path / "a.png")).shape[1] == 1600
    # The layout is settled when a figure is written, so it is drawn anew.
    save(drawn(kind, results), tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_curves_of_validation_and_training(results: Results) -> None:
    lines = drawn("curves", results).axes[0].lines
    assert [line.get_linestyle() for line in lines] == [":", "-"] * 3
    assert np.asarray(lines[1].get_xdata()).tolist() == [1, 2, 3, 4, 5, 6]
    last = np.asarray(lines[3].get_ydata())[-1]
    dropin = results.of({"method": "dropin", "layers": 2}).values()
    assert last == pytest.approx(
        100 * np.mean([results.history.xs(run)["val/accuracy"].iloc[-1] for run in dropin])
    )


def test_crosses_are_the_source_s_own_curve(tmp_path: Path) -> None:
    content = study()
    content["paper"] += [
        {"method": "none", "layers": 2, "val/accuracy@2": 0.3, "val/accuracy@10": 0.4},
        {"method": "none", "layers": 3, "train/accuracy@1": 0.2},
    ]
    results = read_results(write_study(tmp_path / "s", content))
    figure = drawn("curves", results)
    crosses = [
        [np.asarray(values).tolist() for values in line.get_data()]
        for axes in figure.axes
        for line in axes.lines
        if line.get_marker() == SOURCE
    ]
    assert crosses == [[[2, 10], [30, 40]], [[1], [20]]]
    assert "the source's run" in [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def test_training_with_dropout_off_is_drawn_where_it_was_measured(tmp_path: Path) -> None:
    content = study()
    content["paper"] += [
        {"method": "none", "layers": 3, "train_eval/accuracy@1": 0.2, "train/accuracy@1": 0.1}
    ]
    results = read_results(write_study(tmp_path / "s", content))
    results.history["train_eval/accuracy"] = results.history["val/accuracy"] + 0.2
    figure = drawn("curves", results)
    names = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    assert names[-3:] == ["validation", "training, dropout off", "the source's run"]
    dotted, solid = (np.asarray(line.get_ydata()) for line in figure.axes[0].lines[:2])
    assert (dotted - solid).tolist() == pytest.approx([20.0] * 6)
    crosses = [line for axes in figure.axes for line in axes.lines if line.get_marker() == SOURCE]
    assert [np.asarray(line.get_ydata()).tolist() for line in crosses] == [[20.0]]


def test_the_baseline_is_a_band_across_the_sweep(results: Results) -> None:
    lines = drawn("sweep", results).axes[0].lines
    assert [len(np.asarray(line.get_xdata())) for line in lines] == [3, 3, 2]
    assert np.asarray(lines[2].get_ydata()).tolist() == pytest.approx([40.0, 40.0])


def test_a_point_a_method_and_the_paper_s(results: Results) -> None:
    axes = drawn("bars", results).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["none", "dropin", "dropout"]
    papers = [np.asarray(line.get_xdata())[0] for line in axes.lines if line.get_markerfacecolor() == "white"]
    assert papers == pytest.approx([38.9, 42.0, 35.0])


def test_lines_of_one_panel_are_named_where_they_end(tmp_path: Path) -> None:
    results = one_column(tmp_path / "s")
    figure = draw("curves", results, TEST, {})
    assert figure is not None
    assert [text.get_text() for text in figure.axes[0].texts] == ["none", "dropin", "dropout"]


def test_the_legend_names_lines_that_the_first_panel_has_not(tmp_path: Path) -> None:
    content = study(select=None)
    content["report"] |= {"rows": "p", "columns": "method", "figures": ["curves"]}
    figure = draw(
        "curves",
        replace(read_results(write_study(tmp_path / "s", content)), select=None),
        TEST,
        {"layers": 2},
    )
    assert figure is not None
    names = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    assert names == ["p 0.25", "p 0.5", "p 0.75", "validation", "training"]


def test_bands_beyond_what_there_can_be_are_not_shown(tmp_path: Path) -> None:
    folder = write_study(
        tmp_path / "s",
        metrics=lambda labels, seed: dict.fromkeys(("val/accuracy", TEST), (0.01, 0.99, 1.0)[seed]),
    )
    results = read_results(folder)
    for kind in ("curves", "sweep", "time"):
        low, high = drawn(kind, results).axes[0].get_ylim()
        assert -2 <= low < high <= 102, kind


def test_nothing_to_show(tmp_path: Path) -> None:
    folder = write_study(tmp_path / "s", keep=lambda labels, seed: labels["method"] == "none")
    for file in folder.glob("runs/*/epochs.csv"):
        file.unlink()
    results = read_results(folder)
    assert [kind for kind in KINDS if draw(kind, results, TEST, {}) is not None] == ["cost", "bars"]


def test_each_kind_that_a_study_may_ask_for_is_drawn() -> None:
    assert set(KINDS) == set(FIGURES)


def test_names_above_several_panels(tmp_path: Path) -> None:
    content = study(paper=[], skip=None, seeds=[0])
    content["grid"]["p"] = [0.5]
    methods = content["grid"]["method"]
    long = {f"a method of the length of a sentence, number {place} $x": place for place in range(12)}
    methods |= {name: {"model": {"dropout": place}} for name, place in long.items()}

    def metrics(labels: Labels, seed: int) -> dict[str, float]:
        found = metrics_of({**labels, "method": "dropin"}, seed)
        # Runs that never differ would be one row.
        return {**found, "test/accuracy": [*methods].index(labels["method"]) / 100}

    results = read_results(write_study(tmp_path / "s", content, metrics))
    figure = drawn("curves", results)
    figure.draw_without_rendering()
    (legend,) = figure.legends
    box = legend.get_window_extent()
    assert (box.x0 >= 0, box.x1 <= figure.bbox.width) == (True, True), "all names are on the figure"
    assert [text.get_text() for text in legend.get_texts()][-2:] == ["validation", "training"]
    assert len(legend.get_texts()) == len(methods) + 2
    assert min(axes.bbox.height for axes in figure.axes) > 2.5 * figure.dpi, "the panels keep their height"
    save(figure, tmp_path / "a.png")
