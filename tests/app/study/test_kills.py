"""Drivers and workers killed at random moments, again and again."""

import os
import random
import signal
from collections.abc import Callable
from pathlib import Path
from time import sleep

import pytest

from dropout_lab.app.config.settings import merge
from dropout_lab.app.main import main
from tests.app.study.studies import BASE, dropout, rows, write_study
from tests.programs import Program, start

ROUNDS = 5
EPOCHS = 40
COMMAND = "study tiny.yaml --jobs 2 --studies"


def children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def workers_of(driver: Program) -> list[int]:
    """Return the processes that a driver's fork server has forked."""
    servers = [
        pid for pid in children(driver.pid) if b"forkserver" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]
    return [worker for server in servers for worker in children(server)]


def wait_until(condition: Callable[[], bool], driver: Program) -> None:
    while not condition():
        assert driver.poll() is None, "the study was over before it could be killed"
        sleep(0.005)


def ended(folder: str) -> int:
    return len(list(Path(folder).glob("tiny/runs/*/result.json")))


def epochs_of_a_run(folder: str) -> int:
    """Return how many epochs a run that has not ended has behind it."""
    tables = [
        table
        for table in Path(folder).glob("tiny/runs/*/epochs.csv")
        if not table.with_name("result.json").exists()
    ]
    return max((len(table.read_text().splitlines()) - 1 for table in tables), default=0)


def kill_the_driver(folder: str, moments: random.Random) -> None:
    done, epochs = moments.randint(0, 5), moments.randint(0, EPOCHS // 2)
    with start(*COMMAND.split(), folder) as driver:
        wait_until(
            lambda: bool(workers_of(driver)) and ended(folder) >= done and epochs_of_a_run(folder) >= epochs,
            driver,
        )
        driver.kill()
        assert driver.wait() == -signal.SIGKILL


def kill_a_worker(folder: str, moments: random.Random) -> None:
    """Go on with the study, and kill a worker of it while it starts or while it trains."""
    # What was at a run when its driver was killed begins it again.
    epochs = moments.choice([0, moments.randint(1, EPOCHS // 2)])
    for table in Path(folder).glob("tiny/runs/*/epochs.csv"):
        if not table.with_name("result.json").exists():
            table.unlink()
    with start(*COMMAND.split(), folder) as driver:
        wait_until(lambda: bool(workers_of(driver)) and epochs_of_a_run(folder) >= epochs, driver)
        os.kill(moments.choice(workers_of(driver)), signal.SIGKILL)
        assert driver.wait() == 0, "a worker that is killed once costs nothing"


@pytest.mark.slow
def test_ten_kills_at_random_moments_change_no_number(capsys: pytest.CaptureFixture[str]) -> None:
    write_study(
        base={"settings": merge(BASE, {"trainer": {"max_epochs": EPOCHS}})},
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
