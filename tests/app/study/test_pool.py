"""Workers that die, hang, fail and are stopped; and the same numbers however many there are."""

import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from dropout_lab.app.config.settings import merge
from dropout_lab.app.main import main
from dropout_lab.app.study import local
from dropout_lab.app.study.local import PoolEngine
from dropout_lab.app.study.run_files import RunResult, RunTask
from dropout_lab.app.study.scheduler import Event, Failed, Free, Started, Worker
from tests import programs
from tests.app.study.studies import (
    BASE,
    callback,
    dropout,
    events_of,
    rows,
    tasks,
    trouble,
    write_study,
)

FORKS = """\
from dropout_lab.app.main import main
from dropout_lab.app.study import local

local.START_METHOD = "fork"
main()
"""


def endless() -> dict[str, Any]:
    """Return a study of one run that says when it trains, and then trains until it is stopped."""
    longer = {"settings": merge(BASE, {"trainer": {"max_epochs": 100_000}})}
    return {"base": longer, **trouble(endless=callback("Says", pipe="pipe"))}


def test_one_job_and_two_give_the_same_to_the_last_bit(capsys: pytest.CaptureFixture[str]) -> None:
    file = write_study()
    main(f"study {file} --studies 1 --jobs 1".split())
    out = capsys.readouterr().out
    assert "4/4  (0 running, 0 failed, 0:00:00 left)" in out
    assert "4 of 4 runs are done, 0 failed" in out

    # What is done is kept, and nothing else.
    done = tasks("1/tiny")[0].files
    copied = Path("2") / done.result_file.relative_to("1")
    shutil.copytree(done.path, copied.parent)
    before = copied.stat().st_mtime_ns
    main(f"study {file} --studies 2 --jobs 2".split())
    assert "4 runs, 1 done before" in capsys.readouterr().out
    assert copied.stat().st_mtime_ns == before
    assert rows(Path("1/tiny/results.csv")) == rows(Path("2/tiny/results.csv"))
    assert [(row["method"], row["p"], row["seed"]) for row in rows(Path("1/tiny/results.csv"))] == [
        ("none", "0.25", "0"), ("none", "0.25", "1"), ("standard", "0.25", "0"), ("standard", "0.25", "1"),
    ]  # fmt: skip


@pytest.mark.slow  # what a worker answers, and what the engine makes of it, is tested with each of them
def test_a_run_that_another_process_is_at_comes_last() -> None:
    locked, free = tasks("studies/tiny")[:2]
    with ExitStack() as other:
        other.enter_context(locked.files.locked(wait=False))
        ends: list[str] = []

        def on_event(task: RunTask, event: Event) -> None:
            if isinstance(event, RunResult):
                ends.append(task.run.hash)
                other.close()

        PoolEngine(jobs=1, threads=1).run([locked, free], on_event)
    assert ends == [free.run.hash, locked.run.hash]


@pytest.mark.slow
def test_trouble_with_some_runs_leaves_the_others_alone(capsys: pytest.CaptureFixture[str]) -> None:
    study = trouble(
        fails=callback("Raises"),
        killed_once=callback("Dies", unless="killed"),
        killed_always=callback("Dies"),
        leaves=callback("Leaves"),
        fine=dropout("NoDropout"),
    )
    todo = tasks("studies/tiny", **study)
    events = events_of(PoolEngine(jobs=2, threads=1), todo)
    ends = {label: event for label, event in events if not isinstance(event, Started)}
    assert ends["fails"] == Failed("RuntimeError: no luck")
    assert ends["killed_always"] == Failed("its worker died 2 times, the last time by signal 9 (SIGKILL)")
    assert ends["leaves"] == Failed("its worker died 2 times, the last time by exit code 0")
    once, fine = ends["killed_once"], ends["fine"]
    assert isinstance(once, RunResult)
    assert isinstance(fine, RunResult)
    assert once.metrics == fine.metrics
    assert fine.steps == 8
    starts = [label for label, event in events if isinstance(event, Started)]
    assert {label: starts.count(label) for label in starts} == {
        "fails": 1, "killed_once": 2, "killed_always": 2, "leaves": 2, "fine": 1,
    }  # fmt: skip

    # The command lists what has failed, here from before, with the end of its log.
    with pytest.raises(SystemExit) as ended:
        main("study tiny.yaml --keep_failed".split())
    assert ended.value.code == 1
    out = capsys.readouterr().out
    assert "2 of 5 runs are done, 3 failed" in out
    assert "failed: trouble=fails  seed=0\n  RuntimeError: no luck\n" in out
    assert "  | and no second line\n" in out
    assert "a word before the end" in todo[0].files.log.read_text()


