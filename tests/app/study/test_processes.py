"""Runs on several devices, here two processes on the CPU."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Event as Signal
from threading import Thread
from time import monotonic, sleep

import pytest

from dropout_lab.app.config.settings import merge
from dropout_lab.app.errors import UserError
from dropout_lab.app.main import main
from dropout_lab.app.study import scheduler, worker
from dropout_lab.app.study.local import PoolEngine
from dropout_lab.app.study.run_files import RunResult, RunTask
from dropout_lab.app.study.scheduler import Event, Failed, Started
from dropout_lab.app.study.worker import do_run, import_environment, run_in_processes
from tests.app.study.studies import BASE, callback, done, dropout, rows, tasks, trouble, write_study
from tests.programs import HANGS_S

TWO = {"accelerator": "cpu", "devices": 2, "strategy": "ddp"}
ONE = {"method": {"none": dropout("NoDropout")}}


def several(**trainer: object) -> dict[str, object]:
    return {"settings": merge(BASE, {"trainer": {**TWO, **trainer}})}


@pytest.mark.slow  # two interpreters that import torch; what a run on two devices is, is tested with `fit`
def test_a_run_on_two_devices(capsys: pytest.CaptureFixture[str]) -> None:
    (task,) = tasks("two/tiny", base=several(), seeds=[0], grid=ONE)
    main("study tiny.yaml --studies two --jobs 1".split())
    assert "1 of 1 runs are done, 0 failed" in capsys.readouterr().out
    result = task.files.result()
    assert result is not None
    # 200 images, 50 for each process at a time, for two epochs.
    assert result.steps == 4
    assert task.files.epochs.read_text().count("\n") == 3
    # Each process has seen half of the images, and the metrics are of all: those of one with as large batches.
    larger = merge(BASE, {"data": {"init_args": {"batch_size": 100}}})
    write_study(base={"settings": larger}, seeds=[0], grid=ONE)
    main("study tiny.yaml --studies one --jobs 1".split())
    (two,), (one,) = rows(Path("two/tiny/results.csv")), rows(Path("one/tiny/results.csv"))
    for name in ("test/accuracy", "val/accuracy"):
        assert float(two[name]) == pytest.approx(float(one[name]), abs=0.15)


def test_one_of_its_processes_finds_all_in_the_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    (task,) = tasks("one/tiny", seeds=[0], grid=ONE)
    (same,) = tasks("same/tiny", seeds=[0], grid=ONE)
    task.files.path.mkdir(parents=True)
    task.files.begin(task.run, "")
    followed: list[Callable[[], object]] = []
    monkeypatch.setattr(worker, "end_after", followed.append)
    worker.main(str(task.files.path), "1", '{"panels": true, "tensorboard": true}')
    assert len(followed) == 1, "it ends with its worker"
    result = task.files.result()
    assert result is not None
    assert result.metrics == done(same).metrics
    assert task.files.panels.is_file()
    assert list(task.files.path.glob("events.out.tfevents.*"))


def test_a_run_on_several_devices_has_processes_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    (alike,) = tasks("alike/tiny", seeds=[0], grid=ONE)
    expected = done(alike)
    (task,) = tasks("two/tiny", base=several(), seeds=[0], grid=ONE)
    instead_of_python(monkeypatch, f'echo "$2 $4 $5"; cp {alike.files.result_file} "$3"')
    assert do_run(replace(task, panels=True), 3) == expected
    options = '{"panels": true, "tensorboard": false}'
    assert task.files.log.read_text() == f"dropout_lab.app.study.worker 3 {options}\n"


def instead_of_python(monkeypatch: pytest.MonkeyPatch, commands: str) -> None:
    python = Path("python")
    python.write_text(f"#!/bin/sh\n{commands}\n")
    python.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(python.resolve()))


def test_processes_that_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    (task,) = tasks("studies/tiny", base=several(), **trouble(fails=callback("Raises")))
    task.files.path.mkdir(parents=True)
    task.files.log.write_text("a word before the end\nno luck\n\n")
    instead_of_python(monkeypatch, "exit 3")
    with pytest.raises(UserError, match="its processes ended with code 3: no luck"):
        run_in_processes(task, 1)


def test_a_process_whose_worker_has_ended_ends() -> None:
    command = [sys.executable, "-m", "dropout_lab.app.study.worker", "nowhere", "1", "{}"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, env={**os.environ, **import_environment()}
    ) as process:
        assert process.stdin is not None
        process.stdin.close()
        # It does not get as far as to miss its folder.
        assert process.wait() == 1


@pytest.mark.slow
def test_one_that_fails_says_why() -> None:
    (task,) = tasks("studies/tiny", base=several(), **trouble(fails=callback("Raises")))
    events: list[Event] = []
    PoolEngine(jobs=1, threads=1).run([task], lambda _, event: events.append(event))
    assert events[0] == Started()
    assert isinstance(events[1], Failed)
    assert "no luck" in task.files.log.read_text()
    assert "its processes ended with code" in events[1].reason


@pytest.mark.slow
def test_its_processes_end_with_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    (task,) = tasks("studies/tiny", base=several(), **trouble(hangs=callback("Hangs", pipe="pipe")))
    os.mkfifo("pipe")
    hangs = Signal()

    def listen() -> None:
        if Path("pipe").read_text().startswith("here"):
            hangs.set()

    Thread(target=listen, daemon=True).start()
    # Its time is over once it hangs, however long it took to start.
    monkeypatch.setattr(scheduler, "monotonic", lambda: 16.0 if hangs.is_set() else 0.0)
    engine = PoolEngine(jobs=1, threads=1, timeout=15)
    events: list[Event] = []
    engine.run([task], lambda _, event: events.append(event))
    assert hangs.is_set()
    assert isinstance(events[-1], Failed)
    assert "--timeout" in events[-1].reason
    end = monotonic() + HANGS_S
    while (left := alone(task.files.path)) and monotonic() < end:
        sleep(0.1)
    assert not left


def alone(folder: Path) -> list[str]:
    found = subprocess.run(
        ["pgrep", "-f", f"dropout_lab.app.study.worker {folder}"], capture_output=True, text=True
    )
    return found.stdout.split()


def test_workers_take_turns_on_the_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    # Neither goes on before both have started.
    base = merge(merge(BASE, callback("TellsGPU")), callback("Waits"))
    todo = tasks("studies/tiny", base={"settings": base}, grid=ONE)
    events: list[Event] = []

    def on_event(task: RunTask, event: Event) -> None:
        events.append(event)
        if events == [Started(), Started()]:
            Path("go").touch()

    PoolEngine(jobs=2, threads=1).run(todo, on_event)
    assert [isinstance(event, RunResult) for event in events] == [False, False, True, True]
    assert {task.files.log.read_text().strip() for task in todo} == {"3", "5"}
