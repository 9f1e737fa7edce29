"""What is said while a study runs, by a clock that the test holds."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from dropout_lab.app.study.command import progress
from dropout_lab.app.study.grid import Run
from dropout_lab.app.study.run_files import RunFiles, RunResult, RunTask
from dropout_lab.app.study.scheduler import Failed, Started


def task(name: str) -> RunTask:
    return RunTask(Run({"p": name}, 0, {}, name), RunFiles(Path(name)))


def result(stopped: str | None = None) -> RunResult:
    return RunResult({"val/accuracy": 0.5, "test/accuracy": 0.25}, 0, 1, {}, 1, 1, 1.0, 2.0, stopped, {})


def shown(terminal: bool, monkeypatch: pytest.MonkeyPatch) -> str:
    clock: Iterator[float] = iter([100.0, 110.0, 112.0, 130.0])
    now = [100.0]

    def tick() -> float:
        now[0] = next(clock, now[0])
        return now[0]

    monkeypatch.setattr("dropout_lab.app.study.command.monotonic", tick)
    out = io.StringIO()
    with progress(
        Console(file=out, force_terminal=terminal, width=120, soft_wrap=True, highlight=False), 4
    ) as on_event:
        on_event(task("a"), Started())
        on_event(task("b"), Started())
        on_event(task("a"), result())
        on_event(task("b"), Failed("no luck"))
        on_event(task("c"), result(stopped="stopped at step 3: lost"))
    return out.getvalue()


def test_a_line_a_run_in_a_log(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(False, monkeypatch).splitlines() == [
        "1/4  (1 running, 0 failed, 0:00:30 left)  p=a  seed=0  val/accuracy 0.5000  test/accuracy 0.2500  2.0 s",
        "2/4  (0 running, 1 failed, 0:00:12 left)  p=b  seed=0  failed: no luck",
        "3/4  (0 running, 1 failed, 0:00:10 left)  p=c  seed=0  val/accuracy 0.5000  test/accuracy 0.2500  2.0 s  "
        "stopped at step 3: lost",
    ]  # fmt: skip


def test_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    out = shown(True, monkeypatch)
    assert "3/4" in out
    assert "failed  p=b  seed=0  no luck" in out
