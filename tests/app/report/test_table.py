"""The tables of a report."""

from dataclasses import replace
from pathlib import Path

from dropout_lab.app.report.results import Results, read_results
from dropout_lab.app.report.tables import chosen_table, metric_table
from tests.data.studies import study, write_study


def test_means_the_paper_s_numbers_and_how_far_they_are_apart(results: Results) -> None:
    table = metric_table(results, "test/accuracy", {})
    assert tuple(table.header) == (
        "method", "layers 2", "paper", "here − paper", "time a step",
        "layers 3", "paper", "here − paper", "time a step", "seeds",
    )  # fmt: skip
    none, dropin, dropout = map(tuple, table.rows)
    assert none == (
        "none", "40.00 ± 4.97", "38.90", "+1.10", "×1.00 ± 0.00",
        "45.00 ± 4.97", "47.50", "−2.50", "×1.00 ± 0.00", "3",
    )  # fmt: skip
    assert dropin[1:4] == ("45.00 ± 5.50", "42.00", "+3.00")
    assert dropin[4] == "×2.00 ± 1.24"
    assert dropout[5:8] == ("45.10 ± 2.90", "–", "–")
    assert any("once for all seeds" in note for note in table.notes)


def test_no_columns_for_what_the_paper_does_not_say_and_time_once(tmp_path: Path) -> None:
    content = study()
    content["report"] |= {"metric": ["test/accuracy", "test/loss"], "columns": None}
    content["grid"].pop("layers")
    content["paper"] = []
    folder = write_study(
        tmp_path / "s",
        content,
        metrics=lambda labels, seed: {"val/accuracy": 0.5, "test/accuracy": 0.5, "test/loss": 1.0},
    )
    results = read_results(folder)
    assert tuple(metric_table(results, "test/accuracy", {}).header) == (
        "method",
        "test accuracy (%)",
        "time a step",
        "seeds",
    )
    assert tuple(metric_table(results, "test/loss", {}).header) == ("method", "test loss", "seeds")


def test_an_unfinished_table_says_how_many_seeds_there_are(tmp_path: Path) -> None:
    def keep(labels: dict[str, object], seed: int) -> bool:
        return labels["method"] == "none" or (
            labels["method"] == "dropin" and labels["layers"] == 2 and seed == 0
        )

    results = read_results(write_study(tmp_path / "s", keep=keep))
    table = metric_table(results, "test/accuracy", {})
    assert tuple(table.rows[1]) == ("dropin", "43.10", "42.00", "+1.10", "×1.50", "–", "45.00", "–", "–", "1")
    assert [row[-1] for row in table.rows] == ["3", "1", "0"]
    assert "Where there is one seed only, there is no interval." in table.notes


def test_a_table_for_each_label_that_is_neither_row_nor_column(tmp_path: Path) -> None:
    content = study()
    content["report"]["columns"] = None
    results = read_results(write_study(tmp_path / "s", content))
    assert results.tables == [{"layers": 2}, {"layers": 3}]
    assert metric_table(results, "test/accuracy", {"layers": 3}).title == "test accuracy (%): layers 3"
    assert metric_table(results, "test/accuracy", {"layers": 3}).rows[1][1] == "50.00 ± 5.50"


def test_what_was_chosen(results: Results) -> None:
    table = chosen_table(results, {})
    assert table is not None
    assert tuple(map(tuple, table.rows)) == (
        ("none", "–", "–"),
        ("dropin", "0.5", "0.5"),
        ("dropout", "0.5", "0.5"),
    )
    assert chosen_table(replace(results, select=None), {}) is not None
