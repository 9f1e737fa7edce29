"""Right and wrong images of hand-made runs."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dropout_lab.app.errors import UserError
from dropout_lab.app.report.figures.panels import chosen_runs, read_panels
from dropout_lab.app.report.results import Results, read_results
from dropout_lab.app.report.write import draw
from tests.data.studies import run_folder, study, write_study

NAMES = np.array(["cat", "dog"])


def write_panels(file: Path, kinds: tuple[str, ...] = ("right", "wrong")) -> None:
    arrays: dict[str, Any] = {"class_names": NAMES}
    for kind in kinds:
        arrays |= {
            f"{kind}/stored": np.full((2, 4, 6, 3), 255, np.uint8),
            f"{kind}/normalized": np.zeros((2, 4, 6, 3), np.uint8),
            f"{kind}/target": np.array([0, 1]),
            f"{kind}/predicted": np.array([0, 1] if kind == "right" else [1, 0]),
            f"{kind}/probability": np.array([0.5, 0.75], np.float32),
        }
    np.savez_compressed(file, **arrays)


def test_what_a_run_has_kept(tmp_path: Path) -> None:
    write_panels(tmp_path / "panels.npz", ("wrong",))
    (kind,) = (found := read_panels(tmp_path / "panels.npz"))
    assert kind == "wrong"
    panel = found["wrong"]
    assert (panel.truth, panel.predicted) == (["cat", "dog"], ["dog\n50%", "cat\n75%"])
    (_, stored), (_, normalized) = panel.rows
    assert (stored.min(), normalized.max(), stored.shape) == (1.0, 0.0, (2, 4, 6, 3))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 broken", b"[]"])
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "panels.npz").write_bytes(content)
    with pytest.raises(UserError, match=r"panels.npz is damaged .*remove its folder and run `study` again"):
        read_panels(tmp_path / "panels.npz")


def test_a_file_that_lacks_something_is_named(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "panels.npz", right=np.zeros(3))
    with pytest.raises(UserError, match=r"panels.npz is damaged \(KeyError"):
        read_panels(tmp_path / "panels.npz")


def test_two_panels_a_method_of_those_that_kept_images(folder: Path) -> None:
    for labels, kinds in (
        ({"method": "none", "layers": 2, "p": 0.25}, ("right", "wrong")),
        ({"method": "dropin", "layers": 2, "p": 0.5}, ("right",)),
        # Not the one that is chosen.
        ({"method": "dropout", "layers": 2, "p": 0.75}, ("right", "wrong")),
    ):
        write_panels(run_folder(folder, labels, 0) / "panels.npz", kinds)
    figure = draw("panels", read_results(folder), "test/accuracy", {})
    assert figure is not None
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        "none, layers 2: right", "wrong", "dropin, layers 2, p 0.5: right", "wrong: none",
    ]  # fmt: skip
    words = [text.get_text() for text in figure.axes[1].texts]
    assert words == ["cat", "dog\n50%", "dog", "cat\n75%", "true", "predicted"]


def test_one_run_a_method_of_the_first_seed_best_in_validation(results: Results) -> None:
    runs = ((title, results.finished[name][0]) for name, title in chosen_runs(results, {}).items())
    chosen = [(title, run.labels["p"], run.seed) for title, run in runs]
    assert chosen[:2] == [("none, layers 2", 0.25, 0), ("none, layers 3", 0.25, 0)]
    assert ("dropin, layers 3, p 0.5", 0.5, 0) in chosen
    assert len(chosen) == 6


def test_where_nothing_is_selected_too_and_p_are_the_rows(tmp_path: Path) -> None:
    content = study(select=None)
    content["report"] |= {"rows": "p", "columns": "method"}
    results = read_results(
        write_study(tmp_path / "s", content, keep=lambda labels, seed: seed > 0 or labels["method"] == "none")
    )
    chosen = [
        (title, results.finished[name][0].seed)
        for name, title in chosen_runs(replace(results, select=None), {"layers": 2}).items()
    ]
    # The first seed that is finished.
    assert chosen == [("none", 0), ("dropin, p 0.5", 1), ("dropout, p 0.5", 1)]


def test_runs_that_kept_no_images_have_no_figure(results: Results) -> None:
    assert draw("panels", results, "test/accuracy", {}) is None
