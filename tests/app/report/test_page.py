"""What the page says of a study, finished and unfinished."""

import json
from pathlib import Path

from dropout_lab.app.report.answer import answers
from dropout_lab.app.report.page import Picture, to_markdown
from dropout_lab.app.report.results import read_results
from dropout_lab.app.study.spec import FIGURES
from tests.data.studies import Labels, study, write_failure, write_run, write_study

COMMAND = "dropout-lab report studies/made-up"


def page_of(folder: Path) -> str:
    results = read_results(folder)
    return to_markdown(results, answers(results), COMMAND, [Picture("sweep", "figure-sweep.png", "layers 2")])


def test_a_finished_study(folder: Path) -> None:
    page = page_of(folder)
    for words in (
        "# Made-up drop-in",
        "Source: A. Author, A Paper, table 1",
        "All 42 runs are finished.",
        f"$ {COMMAND}",
        "- 10 epochs instead of 100",
        "| dropin | 45.00 ± 5.50 | 42.00 | +3.00 |",
        "- dropin against none (layers 2): +5.00, 95 % interval +4.71 to +5.29; in the paper +3.10: "
        "same direction, another size.",
        "in the paper −3.90: cannot be told apart.",
        "in the paper −2.50: the paper's ranking is reversed.",
        "- dropout against none (layers 3): +0.10, 95 % interval −2.80 to +3.00; cannot be told apart.",
        "- Order of all, layers 2: in the paper, best first, dropin, none, dropout; the paper's order is not confirmed",
        "Not drawn, since the runs hold nothing to show there: curves, loss, time, bars.",
        "torch 2.15.0",
        "Seeds 0, 1, 2.",
    ):
        assert words in page
    assert "Failed" not in page


def test_versions_the_commonest_first(folder: Path) -> None:
    write_run(folder, {"method": "none", "layers": 2, "p": 0.25}, 0, {}, versions={"torch": "2.11.0"})
    assert "Trained with pytorch\\_lightning 2.6.6, torch 2.15.0, 2.11.0. Seeds" in page_of(folder)


def test_each_kind_of_figure_has_a_caption_and_says_of_which_table_it_is(folder: Path) -> None:
    pictures = [Picture(kind, f"figure-{kind}.png", "layers 2") for kind in FIGURES]
    page = to_markdown(read_results(folder), [], COMMAND, pictures)
    assert page.count(" Here: layers 2.](figure-") == len(FIGURES)
    assert page.count(" Here: layers 2.*\n") == len(FIGURES)
    assert "*Left: ρ, or p, over training" in page
    assert "Not drawn" in page_of(folder)


def test_an_unfinished_study_says_what_is_not_there(tmp_path: Path) -> None:
    def keep(labels: Labels, seed: int) -> bool:
        return bool(labels["method"] != "dropout")

    folder = write_study(tmp_path / "s", keep=keep)
    write_failure(folder, {"method": "dropout", "layers": 2, "p": 0.5}, 1, "killed: out of memory")
    write_run(folder, {"method": "none", "layers": 2, "p": 0.25}, 0, {"val/accuracy": 0.1, "test/accuracy": 0.1},
              stopped="the loss is at ln 10")  # fmt: skip
    page = page_of(folder)
    assert (
        "24 of 42 runs are finished; 1 failed, 17 missing. All below is of the finished ones and may change."
        in page
    )
    assert "): killed: out of memory" in page
    assert "method none, layers 2, p 0.25, seed 0 (" in page
    assert "): the loss is at ln 10" in page
    assert page.count("- method dropout, layers") == 18


def test_the_commands_that_made_it(folder: Path) -> None:
    assert page_of(folder).count(f"```console\n$ {COMMAND}\n```") == 2
    assert "last of these commands" not in page_of(folder)
    (folder / "commands.txt").write_text("dropout-lab study made-up.yaml --quick\n")
    file = next((folder / "runs").iterdir()) / "run.json"
    file.write_text(
        json.dumps(json.loads(file.read_text()) | {"command": "dropout-lab study made-up.yaml --quick"})
    )
    page = page_of(folder)
    assert page.count(f"```console\n$ dropout-lab study made-up.yaml --quick\n$ {COMMAND}\n```") == 2
    assert "The runs were made by the first, and this page by the last of these commands:" in page


def test_a_long_list_is_cut(tmp_path: Path) -> None:
    page = page_of(write_study(tmp_path / "s", keep=lambda labels, seed: labels["method"] == "none"))
    assert "- and 16 more" in page


def test_the_verdict_comes_first_with_what_to_copy(folder: Path) -> None:
    page = page_of(folder)
    verdict, _, rest = page.partition("## Departures from the source")
    assert verdict.index("## Verdict") < verdict.index(
        "**layers 2: Use dropin (p 0.5)**: dropin, p 0.5 − none +5.00 points"
    )
    assert "```yaml\nmodel:\n  dropout:\n    class_path: DropIn\n    init_args:\n      p: 0.5\n```" in verdict
    assert (
        "| 1 | layers 2 | dropin | 0.5 | 45.00 ± 5.50 | +5.00 (+4.71 to +5.29) | \\< 0.001 (\\< 0.001) | better |"
        in verdict
    )
    assert "| 3 | layers 2 | none | – | 40.00 ± 4.97 | – | – | baseline |" in verdict
    assert "## Results" in rest


def test_without_a_baseline_there_is_no_verdict(tmp_path: Path) -> None:
    content = study()
    content["report"]["baseline"] = None
    page = page_of(write_study(tmp_path / "s", content))
    assert "Verdict" not in page
    assert "| 1 |" not in page


def test_one_seed_leaves_no_verdict(tmp_path: Path) -> None:
    page = page_of(write_study(tmp_path / "s", study(seeds=[0])))
    assert "+5.10, no interval: one seed; in the paper +3.10: no interval, so no verdict." in page
    assert "Where there is one seed only, there is no interval." in page
