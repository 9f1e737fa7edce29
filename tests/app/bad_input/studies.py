"""Studies that cannot be run, and reports that cannot be made. Study files: ``tests/app/study/test_reading.py``."""

import json
import os
from collections.abc import Callable
from pathlib import Path

from tests.app.bad_input.row import Row, each, file, folder
from tests.app.study import studies as tiny
from tests.data import studies as made_up

MADE = Path("made")
FIRST = {"method": "none", "layers": 2, "p": 0.25}


def _study(says: str, words: str = "", *changes: Callable[[], object]) -> Row:
    return Row(f"study tiny.yaml {words}", (says,), each(lambda: tiny.write_study(), *changes))


def _report(says: str, *changes: Callable[[], object], words: str = "") -> Row:
    return Row(f"report {MADE} {words}", (says,), each(lambda: made_up.write_study(MADE), *changes))


def _in_run(name: str, content: str | bytes) -> Callable[[], object]:
    return lambda: file(str(made_up.run_folder(MADE, FIRST, 0) / name), content)()


def _of_first(name: str, content: str) -> Callable[[], object]:
    def write() -> None:
        (first, *_) = tiny.tasks("studies/tiny")
        file(str(first.files.path / name), content)()

    return write


def _link(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(Path("victim").absolute())


AXIS = list(range(100))
MANY = (
    "name: many\nbase: {}\nseeds: [0]\nreport: {rows: a, metric: test/accuracy}\n"
    "grid:\n" + "".join(f"  {name}: {AXIS}\n" for name in "abcdef")
    + "overrides: {model: {network: {init_args: {x: '${a}${b}${c}${d}${e}${f}'}}}}\n"
)  # fmt: skip
RESULT = {"metrics": {"test/accuracy": "high"}}
ROWS = {
    "no file": Row("study", ("the following arguments are required: .*see study --help",)),
    "a file that is a folder": Row(
        "study here", ("no file here .Is a directory.; give the path of a YAML file",), folder("here")
    ),
    "empty file": Row(
        "study here.yaml", ("here.yaml: must be keys and values, got nothing",), file("here.yaml", "")
    ),
    "a config of a run": Row(
        "study here.yaml",
        ("here.yaml is the config of a single fit: dropout-lab fit --config here.yaml",),
        file("here.yaml", "trainer: {max_epochs: 1}\n"),
    ),
    "jobs below 0": _study("--jobs must be 1 or more, got -1", "--jobs -1"),
    "jobs of no number": _study("argument --jobs: invalid int value: 'x'.*see study --help", "--jobs x"),
    "threads of 0": _study("--threads must be 1 or more, got 0", "--threads 0"),
    "timeout that is no number": _study("--timeout must be above 0 seconds, got nan", "--timeout nan"),
    "a set of no YAML": _study(r"'\[': line 1: .*mend the YAML there", "--set data.batch_size=["),
    "a set that is not finite": _study("batch_size: must be of type int", "--set data.batch_size=.nan"),
    "threads of twenty digits": _study(
        f"--threads must be 4096 or less, got {20 * '9'}", f"--threads {20 * '9'}"
    ),
    "a timeout without an end": _study(
        "--timeout must be above 0 seconds, got inf; leave it out", "--timeout inf"
    ),
    "a grid of a million million runs": Row(
        "study here.yaml",
        (
            "study many: its axes and seeds make 1,000,000,000,000 runs, where 100,000 are allowed; take fewer",
        ),
        file("here.yaml", MANY),
    ),
    "a pipe for a study": Row("study pipe", ("no file pipe: it is a pipe",), lambda: os.mkfifo("pipe")),
    "report through a link": _report(
        "made/report is a link to victim, and nothing is written through one",
        folder("victim"),
        lambda: Path("made/report").symlink_to("victim"),
    ),
    "runs behind a link": _study(
        "studies/tiny/runs is a link to .*victim, and nothing is written through one: put what it leads to",
        "",
        folder("victim"),
        lambda: _link(Path("studies/tiny/runs")),
    ),
    "a run behind a link": _study(
        "studies/tiny/runs/[^ ]* is a link to .*victim, and nothing is written through one",
        "--keep none",
        folder("victim/checkpoints"),
        lambda: _link(tiny.tasks("studies/tiny")[0].files.path),
    ),
    "a failure of a list": _study(
        "failed.json is damaged .reason: .*remove its folder",
        "--keep_failed",
        _of_first("failed.json", '{"reason": [1]}'),
    ),
    "only without a label": _study(
        "--only method: no value of method ''; there are none, standard", "--only method"
    ),
    "studies at a file": _study(
        "cannot write here/tiny/study.yaml: .*; choose another --studies", "--studies here", file("here", "")
    ),
    "trainer out of range": _study(
        "tiny.yaml: run .*trainer.accumulate_grad_batches must be 1 or more, got 0",
        "--set trainer.accumulate_grad_batches=0",
    ),
    "results of another study": _study(
        "result.json is damaged .*remove its folder and run `study` again",
        "",
        _of_first("result.json", '{"a": 1}'),
    ),
    "a failure that was cut": _study(
        "failed.json is damaged .*remove its folder", "--keep_failed", _of_first("failed.json", "{")
    ),
    "a result that is a folder": _study(
        "result.json is damaged .*Is a directory.*remove its folder",
        "",
        lambda: (tiny.tasks("studies/tiny")[0].files.path / "result.json").mkdir(parents=True),
    ),
    "report of nothing": Row(
        "report", ("the following arguments are required: STUDY_FOLDER; see report --help",)
    ),
    "report of a file": Row(
        "report here", ("no study folder here; `study` makes one and prints its name",), file("here", "")
    ),
    "report of a run's folder": Row(
        "report here",
        ("no study in here: it has no study.yaml; `study` makes such a folder",),
        file("here/config.yaml", ""),
    ),
    "report of an empty study file": Row(
        "report here", ("here/study.yaml: must be keys and values, got nothing",), file("here/study.yaml", "")
    ),
    "report without a run": Row(
        f"report {MADE}",
        ("no finished run in made/runs; run `study` first",),
        lambda: made_up.write_study(MADE, keep=lambda labels, seed: False),
    ),
    "report of a damaged result": _report(
        "result.json is damaged .*remove its folder", _in_run("result.json", "{")
    ),
    "report of a result of words": _report(
        "result.json is damaged .*high.*remove", _in_run("result.json", json.dumps(RESULT))
    ),
    "report of a result of bytes": _report(
        "result.json is damaged .*remove its folder", _in_run("result.json", b"\xff\xfe")
    ),
    "report of damaged curves": _report(
        "epochs.csv is damaged .*remove its folder", _in_run("epochs.csv", "epoch,step\n1,x\n")
    ),
    "report of damaged words": _report("run.json is damaged .*remove its folder", _in_run("run.json", "[")),
    "report into a file": _report(
        "cannot write the report into here: .*; choose another --out", file("here", ""), words="--out here"
    ),
    "report below a file": _report(
        "cannot write the report into here/deep: .*; choose another",
        file("here", ""),
        words="--out here/deep",
    ),
    "report with a folder in its way": _report(
        "cannot write the report into made/report: .*; choose another --out",
        folder("made/report/report.html/x"),
    ),
}
