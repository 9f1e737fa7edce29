"""Runs on Ray: the same numbers, whatever dies, hangs, fails or is not there."""

import os
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dropout_lab.app.config.settings import merge
from dropout_lab.app.errors import UserError
from dropout_lab.app.files import find_own_modules
from dropout_lab.app.main import main
from dropout_lab.app.study import ray_cluster
from dropout_lab.app.study.local import PoolEngine
from dropout_lab.app.study.ray_cluster import RayEngine, RunActor, _Actor
from dropout_lab.app.study.run_files import RunResult, RunTask
from dropout_lab.app.study.scheduler import Answer, Died, Event, Failed, Started
from tests import programs
from tests.app.study.studies import (
    BASE,
    callback,
    done,
    dropout,
    events_of,
    rows,
    tasks,
    trouble,
    write_study,
)

# After ray_cluster, which tells Ray to be quiet.
from ray.cluster_utils import Cluster  # isort: skip


OWN = """\
from dropout_lab.models.dropout import StandardDropout


class Own(StandardDropout):
    pass
"""


@pytest.fixture(autouse=True)
def _no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)


@pytest.fixture(scope="module")
def nodes() -> Iterator[Cluster]:
    """Ray of two machines on this one: a head that works itself, and another node that tests may kill."""
    with pytest.MonkeyPatch.context() as patch:
        # The names of sockets have 107 characters at most: pytest's folders are too deep.
        folder = tempfile.mkdtemp(prefix="ray")
        patch.setenv("RAY_AUTH_MODE", "disabled")
        patch.setenv("DROPOUT_LAB_CACHE", folder)
        size = {"num_cpus": 1, "object_store_memory": ray_cluster.OBJECT_STORE_BYTES}
        # Without what nobody asks here: the fewer daemons, the sooner they are up.
        head = {**size, "include_dashboard": False, "include_log_monitor": False, "no_monitor": True,
                "temp_dir": folder}  # fmt: skip
        started = Cluster(initialize_head=True, head_node_args=head)
        try:
            yield started
        finally:
            started.shutdown()  # type: ignore[no-untyped-call]
            shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def head(nodes: Cluster, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """A node or two with one core each, at RAY_ADDRESS."""
    monkeypatch.setenv("RAY_ADDRESS", nodes.address)
    return nodes


@pytest.fixture
def two(head: Cluster) -> Cluster:
    """Two nodes."""
    if not head.worker_nodes:
        head.add_node(num_cpus=1, object_store_memory=ray_cluster.OBJECT_STORE_BYTES)
    return head


@pytest.mark.slow  # another Ray; that the numbers are the same is tested below
def test_ray_and_the_pool_give_the_same() -> None:
    file = write_study(grid=own_variant())
    main(f"study {file} --studies pool --jobs 2".split())
    # A process keeps what it knows of its first Ray, so this one is of another.
    done = programs.run(*f"study {file} --studies ray --jobs 2 --engine ray".split())
    assert done.returncode == 0, done.stderr
    assert [line.partition("  ")[0] for line in done.stdout.splitlines()] == [
        "study tiny: 4 runs, 0 done before", "1/4", "2/4", "3/4", "4/4", "4 of 4 runs are done, 0 failed", "results",
        "look at it",
    ]  # fmt: skip
    assert done.stderr == ""
    assert rows(Path("ray/tiny/results.csv")) == rows(Path("pool/tiny/results.csv"))
    assert len(list(Path("ray/tiny/runs").iterdir())) == 4
    assert all((folder / "log.txt").is_file() for folder in Path("ray/tiny/runs").iterdir())


def own_variant() -> dict[str, Any]:
    """Return a grid with a variant of one's own, named by import path from the current folder."""
    Path("mine.py").write_text(OWN)
    return {"method": {"none": dropout("NoDropout"), "own": dropout({"class_path": "mine.Own"})}}


@pytest.mark.slow  # a second node; what an engine makes of a worker that died is tested with the pool
def test_a_node_that_is_lost_leaves_its_runs_to_the_others(
    two: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    study: dict[str, Any] = {"grid": own_variant(), "base": {"settings": merge(BASE, callback("Waits"))}}
    todo = tasks("studies/tiny", **study)
    (lost,) = two.worker_nodes
    events: list[tuple[RunTask, Event]] = []

    def on_event(task: RunTask, event: Event) -> None:
        events.append((task, event))
        running = Counter(task.run.hash for task, event in events)
        # Both nodes are at a run then, which does not end before it may.
        if lost in two.worker_nodes and list(running.values()).count(1) == 2:
            two.remove_node(lost, allow_graceful=False)

    receive = _Actor.receive

    def go_on_after_death(worker: _Actor) -> Answer | None:
        # The other worker is then still there for the run that is lost: a third would import torch too.
        if isinstance(answer := receive(worker), Died):
            Path("go").touch()
        return answer

    monkeypatch.setattr(_Actor, "receive", go_on_after_death)
    find_own_modules()
    RayEngine(jobs=None, threads=1).run(todo, on_event)
    assert lost not in two.worker_nodes
    ends = {task.run.hash: event for task, event in events if isinstance(event, RunResult)}
    assert sorted(ends) == sorted(task.run.hash for task in todo)
    assert sum(not isinstance(event, Started) for _, event in events) == len(todo)
    # Where a run is done, and after what, changes nothing in it.
    local = tasks("local/tiny", **study)
    PoolEngine(jobs=2, threads=1).run(local, lambda task, event: None)
    for task, same in zip(todo, local, strict=True):
        one, other = task.files.result(), same.files.result()
        assert one is not None
        assert other is not None
        assert one == ends[task.run.hash]
        assert one.metrics == other.metrics


@pytest.mark.slow  # Ray starts, and a worker that imports torch; the same in this process is tested below
def test_a_run_there_is_the_same_as_here(head: Cluster) -> None:
    study: dict[str, Any] = {"grid": {"method": {"own": own_variant()["method"]["own"]}}, "seeds": [0]}
    (task,), (same,) = tasks("studies/tiny", **study), tasks("local/tiny", **study)
    find_own_modules()
    (started, (_, result)) = events_of(RayEngine(jobs=None, threads=1), [task])
    assert started == ("own", Started())
    assert isinstance(result, RunResult)
    assert result == task.files.result()
    assert result.metrics == done(same).metrics
    assert task.files.log.is_file()


class Here:
    """An actor that answers at once, in this process."""

    def __init__(self, actor: RunActor) -> None:
        self.look = SimpleNamespace(remote=lambda *given: [actor.look(*given)])
        self.do = SimpleNamespace(remote=lambda *given: [actor.do(*given)])


def test_a_run_by_an_actor_in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    study: dict[str, Any] = {"grid": {"method": {"none": dropout("NoDropout")}}, "seeds": [0, 1]}
    given: list[dict[str, int]] = []

    def options(**options: int) -> SimpleNamespace:
        given.append(options)
        return SimpleNamespace(remote=lambda threads: Here(RunActor(threads)))

    monkeypatch.setattr("ray.remote", lambda actor: SimpleNamespace(options=options))
    monkeypatch.setattr("ray.nodes", lambda: [{"Alive": True, "Resources": {"CPU": 1.0}}])
    monkeypatch.setattr("ray.wait", lambda words, **_: (words, []))
    monkeypatch.setattr("ray.get", lambda word: word[0])
    monkeypatch.setattr("ray.kill", lambda actor: None)
    monkeypatch.setattr("ray.get_runtime_context", lambda: SimpleNamespace(get_accelerator_ids=dict))
    monkeypatch.setattr(ray_cluster, "connected", nullcontext)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    todo = tasks("studies/tiny", **study)
    ends = [event for _, event in events_of(RayEngine(jobs=1, threads=1), todo) if event != Started()]
    assert given == [{"num_cpus": 1, "num_gpus": 0, "max_restarts": 0}]
    assert ends == [task.files.result() for task in todo]
    for end, same in zip(ends, tasks("local/tiny", **study), strict=True):
        assert isinstance(end, RunResult)
        assert end.metrics == done(same).metrics


@pytest.mark.slow  # Ray starts; how many runs there is room for is tested below
@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--threads 2", "a run needs 2 CPUs and 0 GPUs"),
        ("--gpus-per-run 1", "a run needs 1 CPUs and 1 GPUs .*; there are 1 CPUs and 0 GPUs"),
    ],
)
def test_no_room(words: str, message: str, head: Cluster, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(f"study {write_study()} --engine ray {words}".split())
    assert ended.value.code == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert re.search(message, line), line


@pytest.mark.slow  # what the engines share is tested with the pool
def test_trouble_with_some_runs_leaves_the_others_alone(two: Cluster) -> None:
    study = trouble(
        fails=callback("Raises"),
        killed_once=callback("Dies", unless="killed"),
        killed_always=callback("Dies"),
        fine=dropout("NoDropout"),
    )
    todo = tasks("studies/tiny", **study)
    events = events_of(RayEngine(jobs=None, threads=1), todo)
    ends = {label: event for label, event in events if not isinstance(event, Started)}
    assert ends["fails"] == Failed("RuntimeError: no luck")
    killed, once, fine = ends["killed_always"], ends["killed_once"], ends["fine"]
    assert isinstance(killed, Failed)
    assert killed.reason.startswith("its worker died 2 times, the last time by ")
    assert "\n" not in killed.reason
    assert isinstance(once, RunResult)
    assert isinstance(fine, RunResult)
    assert once.metrics == fine.metrics
    starts = Counter(label for label, event in events if isinstance(event, Started))
    assert starts == {"fails": 1, "killed_once": 2, "killed_always": 2, "fine": 1}
    assert "a word before the end" in todo[0].files.log.read_text()


@pytest.mark.slow  # what the engines share is tested with the pool
def test_a_run_that_takes_too_long_has_failed(two: Cluster) -> None:
    (task,) = tasks("studies/tiny", **trouble(hangs=callback("Hangs")))
    events = events_of(RayEngine(jobs=None, threads=1, timeout=0.1), [task])
    reason = "took longer than the 0.1 s of --timeout, and was killed"
    assert events == [("hangs", Started()), ("hangs", Failed(reason))]
    assert task.files.failure() == reason
    # Its worker has ended.
    with task.files.locked(wait=False):
        pass


@pytest.mark.slow  # what the engines share is tested with the pool
def test_what_a_killed_driver_was_at_is_given_up(two: Cluster) -> None:
    (task,) = tasks("studies/tiny", **trouble(hangs=callback("Hangs", pipe="pipe")))
    os.mkfifo("pipe")
    with programs.start("study", "tiny.yaml", "--engine", "ray") as driver:
        assert Path("pipe").read_text() == "here"
        driver.kill()
    # Its worker has ended too: otherwise this would wait for ever.
    with task.files.locked(wait=True):
        assert task.files.result() is None


@pytest.mark.slow  # what such a machine says, and what is made of it, is tested below
def test_machines_that_do_not_see_the_files(two: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_cluster, "SHARE_SECONDS", 0.0)
    monkeypatch.setattr(Path, "touch", lambda self: None)
    monkeypatch.setattr(Path, "unlink", lambda self: None)
    with pytest.raises(
        UserError, match=r"does not see the driver's .*runs: .*--studies must be on a file system"
    ):
        RayEngine(jobs=None, threads=1).run(tasks("studies/tiny"), lambda task, event: None)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    there = RunActor.look(tmp_path, mark, patience=0)
    assert there is not None
    assert f"the driver's {tmp_path}:" in there
    elsewhere = RunActor.look(tmp_path / "none", mark, patience=0)
    assert elsewhere is not None
    assert f"the driver's {tmp_path}/none:" in elsewhere
    mark.touch()
    assert RunActor.look(tmp_path, mark, patience=0) is None


def test_what_a_machine_does_not_see_ends_the_study(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ray.wait", lambda words, **_: (words, []))
    monkeypatch.setattr("ray.get", lambda word: word)
    look = SimpleNamespace(remote=lambda folder, mark, patience: f"does not see {mark}")
    with pytest.raises(UserError, match="^does not see here$"):
        _Actor(SimpleNamespace(look=look), Path("here")).receive()


NODES: dict[str, tuple[list[dict[str, float]], int, float | None, int | str]] = {
    "cores": ([{"CPU": 5.0}, {"CPU": 2.0}, {}], 2, None, 3),
    "gpus are to be shared out": ([{"CPU": 5.0, "GPU": 2.0}], 1, None, "say with --gpus_per_run"),
    "none of them": ([{"CPU": 5.0, "GPU": 2.0}], 1, 0, 5),
    "shares": ([{"CPU": 64.0, "GPU": 2.0}], 1, 0.1, 20),
    "shares are of one": ([{"CPU": 64.0, "GPU": 2.0}], 1, 0.4, 4),
    "several": ([{"CPU": 64.0, "GPU": 8.0}, {"CPU": 64.0, "GPU": 3.0}], 1, 4, 2),
    "cores are fewer": ([{"CPU": 3.0, "GPU": 2.0}], 1, 0.25, 3),
    "too small each": ([{"CPU": 8.0, "GPU": 1.0}] * 2, 1, 2, "a run needs 1 CPUs and 2 GPUs"),
    "nothing": ([], 1, None, "there are none"),
}


@pytest.mark.parametrize("case", NODES)
def test_room(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    resources, threads, gpus, expected = NODES[case]
    there = [{"Alive": True, "Resources": each} for each in resources]
    gone = {"Alive": False, "Resources": {"CPU": 99.0, "GPU": 99.0}}
    monkeypatch.setattr("ray.nodes", lambda: [*there, gone])
    if isinstance(expected, int):
        assert ray_cluster.capacity(threads, gpus) == expected
        return
    with pytest.raises(UserError, match=expected):
        ray_cluster.capacity(threads, gpus)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        (
            "127.0.0.1:1",
            "no Ray answers at RAY_ADDRESS=127.0.0.1:1 .*refused.*; start it there with `ray start",
        ),
        ("ray://127.0.0.1:10001", "RAY_ADDRESS=ray://127.0.0.1:10001 is no HOST:PORT"),
        ("rubbish", "RAY_ADDRESS=rubbish is no HOST:PORT"),
    ],
)
def test_a_wrong_address(
    address: str, message: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", address)
    file = write_study()
    with pytest.raises(SystemExit) as ended:
        main(f"study {file} --engine ray".split())
    assert ended.value.code == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert re.search(message, line), line
    assert list(Path().iterdir()) == [file]


def test_without_ray() -> None:
    script = Path("without.py").resolve()
    script.write_text(
        "import sys\nfrom dropout_lab.app.main import main\nsys.modules['ray'] = None\nmain()\n"
    )
    done = programs.run("study", str(write_study()), "--engine", "ray", script=script)
    assert done.returncode == 2
    assert done.stderr == (
        "dropout-lab: error: --engine ray needs Ray, which is not installed: "
        'pip install "dropout-lab[cluster]"\n'
    )
