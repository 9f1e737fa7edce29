"""Workers that die, hang and fail; and the same numbers however many there are."""

import os
import shutil
import signal
from contextlib import ExitStack
from pathlib import Path

import pytest

from dropout_lab.app.main import main
from dropout_lab.app.study import local
from dropout_lab.app.study.local import PoolEngine
from dropout_lab.app.study.one_run import RunTask
from dropout_lab.app.study.run_files import RunResult
from dropout_lab.app.study.scheduler import Event, Failed, Started
from tests import programs
from tests.app.study.studies import (
    callback,
    dropout,
    events_of,
    rows,
    tasks,
    trouble,
    write_study,
)


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


def test_trouble_with_some_runs_leaves_the_others_alone(capsys: pytest.CaptureFixture[str]) -> None:
    study = trouble(
        fails=callback("Raises"),
        killed_once=callback("Dies", unless="killed"),
        killed_always=callback("Dies"),
        fine=dropout("NoDropout"),
    )
    todo = tasks("studies/tiny", **study)
    events = events_of(PoolEngine(jobs=2, threads=1), todo)
    ends = {label: event for label, event in events if not isinstance(event, Started)}
    assert ends["fails"] == Failed("RuntimeError: no luck")
    assert ends["killed_always"] == Failed("its worker died 2 times, the last time by signal 9 (SIGKILL)")
    once, fine = ends["killed_once"], ends["fine"]
    assert isinstance(once, RunResult)
    assert isinstance(fine, RunResult)
    assert once.metrics == fine.metrics
    starts = [label for label, event in events if isinstance(event, Started)]
    assert {label: starts.count(label) for label in starts} == {
        "fails": 1, "killed_once": 2, "killed_always": 2, "fine": 1,
    }  # fmt: skip

    # The command lists what has failed, here from before, with the end of its log.
    with pytest.raises(SystemExit) as ended:
        main("study tiny.yaml --keep_failed".split())
    assert ended.value.code == 1
    out = capsys.readouterr().out
    assert "2 of 4 runs are done, 2 failed" in out
    assert "failed: trouble=fails  seed=0\n  RuntimeError: no luck\n" in out
    assert "  | and no second line\n" in out
    assert "a word before the end" in todo[0].files.log.read_text()


@pytest.mark.parametrize("start_method", ["forkserver", "spawn"])
def test_workers_may_be_forked_or_spawned(start_method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # What a server was started with long ago is not what its workers see.
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    monkeypatch.setattr(local, "START_METHOD", start_method)
    # A worker that is spawned imports torch: two fewer.
    leaves = {"leaves": callback("Leaves")} if start_method == "forkserver" else {}
    study = trouble(**leaves, fine=callback("TellsGPU"))
    todo = tasks(f"{start_method}/tiny", **study)
    events = events_of(PoolEngine(jobs=1, threads=1), todo)
    ends = {label: event for label, event in events if not isinstance(event, Started)}
    if leaves:
        assert ends["leaves"] == Failed("its worker died 2 times, the last time by exit code 0")
    assert isinstance(ends["fine"], RunResult)
    assert ends["fine"].steps == 8
    assert todo[-1].files.log.read_text().strip() == "7"


def test_a_run_that_takes_too_long_has_failed() -> None:
    (task,) = tasks("studies/tiny", **trouble(hangs=callback("Hangs")))
    events = events_of(PoolEngine(jobs=1, threads=1, timeout=0.1), [task])
    assert events == [
        ("hangs", Started()),
        ("hangs", Failed("took longer than the 0.1 s of --timeout, and was killed")),
    ]
    assert task.files.failure() == "took longer than the 0.1 s of --timeout, and was killed"


def test_ctrl_c_ends_all_processes_with_130() -> None:
    (hangs,) = tasks("studies/tiny", **trouble(hangs=callback("Hangs", pipe="pipe")))
    os.mkfifo("pipe")
    with programs.start("study", "tiny.yaml", "--jobs", "1", own_session=True) as driver:
        assert Path("pipe").read_text() == "here"
        # In a terminal all processes of the group hear it.
        os.killpg(driver.pid, signal.SIGINT)
        # Read to its end, which comes when no process is left that could write.
        _, error = driver.communicate()
        assert driver.wait() == 130
    assert error == "dropout-lab: interrupted; what is done is kept: give the command again to go on\n"
    with hangs.files.locked(wait=False):
        assert hangs.files.result() is None


def test_a_study_goes_on_after_its_driver_was_killed(capsys: pytest.CaptureFixture[str]) -> None:
    study = trouble(fine=dropout("NoDropout"), hangs=callback("Hangs", pipe="pipe"))
    fine, hangs = tasks("studies/tiny", **study)
    os.mkfifo("pipe")
    with programs.start("study", "tiny.yaml", "--jobs", "1") as driver:
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
