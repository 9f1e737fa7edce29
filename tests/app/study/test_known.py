"""Finished runs are taken back from a table."""

import csv
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dropout_lab.app.errors import UserError
from dropout_lab.app.main import main
from dropout_lab.app.report.page import escape, to_markdown
from dropout_lab.app.report.results import read_results
from dropout_lab.app.report.write import draw
from dropout_lab.app.study.folder import StudyFolder, finished, write_results
from dropout_lab.app.study.grid import expand
from dropout_lab.app.study.known import read_known, take
from dropout_lab.app.study.read_spec import read_study
from tests.app.study.studies import dropout
from tests.app.study.studies import write_study as write_tiny
from tests.data.studies import Labels, study, write_study

Edit = Callable[[list[list[str]]], None]


def made(folder: Path, keep: Callable[[Labels, int], bool] = lambda labels, seed: True) -> Path:
    """Return the table of a study, in which one run has diverged and one was stopped."""
    content = study()
    content["report"]["metric"] = ["test/accuracy", "val/accuracy@last2"]
    write_study(folder, content, keep=keep)
    results = read_results(folder)
    file = folder / "results.csv"
    write_results(file, results.study.axes, results.with_moments())
    return file


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    table = made(tmp_path / "there")
    there = read_results(tmp_path / "there")
    runs = expand(there.study)
    known = read_known(table, there.study, runs)
    here = StudyFolder(tmp_path / "here")
    assert take(known, here, table, "a command") == [f"{len(runs)} taken"]
    before = {run.hash: result for run, result in there.with_moments()}
    after = {run.hash: result for run, result in finished(here, runs)}
    assert before.keys() == after.keys()
    for run in runs:
        one, two = vars(before[run.hash]), vars(after[run.hash])
        assert two.pop("known") == str(table)
        for name in two.keys() - {"versions", "data"}:
            assert one[name] == two[name], name
    # And once more: what is there stays.
    assert take(known, here, table, "a command") == [f"{len(runs)} finished here before"]


def test_the_report_of_runs_with_and_without_curves(tmp_path: Path) -> None:
    def early(labels: Labels, seed: int) -> bool:
        return seed < 2

    table = made(tmp_path / "there", early)
    folder = tmp_path / "here"
    content = study()
    content["report"]["metric"] = ["test/accuracy", "val/accuracy@last2"]
    write_study(folder, content, keep=lambda labels, seed: seed == 2)
    whole = read_study(folder / "study.yaml")
    take(read_known(table, whole, expand(whole)), StudyFolder(folder), table, "a command")
    results = read_results(folder)
    labels: Labels = {"method": "dropin", "layers": 2}
    # Figures of all three seeds, and the curve of one.
    for metric in ("test/accuracy", "val/accuracy@last2"):
        found = results.estimate(labels, metric)
        assert found is not None
        assert found.count == 3
    figure = draw("curves", results, "test/accuracy", {})
    assert figure is not None
    assert figure.axes[0].lines
    page = to_markdown(results, [], "c", [])
    count = len(results.without_curves)
    assert (
        escape(f"Of these, {count} were run elsewhere and taken over as figures: {count} from {table}.")
        in page
    )
    assert f"{count} of the finished runs have no epochs.csv." in page


def test_a_report_of_runs_without_any_curve(tmp_path: Path) -> None:
    table, folder = made(tmp_path / "there"), tmp_path / "here"
    whole = read_study(tmp_path / "there" / "study.yaml")
    StudyFolder(folder).write(whole)
    take(read_known(table, whole, expand(whole)), StudyFolder(folder), table, "a command")
    results = read_results(folder)
    assert draw("curves", results, "test/accuracy", {}) is None
    assert draw("bars", results, "test/accuracy", {}) is not None
    found = results.estimate({"method": "dropin", "layers": 2}, "val/accuracy@last2")
    assert found is not None
    assert found.count == 3


def cell(line: int, column: str, text: str) -> Edit:
    def edit(rows: list[list[str]]) -> None:
        rows[line - 1][rows[0].index(column)] = text

    return edit


