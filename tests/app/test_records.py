"""Our own JSON files, as they are and as somebody may have changed them."""

import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dropout_lab.app.errors import UserError
from dropout_lab.app.run.folder import RunFolder
from dropout_lab.app.study.run_files import RunFiles

HERE = Path("run")
FIT: dict[str, Any] = {
    "epochs": 1, "steps": 2, "best_epoch": 0, "best_step": 2, "first_steps": {"0.5": None}, "data": "x",
    "stopped": None,
    "metrics": {"loss": 0.5}, "time": {"train_seconds": 1.0, "seconds": 2.0}, "versions": {"torch": "2"},
}  # fmt: skip
TEST = {"metrics": {"accuracy": 0.5}}


def changed(key: str, value: object) -> str:
    """Return a whole result with another value of a key of ``fit``."""
    return json.dumps({"fit": {**FIT, key: value}, "test": TEST})


RESULTS: dict[str, tuple[str | bytes, str]] = {
    "metrics of a list": (changed("metrics", [1, 2]), r"fit\.metrics: .*, got \[1, 2\]"),
    "a metric of words": (changed("metrics", {"loss": "low"}), r"fit\.metrics\.loss: .*, got 'low'"),
    "a metric of true": (changed("metrics", {"loss": True}), r"fit\.metrics\.loss: .*, got True"),
    "steps of a share": (changed("steps", 0.5), r"fit\.steps: .*, got 0\.5"),
    "steps below 0": (changed("steps", -1), r"fit\.steps: .*, got -1"),
    "a time of a list": (changed("time", []), r"fit\.time: .*, got \[\]"),
    "a fit of null": ('{"fit": null}', r"fit: .*, got None"),
    "another command of a number": ('{"validate": 3}', r"validate: .*, got 3"),
    "a list": ("[]", r"all of it: .*, got \[\]"),
    "nothing": ("", "Invalid JSON"),
    "nested": ('{"fit":' * 100_000, "recursion limit"),
    "nested lists": ("[" * 100_000, "recursion limit"),
    "not UTF-8": (b"\xff\xfe", "Invalid JSON"),
    "long": (" " * 10_000_001, "it holds more than 10,000,000 bytes"),
    "a long value": (changed("stopped", ["x" * 10_000]), r"fit\.stopped: .*, got \['x{50,60}…"),
}


@pytest.fixture(autouse=True)
def _folder() -> None:
    HERE.mkdir()


def refused(read: Callable[[], object], file: Path) -> str:
    with pytest.raises(UserError) as raised:
        read()
    line = str(raised.value)
    assert line.startswith(f"{file} is damaged (")
    assert len(line) < 400
    return line


@pytest.mark.parametrize("name", RESULTS)
def test_a_damaged_result(name: str) -> None:
    content, pattern = RESULTS[name]
    folder = RunFolder(HERE)
    folder.result_file.write_bytes(content if isinstance(content, bytes) else content.encode())
    for read in (folder.result, RunFiles(HERE).result):
        with pytest.raises(UserError, match=pattern):
            read()
        refused(read, folder.result_file)


def test_a_result_without_a_number_that_a_study_needs() -> None:
    files = RunFiles(HERE)
    files.result_file.write_text(json.dumps({"fit": {"metrics": {}}, "test": TEST}))
    assert "fit has no 'best_epoch'" in refused(files.result, files.result_file)


def test_a_pipe_in_a_results_place_is_not_waited_for() -> None:
    os.mkfifo(HERE / "result.json")
    assert "it is a pipe" in refused(RunFolder(HERE).result, HERE / "result.json")


def test_what_is_not_finite_is_null_and_says_why() -> None:
    folder, files = RunFolder(HERE), RunFiles(HERE)
    metrics = {"loss": math.nan, "accuracy": 0.5, "nll": math.inf, "a.b": -math.inf}
    folder.add_result("fit", {**FIT, "metrics": metrics})
    folder.add_result("test", TEST)

    def never(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    written = json.loads(folder.result_file.read_text(), parse_constant=never)["fit"]
    assert written["metrics"] == {"loss": None, "accuracy": 0.5, "nll": None, "a.b": None}
    assert written["not_finite"] == {"metrics.loss": "nan", "metrics.nll": "inf", "metrics.a.b": "-inf"}
    # Read and written once more, as by a second command, it is the same.
    before = folder.result_file.read_text()
    folder.add_result("test", TEST)
    assert folder.result_file.read_text() == before
    found = folder.result()["fit"]["metrics"]
    assert math.isnan(found.pop("loss"))
    assert found == {"accuracy": 0.5, "nll": math.inf, "a.b": -math.inf}
    result = files.result()
    assert result is not None
    assert math.isnan(result.metrics["val/loss"])
    assert result.metrics["test/accuracy"] == 0.5


@pytest.mark.parametrize(
    ("content", "pattern"),
    [
        ('{"reason": ["a"]}', r"reason: .*, got \['a'\]"),
        ("{}", r"reason: Field required"),
        ('{"reason": "a", "log": 3}', r"log: .*, got 3"),
        ("[" * 100_000, "recursion limit"),
    ],
)
def test_a_damaged_failure(content: str, pattern: str) -> None:
    files = RunFiles(HERE)
    files.failed_file.write_text(content)
    with pytest.raises(UserError, match=pattern):
        files.failure()


@pytest.mark.parametrize(
    ("change", "pattern"),
    [
        ({"labels": []}, r"labels: .*, got \[\]"),
        ({"labels": {"p": {"a": 1}}}, r"labels\.p"),
        ({"seed": "0"}, r"seed: .*, got '0'"),
        ({"settings": "x"}, r"settings: .*, got 'x'"),
        ({"hash": None}, r"hash: .*, got None"),
        ({"command": 3}, r"command: .*, got 3"),
    ],
)
def test_damaged_words_of_a_run(change: dict[str, Any], pattern: str) -> None:
    files = RunFiles(HERE)
    files.about.write_text(json.dumps({"labels": {}, "seed": 0, "settings": {}, "hash": "x"} | change))
    for read in (files.run, files.command):
        with pytest.raises(UserError, match=pattern):
            read()


def test_a_damaged_config() -> None:
    folder = RunFolder(HERE)
    for text, pattern in (
        ("data: {}\nmodel: [1]\ntrainer: {}\n", r"config.yaml is damaged: model must be keys .*, got \[1\]"),
        ("data: {}\nmodel: {}\n", r"config.yaml is damaged: trainer must be .* and it is missing"),
        ("a: " + "[" * 5000, r"config.yaml: line 1: is nested deeper than 64 levels"),
        ("a: !!python/object/apply:os.system [x]\n", r"config.yaml: line 1: could not determine"),
    ):
        folder.config.write_text(text)
        with pytest.raises(UserError, match=pattern):
            folder.read_config()
