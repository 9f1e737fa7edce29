"""Drivers and workers killed at random moments, again and again."""

import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from time import sleep, time

import pytest

from dropout_lab.app.config.settings import merged
from dropout_lab.app.main import main
from tests.app.study.studies import BASE, REPOSITORY, dropout, rows, write_study

ROUNDS = 5
COMMAND = "study tiny.yaml --jobs 2 --studies"


def start(folder: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, REPOSITORY / "cli.py", *COMMAND.split(), folder],
        stdout=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def workers_of(driver: "subprocess.Popen[bytes]") -> list[int]:
    """Return what the driver's fork server has forked."""
    servers = [
        pid for pid in children_of(driver.pid) if b"forkserver" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]
    return [worker for server in servers for worker in children_of(server)]


def wait_until(condition: Callable[[], bool], driver: "subprocess.Popen[bytes]") -> None:
    while not condition():
        assert driver.poll() is None, "the study was over before it could be killed"
        sleep(0.005)


def ended(folder: str) -> int:
    return len(list(Path(folder).glob("tiny/runs/*/result.json")))


def begun_since(folder: str, moment: float) -> bool:
    return any(file.stat().st_mtime > moment for file in Path(folder).glob("tiny/runs/*/run.json"))


def kill_the_driver(folder: str, moments: random.Random) -> None:
    driver, done = start(folder), moments.randint(0, 5)
    wait_until(lambda: len(workers_of(driver)) > 0 and ended(folder) >= done, driver)
    sleep(moments.uniform(0, 0.5))
    driver.send_signal(signal.SIGKILL)
    assert driver.wait() == -signal.SIGKILL


def kill_a_worker(folder: str, moments: random.Random) -> None:
    """Go on with the study, and kill a worker of it while it starts, which takes seconds, or while it trains."""
    began, trains = time(), moments.choice([False, True])
    driver = start(folder)
    wait_until(lambda: len(workers_of(driver)) > 0 and (not trains or begun_since(folder, began)), driver)
    sleep(moments.uniform(0, 0.5))
    os.kill(moments.choice(workers_of(driver)), signal.SIGKILL)
    assert driver.wait() == 0, "a worker that is killed once costs nothing"


@pytest.mark.slow
def test_ten_kills_at_random_moments_change_no_number(capsys: pytest.CaptureFixture[str]) -> None:
    write_study(
        base={"settings": merged(BASE, {"trainer": {"max_epochs": 40}})},
        grid={"method": {"none": dropout("NoDropout"), "standard": dropout("StandardDropout")}},
        seeds=[0, 1, 2, 3],
    )
    main(f"{COMMAND} undisturbed".split())
    truth = rows(Path("undisturbed/tiny/results.csv"))
    assert len(truth) == 8

    seed = random.randrange(2**32)
    print(f"moments drawn with seed {seed}")
    moments = random.Random(seed)
    for number in range(ROUNDS):
        folder = f"round-{number}"
        kill_the_driver(folder, moments)
        kill_a_worker(folder, moments)
        main(f"{COMMAND} {folder}".split())
        assert "8 runs, 8 done before" in capsys.readouterr().out
        assert rows(Path(f"{folder}/tiny/results.csv")) == truth
        assert not list(Path(folder).rglob("*.partial"))
