"""Rows whose runs never differ are one row."""

from pathlib import Path
from typing import Any

import pytest

from dropout_lab.app.report.compare import rankings
from dropout_lab.app.report.identical import joined, merge_identical
from dropout_lab.app.report.results import Results, read_results
from dropout_lab.app.report.tables import metric_table
from dropout_lab.app.report.write import draw
from tests.data.studies import Labels, run_folder, write_study

CAPS = (0.95, 0.999)


def content(**changes: Any) -> dict[str, Any]:
    scaled = {
        str(cap): {"model": {"dropout": {"class_path": "DropAlan", "init_args": {"cap": cap}}}}
        for cap in CAPS
    }
    return {
        "name": "caps",
        "base": {"settings": {}},
        "grid": {"method": {"none": {"model": {"dropout": "NoDropout"}}, **scaled}},
        "seeds": [0, 1],
        "report": {
            "rows": "method",
            "metric": "test/accuracy",
            "baseline": {"method": "none"},
            "figures": ["curves", "bars"],
        },
    } | changes


def metrics_of(labels: Labels, seed: int) -> dict[str, float]:
    test = (0.5 if labels["method"] == "none" else 0.6) + 0.01 * seed
    return {"test/accuracy": test, "val/accuracy": test}


def caps(folder: Path, **changes: Any) -> Results:
    return read_results(write_study(folder, content(**changes), metrics_of))


def test_one_row_that_says_so(tmp_path: Path) -> None:
    results = caps(tmp_path / "s")
    assert [labels["method"] for labels in results.rows] == ["none", "0.95"]
    table = metric_table(results, "test/accuracy", {})
    assert [row[0] for row in table.rows] == ["none", "0.95 = 0.999"]
    assert table.notes[-1].startswith(
        "0.95 = 0.999: the runs are the same to the last digit in every seed and curve"
    )
    (line,) = rankings(results)["test accuracy (%)"]
    assert line.startswith("0.95 = 0.999 against none")
    figure = draw("bars", results, "test/accuracy", {})
    assert figure is not None
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == ["none", "0.95 = 0.999"]


def test_the_row_with_the_source_s_number_stands_for_both(tmp_path: Path) -> None:
    results = caps(tmp_path / "s", paper=[{"method": "0.999", "test/accuracy": 0.7}])
    assert [labels["method"] for labels in results.rows] == ["none", "0.999"]
    assert metric_table(results, "test/accuracy", {}).rows[1][:3] == ["0.999 = 0.95", "60.50 ± 6.35", "70.00"]


def test_two_numbers_of_the_source_are_two_rows(tmp_path: Path) -> None:
    paper = [{"method": str(cap), "test/accuracy": 0.7} for cap in CAPS]
    assert len(caps(tmp_path / "s", paper=paper).rows) == 3


def test_the_baseline_stands_for_both(tmp_path: Path) -> None:
    report = {**content()["report"], "baseline": {"method": "0.999"}}
    assert [each["method"] for each in caps(tmp_path / "s", report=report).rows] == ["none", "0.999"]


@pytest.mark.parametrize("what", ["a curve", "a seed"])
def test_what_differs_stays_apart(what: str, tmp_path: Path) -> None:
    folder = write_study(tmp_path / "s", content(), metrics_of)
    run = run_folder(folder, {"method": "0.999"}, 1)
    if what == "a seed":
        (run / "result.json").unlink()
    else:
        file = run / "epochs.csv"
        lines = file.read_text().splitlines()
        lines[3] = lines[3][:-1] + ("1" if lines[3][-1] != "1" else "2")
        file.write_text("\n".join(lines))
    results = read_results(folder)
    assert len(results.rows) == 3
    assert results.identical == []


def test_times_do_not_count(tmp_path: Path) -> None:
    folder = write_study(tmp_path / "s", content(), metrics_of)
    file = run_folder(folder, {"method": "0.999"}, 1) / "result.json"
    file.write_text(file.read_text().replace('"train_seconds": 24.0', '"train_seconds": 25.0'))
    assert "25.0" in file.read_text()
    assert len(read_results(folder).rows) == 2


def test_columns_are_merged_too(tmp_path: Path) -> None:
    grid = content()["grid"]
    grid["largest"] = {cap: {"model": {"cap": cap}} for cap in CAPS}
    grid["method"].popitem()
    report = {**content()["report"], "columns": "largest"}
    results = caps(tmp_path / "s", grid=grid, report=report)
    assert results.columns == [{"largest": 0.95}]
    assert metric_table(results, "test/accuracy", {}).header[1] == "largest 0.95 = 0.999"


def test_shared_runs_are_no_finding(results: Results) -> None:
    # Without a p there is one and the same run at each p.
    assert results.identical == []
    one = [{0: ["a"], 1: ["b"]}]
    assert merge_identical([one, one], {"a": 1, "b": 2}, [0, 0]) == [[0], [1]]
    assert merge_identical([one, [{0: ["c"], 1: ["d"]}]], {"a": 1, "b": 2, "c": 1, "d": 2}, [0, 0]) == [
        [0, 1]
    ]
    assert merge_identical([[{}], [{}]], {}, [0, 0]) == [[0], [1]]


def test_labels_as_one() -> None:
    assert joined([{"m": "a", "p": 1}, {"m": "b", "p": 1}]) == {"m": "a = b", "p": 1}
    assert joined([{"p": 0.5}, {"p": 1}]) == {"p": "p 0.5 = 1"}
