"""The command ``study``: what it answers without running anything."""

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from dropout_lab.app.main import main
from dropout_lab.app.study import command
from dropout_lab.app.study.command import parse
from dropout_lab.app.study.folder import StudyFolder
from dropout_lab.app.study.local import PoolEngine
from dropout_lab.app.study.run_files import RunTask
from dropout_lab.app.study.scheduler import Engine, OnEvent, Worker
from tests.app.study.studies import BASE, content, dropout, tasks, write_study

REPOSITORY = Path(__file__).parents[3]
REPORT = content()["report"]
CASES: dict[str, tuple[str, dict[str, Any], str]] = {
    "class": ("", {"grid": {"method": {"a": dropout("NoDropot")}}}, "run method=a  seed=0: .*'NoDropot'"),
    "setting": ("", {"base": {"settings": {**BASE, "trainer": {"max_epoch": 1}}}}, "did you mean max_epochs?"),
    "value": ("", {"grid": {**content()["grid"], "p": [0.5, 1.5]}}, "p=1.5  seed=0: p must be in .0, 1., got 1.5"),
    "data": ("", {"base": {"settings": {**BASE, "data": {"class_path": "MNISTDataModule"}}}}, "MNIST not found"),
    "metric": ("", {"report": {**REPORT, "metric": "test/acuracy"}}, "no metric 'test/acuracy' in run .*test/accuracy"),
    "select": ("", {"select": {"over": "p", "by": "val/top3"}}, "no metric 'val/top3'"),
    "paper": ("", {"paper": [{"method": "none", "test/f2": 1}]}, "no metric 'test/f2'"),
    "axis": ("", {"report": {**REPORT, "rows": "methods"}}, "report.rows: no axis 'methods'; did you mean method?"),
    "file": ("nowhere.yaml", {}, "no file nowhere.yaml"),
    "only": ("--only method=nonne", {}, "--only method=nonne: .*did you mean none?"),
    "only none": ("--only method=none --only p=0.25", {"skip": [{"method": "none", "p": 0.25}]}, "no run"),
    "quick": ("--quick", {}, "quick: is missing"),
    "set": ("--set data.root", {}, "--set needs KEY=VALUE"),
    "set key": ("--set modle.x=1", {}, "no option modle; did you mean model?"),
    "jobs": ("--jobs 0", {}, "--jobs must be 1 or more, got 0"),
    "engine": ("--engine slurm", {}, "argument --engine: invalid choice: 'slurm' .choose from .*pool.*ray"),
    "gpus": ("--engine ray --gpus_per_run 1.5", {}, "--gpus_per_run must be a share .* or a whole number, got 1.5"),
    "gpus of the pool": ("--gpus_per_run 0.5", {}, "--gpus_per_run shares GPUs out with --engine ray alone"),
    "timeout": ("--timeout 0", {}, "--timeout must be above 0 seconds, got 0"),
    "keep": ("--keep last", {}, "argument --keep: invalid choice: 'last' .choose from .*best.*all.*none"),
    "option": ("--job 3", {}, "unrecognized arguments: --job 3; see study --help"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_one_clear_line(case: str, capsys: pytest.CaptureFixture[str]) -> None:
    words, changes, message = CASES[case]
    file = write_study(**changes)
    named = "" if words.endswith(".yaml") else str(file)
    with pytest.raises(SystemExit) as ended:
        main(f"study {named} {words}".split())
    error = capsys.readouterr().err.strip()
    assert ended.value.code == 2
    assert "\n" not in error
    assert re.search(message, error), error
    assert list(Path().iterdir()) == [file]


def test_a_dry_run_lists_what_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    file = write_study()
    main(f"study {file} --dry_run --only seed=1".split())
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "study tiny: 2 runs, 0 done before"
    assert [line.split(maxsplit=1)[1] for line in out[1:]] == [
        "method=none  p=0.25  seed=1", "method=standard  p=0.25  seed=1",
    ]  # fmt: skip
    assert list(Path().iterdir()) == [file]


def test_options() -> None:
    options = parse("f.yaml --only a=1 b=2 --only c=3 --set k=v --jobs 3 --timeout 2.5".split())
    assert options.only == ["a=1", "b=2", "c=3"]
    assert (options.changes, options.jobs, options.threads, options.timeout) == (["k=v"], 3, 1, 2.5)
    assert (options.engine, options.gpus_per_run, parse(["f.yaml"]).jobs) == ("pool", None, None)
    assert (options.keep, parse(["f.yaml", "--keep", "all"]).keep) == ("best", "all")
    for spelling in ("--gpus_per_run", "--gpus-per-run"):
        assert parse(f"f.yaml --engine ray {spelling} 0.25".split()).gpus_per_run == 0.25


class Notes(Engine):
    """Notes the runs that it is given, and does none."""

    def __init__(self) -> None:
        super().__init__(None, 1)
        self.tasks: list[RunTask] = []

    def run(self, tasks: Sequence[RunTask], on_event: OnEvent) -> None:
        self.tasks.extend(tasks)

    def _room(self) -> int:
        raise NotImplementedError

    def _start(self) -> Worker:
        raise NotImplementedError

    def _wait(self, workers: Sequence[Worker]) -> None:
        raise NotImplementedError


@pytest.mark.parametrize(("words", "tensorboard"), [("", False), ("--tensorboard", True)])
def test_events_are_no_other_runs(words: str, tensorboard: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    noted = Notes()
    monkeypatch.setattr(command, "make_engine", lambda options: noted)
    asked = tasks("studies/tiny")
    with pytest.raises(SystemExit):
        main(f"study tiny.yaml {words}".split())
    assert [task.run.hash for task in noted.tasks] == [task.run.hash for task in asked]
    assert [task.tensorboard for task in noted.tasks] == [tensorboard] * len(asked)
    assert noted.tasks[0].command == f"dropout-lab study tiny.yaml {words}".strip()


def test_the_command_as_it_was_given() -> None:
    words = ["my file.yaml", "--quick", "--set", "data.root=~/d", "--only", "method=a\nb"]
    assert parse(words).command == (
        "dropout-lab study 'my file.yaml' --quick --set 'data.root=~/d' --only 'method=a b'"
    )


def test_commands_are_noted_once_in_their_order() -> None:
    folder = StudyFolder(Path("studies/tiny"))
    assert folder.commands() == []
    for given in ("b --quick", "a", "b --quick"):
        folder.note(given)
    assert folder.commands() == ["b --quick", "a"]


def test_help_without_torch() -> None:
    code = (
        "import sys, cli\nsys.argv[1:] = ['study', '--help']\n"
        "try:\n    cli.main()\nfinally:\n    assert not {'torch', 'ray'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert "--only AXIS=LABEL" in done.stdout


@pytest.mark.parametrize("content", ["{", "[]", '{"seed": 1}'])
def test_a_damaged_result_is_named(content: str, capsys: pytest.CaptureFixture[str]) -> None:
    (first, *_) = tasks("studies/tiny")
    first.files.path.mkdir(parents=True)
    first.files.result_file.write_text(content)
    with pytest.raises(SystemExit):
        main("study tiny.yaml".split())
    assert f"{first.files.result_file} is damaged (" in capsys.readouterr().err


def test_a_file_in_the_folder_s_place(capsys: pytest.CaptureFixture[str]) -> None:
    Path("studies").mkdir()
    Path("studies/tiny").touch()
    with pytest.raises(SystemExit):
        main(f"study {write_study()} --only seed=0 method=none".split())
    assert "cannot write studies/tiny/study.yaml: File exists; choose another" in capsys.readouterr().err


def test_only_cpus_that_may_be_used_count(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {3})
    with pytest.raises(SystemExit):
        main(["study", "--help"])
    assert "as many as CPUs that it may use, here 1;" in " ".join(capsys.readouterr().out.split())
    assert PoolEngine(None, 1, None)._room() == 1
