"""How runs are handed to workers, here ones that only say what the test has them say."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from dropout_lab.app.errors import UserError
from dropout_lab.app.study.grid import Run
from dropout_lab.app.study.run_files import RunFiles, RunResult, RunTask
from dropout_lab.app.study.scheduler import (
    STILLBORN,
    Answer,
    Died,
    Engine,
    Event,
    Failed,
    Free,
    Started,
    Worker,
)
from tests.data.studies import write_result

FREE = Free()
DIED = Died("bad luck")


def task(name: str) -> RunTask:
    return RunTask(Run({"p": name}, 0, {}, name), RunFiles(Path(name)))


def result(name: str) -> RunResult:
    return RunResult({}, None, None, {}, 1, 1, 1.0, 1.0, None, {}, data=name)


class Scripted(Worker):
    """Says one word after another; None is a look at which it says nothing."""

    def __init__(self, words: list[Answer | None]) -> None:
        super().__init__()
        self.words = words
        self.given: list[str] = []
        # When it is asked to end, and when that is waited for.
        self.ends: list[str] = []
        self.result: RunResult | None = None

    def send(self, task: RunTask) -> None:
        self.given.append(task.run.hash)

    def receive(self) -> Answer | None:
        return self.words.pop(0) if self.words else None

    def ask_to_end(self) -> None:
        self.ends.append("asked")
        if self.task is not None and self.result is not None:
            self.task.files.path.mkdir()
            write_result(self.task.files, self.result)

    def end(self) -> None:
        self.ends.append("ended")


class Scripts(Engine):
    def __init__(self, *scripts: list[Answer | None], room: int = 1, timeout: float | None = None) -> None:
        super().__init__(room, 1, timeout)
        self.workers = [Scripted(words) for words in scripts]
        self.started: list[Scripted] = []

    def _room(self) -> int:
        return self.jobs or 0

    def _start(self) -> Worker:
        self.started.append(self.workers.pop(0))
        return self.started[-1]

    def _wait(self, workers: Sequence[Worker]) -> None:
        assert workers, "there is somebody to wait for"


def told(engine: Scripts, *names: str) -> list[tuple[str, Event]]:
    events: list[tuple[str, Event]] = []
    engine.run([task(name) for name in names], lambda task, event: events.append((task.run.hash, event)))
    assert [worker.ends for worker in engine.started] == [["asked", "ended"]] * len(engine.started)
    return events


def test_one_worker_does_one_run_after_another() -> None:
    engine = Scripts([None, FREE, None, result("a"), Failed("no luck")])
    assert told(engine, "a", "b") == [
        ("a", Started()), ("a", result("a")), ("b", Started()), ("b", Failed("no luck")),
    ]  # fmt: skip


def test_a_run_that_another_process_is_at_comes_last() -> None:
    engine = Scripts([FREE, FREE, result("b"), result("a")])
    assert [name for name, event in told(engine, "a", "b") if event != Started()] == ["b", "a"]


def test_a_run_whose_worker_dies_is_done_again_once() -> None:
    engine = Scripts([FREE, DIED], [FREE, DIED])
    reason = "its worker died 2 times, the last time by bad luck"
    assert told(engine, "a") == [("a", Started()), ("a", Started()), ("a", Failed(reason))]
    assert task("a").files.failure() == reason


def test_a_result_that_a_worker_could_not_tell_counts() -> None:
    files = task("a").files
    files.path.mkdir()
    write_result(files, result("a"))
    assert told(Scripts([FREE, DIED]), "a") == [("a", Started()), ("a", result("a"))]


def test_workers_that_do_not_come_up() -> None:
    scripts: list[list[Answer | None]] = [[DIED] for _ in range(STILLBORN)]
    engine = Scripts(*scripts)
    with pytest.raises(UserError, match="^the workers do not come up, the last because of bad luck$"):
        told(engine, "a")
    assert [worker.ends for worker in engine.started] == [["asked", "ended"]] * STILLBORN


def test_one_that_comes_up_late_or_dies_early_costs_nothing() -> None:
    engine = Scripts([DIED], [None, None, FREE, result("a")])
    assert told(engine, "a") == [("a", Started()), ("a", result("a"))]


def test_a_run_that_takes_too_long_is_ended_and_the_next_gets_another_worker() -> None:
    engine = Scripts([FREE], [FREE, result("b")], timeout=-1.0)
    reason = "took longer than the -1 s of --timeout, and was killed"
    assert told(engine, "a", "b") == [
        ("a", Started()), ("a", Failed(reason)), ("b", Started()), ("b", result("b")),
    ]  # fmt: skip


def test_a_run_that_ends_while_it_is_asked_to_has_not_failed() -> None:
    engine = Scripts([FREE], timeout=-1.0)
    engine.workers[0].result = result("a")
    assert told(engine, "a") == [("a", Started()), ("a", result("a"))]
    assert task("a").files.failure() is None


def test_workers_with_nothing_left_to_do_end_while_others_go_on() -> None:
    engine = Scripts([FREE, None, None, result("a")], [FREE, result("b")], room=2)
    ends: list[list[str]] = []
    engine.run([task("a"), task("b")], lambda task, event: ends.append(list(engine.started[1].ends)))
    assert ends[-1] == ["asked", "ended"]


def test_when_interrupted_no_worker_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Scripts([FREE], [None], room=2)

    def end(worker: Scripted) -> None:
        worker.ends.append("ended")
        # All save at the same time what they are at.
        assert [each.ends[0] for each in engine.started] == ["asked", "asked"]
        # Ctrl-C once more.
        raise KeyboardInterrupt

    monkeypatch.setattr(Scripted, "end", end)

    def interrupt(task: RunTask, event: Event) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        engine.run([task("a"), task("b")], interrupt)
    assert [worker.ends for worker in engine.started] == [["asked", "ended"]] * 2