CASES: dict[str, tuple[Edit, str]] = {
    "label": (cell(3, "method", "dropim"), "line 3, column method: the study has no 'dropim'; it has none, dropin"),
    "seed": (cell(2, "seed", "7"), "line 2, column seed: the study has no '7'; it has 0, 1, 2"),
    "skipped": (cell(2, "p", "0.5"), "line 2, column method: the study's rules of skip"),
    "hash": (cell(4, "hash", "abc"), r"line 4, column hash: .*seed=2 was run with other settings .abc, and"),
    "twice": (lambda rows: rows.append(rows[1]), r"column seed: .* stands in line 2 already"),
    "number": (cell(2, "test/accuracy", "high"), "line 2, column test/accuracy: must be a number or empty, got 'high'"),
    "whole": (cell(2, "steps", "1.5"), "line 2, column steps: must be a whole number of 0 or more, or empty"),
    "negative": (cell(2, "seconds", "-1"), "line 2, column seconds: must be 0 seconds or more, got '-1'"),
    "infinite": (cell(2, "seconds", "inf"), "line 2, column seconds: must be 0 seconds or more, got 'inf'"),
    "not ended": (cell(2, "steps", ""), "line 2, column steps: is empty: the run has not ended"),
    "first step": (cell(2, "first_steps/0.3", "soon"), "line 2, column first_steps/0.3: must be a whole number"),
    "column": (cell(1, "test/accuracy", "remarks here"), "line 1, column 'remarks here': is no axis .*no metric"),
    "axis missing": (cell(1, "p", "test/f1"), "line 1, column p: is missing"),
    "column twice": (cell(1, "test/loss", "test/accuracy"), "line 1, column test/accuracy: stands twice"),
    "short": (lambda rows: rows[4].append(""), "line 5 has .* values, where there are .* columns"),
    "empty": (lambda rows: rows.clear(), "holds no table"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_row_that_does_not_fit(case: str, tmp_path: Path) -> None:
    edit, message = CASES[case]
    table = made(tmp_path / "there")
    with table.open() as stream:
        rows = list(csv.reader(stream))
    edit(rows)
    with table.open("w", newline="") as stream:
        csv.writer(stream).writerows(rows)
    whole = read_study(tmp_path / "there" / "study.yaml")
    with pytest.raises(UserError, match=message) as refused:
        read_known(table, whole, expand(whole))
    assert str(refused.value).startswith(f"{table}: ")
    assert "\n" not in str(refused.value)


def test_a_table_without_a_hash_and_with_nan(tmp_path: Path) -> None:
    table = made(tmp_path / "there")
    with table.open() as stream:
        rows = list(csv.reader(stream))
    drop = rows[0].index("hash")
    rows = [row[:drop] + row[drop + 1 :] for row in rows]
    cell(2, "val/loss", "nan")(rows)
    with table.open("w", newline="") as stream:
        csv.writer(stream).writerows(rows)
    whole = read_study(tmp_path / "there" / "study.yaml")
    runs = expand(whole)
    known = read_known(table, whole, runs)
    assert [row.run.hash for row in known] == [run.hash for run in runs]
    here = StudyFolder(tmp_path / "here")
    take(known[:1], here, table, "")
    ((_, result),) = finished(here, runs)
    assert math.isnan(result.metrics["val/loss"])


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    made(tmp_path / "there")
    whole = read_study(tmp_path / "there" / "study.yaml")
    with pytest.raises(UserError, match=r"--known: .*nowhere.csv: No such file"):
        read_known(tmp_path / "nowhere.csv", whole, expand(whole))
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match=r"bytes.csv is no text in UTF-8"):
        read_known(tmp_path / "bytes.csv", whole, expand(whole))


def test_the_command_goes_on_from_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    file = write_tiny()
    runs = expand(read_study(file))
    lines = ["method,p,seed,test/accuracy,steps,epochs,train_seconds,seconds"]
    lines += [f"{run.labels['method']},0.25,{run.seed},0.5,8,2,1.0,2.0" for run in runs]
    Path("known.csv").write_text("\n".join(lines[:4]))
    main(f"study {file} --dry-run --known known.csv".split())
    out = capsys.readouterr().out
    assert "known    known.csv: 3 runs, which would be taken where they are not here" in out
    assert out.count("method=") == 1
    assert not Path("studies").exists()
    Path("known.csv").write_text("\n".join(lines))
    main(f"study {file} --known known.csv".split())
    out = capsys.readouterr().out
    assert "known    known.csv: 4 runs, 4 taken" in out
    assert re.search("4 of 4 runs are done", out)
    with Path("studies/tiny/results.csv").open() as stream:
        assert [row["hash"] for row in csv.DictReader(stream)] == [run.hash for run in runs]


@pytest.mark.parametrize("given", [{"of": "all"}, {"of": "positive"}])
def test_a_table_of_runs_that_did_not_name_a_default_yet(given: dict[str, str], tmp_path: Path) -> None:
    def dropact(**arguments: Any) -> dict[str, Any]:
        return {"dropact": dropout({"class_path": "DropAct", "init_args": {"p": 0.5, **arguments}})}

    before = read_study(write_tiny(grid={"method": dropact()}))
    now = read_study(write_tiny(grid={"method": dropact(**given)}))
    table = tmp_path / "results.csv"
    lines = ["method,seed,hash,test/accuracy,steps,epochs,train_seconds,seconds"]
    lines += [f"dropact,{run.seed},{run.hash},0.5,8,2,1.0,2.0" for run in expand(before)]
    table.write_text("\n".join(lines))
    if given["of"] == "all":
        assert [row.run for row in read_known(table, now, expand(now))] == expand(now)
    else:
        with pytest.raises(UserError, match="was run with other settings"):
            read_known(table, now, expand(now))