@pytest.mark.slow  # a worker that is spawned imports torch; forked ones are in all other tests
def test_workers_may_be_spawned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    monkeypatch.setattr(local, "START_METHOD", "spawn")
    (task,) = tasks("studies/tiny", **trouble(fine=callback("TellsGPU")))
    ends = dict(events_of(PoolEngine(jobs=1, threads=1), [task]))
    assert isinstance(ends["fine"], RunResult)
    assert ends["fine"].steps == 8
    assert task.files.log.read_text().strip() == "7"


def test_a_worker_without_a_run_ends_by_itself() -> None:
    started = [local._Process(1, None) for _ in range(2)]
    while (answer := started[0].receive()) is None:
        started[0].process.join(0.01)
    assert answer == Free()
    started[0].ready = True
    # The other may not be up yet.
    for worker in started:
        worker.ask_to_end()
        worker.end()
    # One that is killed leaves behind what Python then warns of.
    assert started[0].process.exitcode == 0
    assert started[1].process.exitcode == -signal.SIGTERM


def test_a_run_that_takes_too_long_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    # It does not end when it is asked to.
    monkeypatch.setattr(Worker, "end_seconds", 0.1)
    (task,) = tasks("studies/tiny", **trouble(hangs=callback("Hangs")))
    events = events_of(PoolEngine(jobs=1, threads=1, timeout=0.1), [task])
    assert events == [
        ("hangs", Started()),
        ("hangs", Failed("took longer than the 0.1 s of --timeout, and was killed")),
    ]
    assert task.files.failure() == "took longer than the 0.1 s of --timeout, and was killed"


def test_ctrl_c_ends_all_workers_with_what_they_have_trained(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Worker, "end_seconds", programs.HANGS_S)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    (task,) = tasks("studies/tiny", **endless())
    os.mkfifo("pipe")

    def interrupt() -> None:
        assert Path("pipe").read_text() == "here"
        # In a terminal all processes of the group hear it.
        for worker in multiprocessing.active_children():
            os.kill(worker.pid or 0, signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    Thread(target=interrupt, daemon=True).start()
    try:
        with pytest.raises(SystemExit) as ended:
            main("study tiny.yaml --jobs 1".split())
    finally:
        signal.signal(signal.SIGINT, before)
    assert ended.value.code == 130
    assert capsys.readouterr().err == (
        "dropout-lab: interrupted; what is done is kept: give the command again to go on\n"
    )
    assert not multiprocessing.active_children()
    with task.files.locked(wait=False):
        assert task.files.result() is None
    # From here it goes on.
    assert task.files.folder.last.is_file()


@pytest.mark.slow  # a driver and its fork server import torch
def test_ctrl_c_in_a_terminal_leaves_no_process_behind() -> None:
    (task,) = tasks("studies/tiny", **endless())
    os.mkfifo("pipe")
    with programs.start("study", "tiny.yaml", "--jobs", "1", own_session=True) as driver:
        assert Path("pipe").read_text() == "here"
        os.killpg(driver.pid, signal.SIGINT)
        # Read to its end, which comes when no process is left that could write.
        _, error = driver.communicate()
        assert driver.wait() == 130
    assert error == "dropout-lab: interrupted; what is done is kept: give the command again to go on\n"
    with task.files.locked(wait=False):
        assert task.files.result() is None


@pytest.mark.slow  # an interpreter of its own, whose tracker of semaphores has its last word when it ends
def test_a_study_ends_without_a_warning() -> None:
    words = ["study", str(write_study(seeds=[0])), "--jobs", "2", "--tensorboard"]
    done = subprocess.run([sys.executable, programs.CLI, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "2 of 2 runs are done" in done.stdout
    assert done.stderr == ""


@pytest.mark.slow
def test_a_study_goes_on_after_its_driver_was_killed(capsys: pytest.CaptureFixture[str]) -> None:
    study = trouble(fine=dropout("NoDropout"), hangs=callback("Hangs", pipe="pipe"))
    fine, hangs = tasks("studies/tiny", **study)
    os.mkfifo("pipe")
    # A fork server of its own would first import torch; drivers that have one are killed in test_kills.py.
    script = Path("forks.py").resolve()
    script.write_text(FORKS)
    with programs.start("study", "tiny.yaml", "--jobs", "1", script=script) as driver:
        assert Path("pipe").read_text() == "here"
        driver.kill()
    Path("pipe").unlink()
    before = fine.files.result()
    # The worker has died with its driver: otherwise this would wait for ever.
    with hangs.files.locked(wait=True):
        assert hangs.files.result() is None
    main("study tiny.yaml --jobs 1".split())
    assert "2 runs, 1 done before" in capsys.readouterr().out
    after = hangs.files.result()
    assert before is not None
    assert after is not None
    assert after.metrics == before.metrics == vars(fine.files.result())["metrics"]
