"""The command report, from words to files."""

import base64
import hashlib
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dropout_lab.app.main import main
from tests.data.foreign import runs, write_csv
from tests.data.studies import run_folder, study, write_study

REPOSITORY = Path(__file__).parents[3]
FILES = {"results.csv", "report.md", "report.html"}


def error_of(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    return lines[0]


def test_writes_a_report_that_needs_nothing_else(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["report", str(folder)])
    report = folder / "report"
    figures = {f"figure-{kind}.png" for kind in ("sweep", "curves", "loss", "time", "bars")}
    assert {file.name for file in report.iterdir()} == FILES | figures
    page = (report / "report.html").read_text()
    assert page.count('src="data:image/png;base64,') == 5
    # No address but those within, no script but its own, nothing that is fetched.
    assert not re.search(r"https?:|<script .*src|<link|@import|url\(", page)
    script = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    assert len(script) == 1
    digest = base64.b64encode(hashlib.sha256(script[0].encode()).digest()).decode()
    assert (
        f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'" in page
    )
    assert len((report / "results.csv").read_text().splitlines()) == 43
    printed = capsys.readouterr().out
    assert "42 of 42 runs finished" in printed
    assert str(report / "report.html") in printed


def few_figures(*figures: str) -> dict[str, Any]:
    """Return the study with these figures alone: each takes a third of a second."""
    content = study()
    content["report"]["figures"] = list(figures)
    return content


@pytest.mark.slow
def test_the_same_runs_give_the_same_report(tmp_path: Path) -> None:
    # Of each kind of figure it is shown where they are drawn.
    folder = write_study(tmp_path / "s", few_figures("bars"))
    for name in ("a", "b"):
        main(["report", str(folder), "--out", str(tmp_path / name)])
    assert {file.name for file in (tmp_path / "a").iterdir()} == FILES | {"figure-bars.png"}
    for file in (tmp_path / "a").iterdir():
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes(), file.name


def test_a_figure_that_is_no_longer_asked_for_goes(tmp_path: Path) -> None:
    folder = write_study(tmp_path / "s", few_figures())
    report = folder / "report"
    report.mkdir()
    (report / "figure-sweep.png").touch()
    (report / "notes.txt").touch()
    main(["report", str(folder)])
    assert not (report / "figure-sweep.png").exists()
    assert (report / "notes.txt").exists()


def test_a_table_for_a_paper_where_it_is_asked_for(tmp_path: Path) -> None:
    folder = write_study(tmp_path / "s", few_figures())
    main(["report", str(folder), "--latex"])
    text = (folder / "report" / "report.tex").read_text()
    assert text.count(r"\begin{table}") == text.count(r"\end{table}") == 2
    assert (
        r"dropin & 0.5 & 45.00 $\pm$ 5.50 & +5.00 (+4.71 to +5.29) & $<$ 0.001 ($<$ 0.001) & better" in text
    )


@pytest.mark.slow
def test_several_studies(tmp_path: Path) -> None:
    first, second = (write_study(tmp_path / name, few_figures()) for name in ("one", "two"))
    main(["report", str(first), str(second), "--out", str(tmp_path / "out")])
    for name in ("one", "two"):
        assert {file.name for file in (tmp_path / "out" / name).iterdir()} == FILES


def test_two_studies_of_one_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    message = error_of(["report", "a/s", "b/s", "--out", "out"], capsys)
    assert "two studies would be reported in" in message


def test_errors_are_one_line(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "no study folder nowhere; `study` makes one" in error_of(["report", "nowhere"], capsys)
    assert "the following arguments are required: STUDY_FOLDER; see report --help" in error_of(
        ["report"], capsys
    )
    (tmp_path / "file").touch()
    assert "choose another --out" in error_of(
        ["report", str(folder), "--out", str(tmp_path / "file")], capsys
    )
    damaged = run_folder(folder, {"method": "none", "layers": 2, "p": 0.25}, 0) / "result.json"
    damaged.write_text('{"metrics": ')
    assert f"{damaged} is damaged" in error_of(["report", str(folder)], capsys)


def test_runs_of_other_tools(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write_csv(tmp_path / "my runs.csv", list(runs()))
    main(["report", "--from", str(file), "--group", "variant", "--metric", "test_acc"])
    printed = capsys.readouterr().out
    assert "12 of 12 runs finished" in printed
    assert "Use standard: standard − none +2.00 points" in printed
    report = Path("report-my-runs")
    assert {each.name for each in report.iterdir()} == FILES | {"figure-bars.png"}
    page = (report / "report.html").read_text()
    assert "<summary>Where the runs are from</summary>" in page
    assert "its settings are in its folder" not in page
    assert (report / "results.csv").read_text() == file.read_text().replace("\r\n", "\n")


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("--from a.csv --metric m", "--from needs --group, the name of a column"),
        ("--from a.csv --group g", "--from needs --metric, the name of a column"),
        ("--from a.csv --group g --metric m studies/s", "give a STUDY_FOLDER or --from, not both: studies/s"),
        ("studies/s --metric m", "--metric is for runs of other tools, with --from FILE"),
        ("--from a.csv --group g --metric m", "--from: a.csv: No such file or directory"),
    ],
)
def test_options_that_do_not_go_together(words: str, error: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert error in error_of(["report", *words.split()], capsys)


def test_an_unfinished_study_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = few_figures("curves")
    folder = write_study(tmp_path / "s", content, keep=lambda labels, seed: seed == 0 and labels["p"] == 0.25)
    main(["report", str(folder)])
    assert "6 of 42 runs finished, 36 missing" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words", [["report", "--help"], pytest.param(["report", "FOLDER"], marks=pytest.mark.slow)]
)
def test_torch_is_never_imported(folder: Path, words: list[str]) -> None:
    words = [str(folder) if word == "FOLDER" else word for word in words]
    program = (
        f"import sys; sys.argv = ['cli.py', *{words!r}]\n"
        "import cli\n"
        "try:\n    cli.main()\nexcept SystemExit:\n    pass\n"
        "heavy = {'torch', 'pytorch_lightning', 'jsonargparse', 'matplotlib.pyplot'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
